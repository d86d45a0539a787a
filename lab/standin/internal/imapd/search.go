package imapd

import (
	"bytes"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"tailwart.lab/standin/internal/mailstore"
)

// candidate is a message that is asked whether it matches.
type candidate struct {
	mailstore.Message
	sequence uint32
	session  *session
	body     []byte
	header   mail.Header
}

func (c *candidate) load() {
	if c.body == nil {
		c.body, _ = c.session.Mail.Blobs.Get(c.Blob)
		if m, err := mail.ReadMessage(bytes.NewReader(c.body)); err == nil {
			c.header = m.Header
		}
	}
}

type test func(c *candidate) bool

func (x *session) search(tag string, args []arg, uid bool) error {
	args = args[1:]
	extended := false
	var options []string
	if len(args) > 1 && strings.EqualFold(args[0].text, "RETURN") && args[1].isList {
		extended = true
		for _, a := range args[1].list {
			options = append(options, strings.ToUpper(a.text))
		}
		args = args[2:]
	}
	if len(args) > 1 && strings.EqualFold(args[0].text, "CHARSET") {
		args = args[2:]
	}
	if len(args) == 0 {
		return errBad
	}
	match, err := x.criteria(args)
	if err != nil {
		return err
	}
	var found []uint32
	for i, m := range x.view {
		if match(&candidate{Message: m, sequence: uint32(i + 1), session: x}) {
			n := uint32(i + 1)
			if uid {
				n = m.UID
			}
			found = append(found, n)
		}
	}
	if extended {
		x.extendedResult(tag, uid, options, found)
		return x.ok(tag, "SEARCH completed")
	}
	line := "* SEARCH"
	for _, n := range found {
		line += " " + strconv.FormatUint(uint64(n), 10)
	}
	x.line("%s", line)
	return x.ok(tag, "SEARCH completed")
}

func (x *session) extendedResult(tag string, uid bool, options []string, found []uint32) {
	line := fmt.Sprintf("* ESEARCH (TAG %s)", quote(tag))
	if uid {
		line += " UID"
	}
	if len(options) == 0 {
		options = []string{"ALL"}
	}
	for _, o := range options {
		switch {
		case o == "COUNT":
			line += fmt.Sprintf(" COUNT %d", len(found))
		case len(found) == 0:
		case o == "MIN":
			line += fmt.Sprintf(" MIN %d", found[0])
		case o == "MAX":
			line += fmt.Sprintf(" MAX %d", found[len(found)-1])
		case o == "ALL":
			line += " ALL " + uidList(found)
		}
	}
	x.line("%s", line)
}

// criteria builds the conjunction of a list of search keys.
func (x *session) criteria(args []arg) (test, error) {
	var tests []test
	for len(args) > 0 {
		t, rest, err := x.criterion(args)
		if err != nil {
			return nil, err
		}
		tests, args = append(tests, t), rest
	}
	return func(c *candidate) bool {
		for _, t := range tests {
			if !t(c) {
				return false
			}
		}
		return true
	}, nil
}

var flagKeys = map[string]string{"ANSWERED": `\Answered`, "DELETED": `\Deleted`, "FLAGGED": `\Flagged`, "SEEN": `\Seen`, "DRAFT": `\Draft`}

func (x *session) criterion(args []arg) (test, []arg, error) {
	if args[0].isList {
		t, err := x.criteria(args[0].list)
		return t, args[1:], err
	}
	key, rest := strings.ToUpper(args[0].text), args[1:]
	if flag, ok := flagKeys[key]; ok {
		return func(c *candidate) bool { return c.HasFlag(flag) }, rest, nil
	}
	if flag, ok := flagKeys[strings.TrimPrefix(key, "UN")]; ok {
		return func(c *candidate) bool { return !c.HasFlag(flag) }, rest, nil
	}
	switch key {
	case "ALL", "OLD":
		return func(*candidate) bool { return true }, rest, nil
	case "NEW", "RECENT":
		return func(*candidate) bool { return false }, rest, nil
	case "NOT":
		if len(rest) == 0 {
			return nil, nil, errBad
		}
		t, rest, err := x.criterion(rest)
		return func(c *candidate) bool { return !t(c) }, rest, err
	case "OR":
		if len(rest) < 2 {
			return nil, nil, errBad
		}
		a, rest, err := x.criterion(rest)
		if err != nil || len(rest) == 0 {
			return nil, nil, errBad
		}
		b, rest, err := x.criterion(rest)
		return func(c *candidate) bool { return a(c) || b(c) }, rest, err
	}
	if set, err := parseSet(args[0].text); err == nil {
		return func(c *candidate) bool { return contains(set, c.sequence, uint32(len(x.view))) }, rest, nil
	}
	if len(rest) == 0 {
		return nil, nil, errBad
	}
	if key == "HEADER" {
		if len(rest) < 2 {
			return nil, nil, errBad
		}
		return headerTest(rest[0].text, rest[1].text), rest[2:], nil
	}
	t, err := x.valueTest(key, rest[0].text)
	return t, rest[1:], err
}

func headerTest(name, want string) test {
	return func(c *candidate) bool {
		c.load()
		for key, values := range c.header {
			if !strings.EqualFold(key, name) {
				continue
			}
			for _, v := range values {
				if strings.Contains(strings.ToLower(v), strings.ToLower(want)) {
					return true
				}
			}
		}
		return false
	}
}

func (x *session) valueTest(key, value string) (test, error) {
	switch key {
	case "FROM", "TO", "CC", "BCC", "SUBJECT":
		return headerTest(key, value), nil
	case "TEXT", "BODY":
		want := bytes.ToLower([]byte(value))
		return func(c *candidate) bool {
			c.load()
			body := c.body
			if key == "BODY" {
				_, body, _ = bytes.Cut(body, []byte("\r\n\r\n"))
			}
			return bytes.Contains(bytes.ToLower(body), want)
		}, nil
	case "KEYWORD":
		return func(c *candidate) bool { return c.HasFlag(value) }, nil
	case "UNKEYWORD":
		return func(c *candidate) bool { return !c.HasFlag(value) }, nil
	case "UID":
		set, err := parseSet(value)
		highest := uint32(0)
		if len(x.view) > 0 {
			highest = x.view[len(x.view)-1].UID
		}
		return func(c *candidate) bool { return contains(set, c.UID, highest) }, err
	case "LARGER", "SMALLER":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, errBad
		}
		return func(c *candidate) bool { return (key == "LARGER" && c.Size > n) || (key == "SMALLER" && c.Size < n) }, nil
	}
	day, err := time.Parse("2-Jan-2006", value)
	if err != nil {
		return nil, errBad
	}
	return dateTest(key, day)
}

func dateTest(key string, day time.Time) (test, error) {
	name, sent := strings.CutPrefix(key, "SENT")
	if name != "SINCE" && name != "BEFORE" && name != "ON" {
		return nil, errBad
	}
	return func(c *candidate) bool {
		when := c.Received
		if sent {
			c.load()
			when, _ = c.header.Date()
		}
		when = time.Date(when.Year(), when.Month(), when.Day(), 0, 0, 0, 0, time.UTC)
		switch name {
		case "SINCE":
			return !when.Before(day)
		case "BEFORE":
			return when.Before(day)
		}
		return when.Equal(day)
	}, nil
}
