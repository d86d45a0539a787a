package imapd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailwart.lab/standin/internal/mailstore"
)

// sync tells the client what others changed. Expunges may only be told by
// commands that do not number messages (RFC 3501, 7.4.1).
func (x *session) sync(expunge bool) error {
	if x.box == nil {
		return nil
	}
	current, err := x.Mail.Messages(x.who.ID, x.box.ID)
	if err != nil {
		return err
	}
	byUID := make(map[uint32]mailstore.Message, len(current))
	for _, m := range current {
		byUID[m.UID] = m
	}
	if expunge {
		for i := len(x.view) - 1; i >= 0; i-- {
			if _, there := byUID[x.view[i].UID]; !there {
				x.line("* %d EXPUNGE", i+1)
				x.view = slices.Delete(x.view, i, i+1)
			}
		}
	}
	last := uint32(0)
	for i := range x.view {
		last = x.view[i].UID
		if m, there := byUID[last]; there && !slices.Equal(m.Flags, x.view[i].Flags) {
			x.view[i] = m
			x.line("* %d FETCH (UID %d FLAGS (%s))", i+1, m.UID, strings.Join(m.Flags, " "))
		}
	}
	before := len(x.view)
	for _, m := range current {
		if m.UID > last {
			x.view = append(x.view, m)
		}
	}
	if len(x.view) > before {
		x.line("* %d EXISTS", len(x.view))
	}
	return nil
}

func (x *session) noop(tag string, _ []arg, _ bool) error {
	if err := x.sync(true); err != nil {
		return x.no(tag, failureText(err))
	}
	return x.ok(tag, "NOOP completed")
}

// chosen are the positions in the view that a set names.
func (x *session) chosen(text string, uid bool) ([]int, error) {
	set, err := parseSet(text)
	if err != nil {
		return nil, errBad
	}
	var out []int
	highestUID := uint32(0)
	if len(x.view) > 0 {
		highestUID = x.view[len(x.view)-1].UID
	}
	for i, m := range x.view {
		if (uid && contains(set, m.UID, highestUID)) || (!uid && contains(set, uint32(i+1), uint32(len(x.view)))) {
			out = append(out, i)
		}
	}
	return out, nil
}

func (x *session) store(tag string, args []arg, uid bool) error {
	if len(args) < 4 {
		return errBad
	}
	if x.readOnly {
		return x.no(tag, "[READ-ONLY] Mailbox is read-only.")
	}
	positions, err := x.chosen(args[1].text, uid)
	if err != nil {
		return err
	}
	if args[2].isList {
		args = append(args[:2], args[3:]...)
	}
	var flags []string
	for _, a := range args[3:] {
		if a.isList {
			for _, f := range a.list {
				flags = append(flags, f.text)
			}
		} else {
			flags = append(flags, a.text)
		}
	}
	item, silent := strings.CutSuffix(strings.ToUpper(args[2].text), ".SILENT")
	var changed []mailstore.Message
	for _, i := range positions {
		m := x.view[i]
		switch item {
		case "FLAGS":
			m.Flags = slices.Clone(flags)
		case "+FLAGS":
			m.Flags = slices.Clone(m.Flags)
			for _, f := range flags {
				if !m.HasFlag(f) {
					m.Flags = append(m.Flags, f)
				}
			}
		case "-FLAGS":
			m.Flags = slices.DeleteFunc(slices.Clone(m.Flags), func(held string) bool {
				return slices.ContainsFunc(flags, func(f string) bool { return strings.EqualFold(f, held) })
			})
		default:
			return errBad
		}
		changed = append(changed, m)
	}
	if err := x.Mail.SetFlags(x.who.ID, x.box.ID, changed); err != nil {
		return err
	}
	for n, i := range positions {
		x.view[i] = changed[n]
		if !silent {
			prefix := ""
			if uid {
				prefix = fmt.Sprintf("UID %d ", changed[n].UID)
			}
			x.line("* %d FETCH (%sFLAGS (%s))", i+1, prefix, strings.Join(changed[n].Flags, " "))
		}
	}
	return x.ok(tag, "STORE completed")
}

