package imapd

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Search implements imapserver.Session.
func (x *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, _ *imap.SearchOptions) (*imap.SearchData, error) {
	data := &imap.SearchData{}
	var positions imap.SeqSet
	var uids imap.UIDSet
	for i, m := range x.view {
		if !(&candidate{session: x, position: i}).matches(criteria) {
			continue
		}
		n := uint32(i + 1)
		if kind == imapserver.NumKindUID {
			n = uint32(m.UID)
		}
		positions.AddNum(n)
		uids.AddNum(m.UID)
		if data.Count++; data.Count == 1 {
			data.Min = n
		}
		data.Max = n
	}
	if data.All = positions; kind == imapserver.NumKindUID {
		data.All = uids
	}
	return data, nil
}

// candidate is a message that is asked whether it matches.
type candidate struct {
	*session
	position int
	body     []byte
	header   mail.Header
}

func (c *candidate) load() {
	if c.body == nil {
		c.body, _ = c.Mail.Blobs.Get(c.view[c.position].Blob)
		if e, _ := message.Read(bytes.NewReader(c.body)); e != nil {
			c.header = mail.Header{Header: e.Header}
		}
	}
}

func (c *candidate) matches(s *imap.SearchCriteria) bool {
	m := c.view[c.position]
	unset := func(f imap.Flag) bool { return !m.HasFlag(f) }
	switch {
	case slices.ContainsFunc(s.SeqNum, func(set imap.SeqSet) bool { return !c.within(set, c.position) }),
		slices.ContainsFunc(s.UID, func(set imap.UIDSet) bool { return !c.within(set, c.position) }),
		slices.ContainsFunc(s.Flag, unset), slices.ContainsFunc(s.NotFlag, m.HasFlag),
		s.Larger != 0 && m.Size <= s.Larger, s.Smaller != 0 && m.Size >= s.Smaller,
		!between(m.Received, s.Since, s.Before),
		slices.ContainsFunc(s.Not, func(not imap.SearchCriteria) bool { return c.matches(&not) }),
		slices.ContainsFunc(s.Or, func(or [2]imap.SearchCriteria) bool { return !c.matches(&or[0]) && !c.matches(&or[1]) }):
		return false
	case len(s.Header)+len(s.Body)+len(s.Text) == 0 && s.SentSince.IsZero() && s.SentBefore.IsZero():
		return true
	}
	c.load()
	sent, _ := c.header.Date()
	_, text, _ := bytes.Cut(c.body, []byte("\r\n\r\n"))
	return between(sent, s.SentSince, s.SentBefore) &&
		!slices.ContainsFunc(s.Header, func(f imap.SearchCriteriaHeaderField) bool { return !c.hasField(f) }) &&
		!slices.ContainsFunc(s.Body, func(part string) bool { return !holds(text, part) }) &&
		!slices.ContainsFunc(s.Text, func(part string) bool { return !holds(c.body, part) })
}

func (c *candidate) hasField(f imap.SearchCriteriaHeaderField) bool {
	for fields := c.header.FieldsByKey(f.Key); fields.Next(); {
		if value, _ := fields.Text(); holds([]byte(value), f.Value) {
			return true
		}
	}
	return false
}

func holds(text []byte, part string) bool {
	return bytes.Contains(bytes.ToLower(text), []byte(strings.ToLower(part)))
}

// between compares days; time zones do not count (RFC 3501, 6.4.4).
func between(when, since, before time.Time) bool {
	day := time.Date(when.Year(), when.Month(), when.Day(), 0, 0, 0, 0, time.UTC)
	return !day.Before(since) && (before.IsZero() || day.Before(before))
}