func uidList(uids []uint32) string {
	parts := make([]string, len(uids))
	for i, u := range uids {
		parts[i] = strconv.FormatUint(uint64(u), 10)
	}
	return strings.Join(parts, ",")
}

func (x *session) copy(tag string, args []arg, uid bool) error {
	if len(args) != 3 {
		return errBad
	}
	positions, err := x.chosen(args[1].text, uid)
	if err != nil {
		return err
	}
	move := args[0].text == "MOVE"
	if len(positions) == 0 {
		return x.ok(tag, args[0].text+" completed")
	}
	var messages []mailstore.Message
	var from []uint32
	for _, i := range positions {
		messages = append(messages, x.view[i])
		from = append(from, x.view[i].UID)
	}
	box, to, err := x.Mail.Copy(x.who.ID, x.box.ID, args[2].text, messages, move)
	if err == mailstore.ErrNoMailbox {
		return x.no(tag, "[TRYCREATE] Mailbox does not exist.")
	}
	if err != nil {
		return err
	}
	code := fmt.Sprintf("[COPYUID %d %s %s]", box.UIDValidity, uidList(from), uidList(to))
	if move {
		x.line("* OK %s Moved", code)
		if err := x.sync(true); err != nil {
			return err
		}
		return x.ok(tag, "MOVE completed")
	}
	return x.ok(tag, code+" COPY completed")
}

func (x *session) expunge(tag string, args []arg, uid bool) error {
	if x.readOnly {
		return x.no(tag, "[READ-ONLY] Mailbox is read-only.")
	}
	positions := make([]int, len(x.view))
	for i := range positions {
		positions[i] = i
	}
	if uid && len(args) > 1 {
		var err error
		if positions, err = x.chosen(args[1].text, true); err != nil {
			return err
		}
	}
	if err := x.drop(positions); err != nil {
		return err
	}
	if err := x.sync(true); err != nil {
		return err
	}
	return x.ok(tag, "EXPUNGE completed")
}

// drop removes the messages at positions that are marked as deleted.
func (x *session) drop(positions []int) error {
	var messages []mailstore.Message
	for _, i := range positions {
		if x.view[i].HasFlag(`\Deleted`) {
			messages = append(messages, x.view[i])
		}
	}
	return x.Mail.Expunge(x.who.ID, x.box.ID, messages)
}

func (x *session) close(tag string, args []arg, _ bool) error {
	if args[0].text == "CLOSE" && !x.readOnly {
		positions := make([]int, len(x.view))
		for i := range positions {
			positions[i] = i
		}
		if err := x.drop(positions); err != nil {
			return err
		}
	}
	x.box, x.view = nil, nil
	return x.ok(tag, args[0].text+" completed")
}

// idle tells of changes until the client says DONE (RFC 2177).
func (x *session) idle(tag string, _ []arg, _ bool) error {
	x.line("+ idling")
	x.out.Flush()
	lines := make(chan error, 1)
	go func() {
		_, err := x.parser.reader.ReadString('\n')
		lines <- err
	}()
	var changes <-chan struct{}
	if x.box != nil {
		watch, stop := x.Mail.Watch(x.who.ID, x.box.ID)
		defer stop()
		changes = watch
	}
	alive := time.NewTicker(2 * time.Minute)
	defer alive.Stop()
	for {
		select {
		case err := <-lines:
			if err != nil {
				return errLogout
			}
			return x.ok(tag, "IDLE completed")
		case <-changes:
			if err := x.sync(true); err != nil {
				return err
			}
		case <-alive.C:
			x.line("* OK Still here")
		}
		if err := x.out.Flush(); err != nil {
			return errLogout
		}
	}
}
