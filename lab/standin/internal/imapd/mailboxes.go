package imapd

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/mailstore"
)

func quote(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

// matches compares a mailbox name with a LIST pattern.
func matches(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	if strings.EqualFold(pattern, "INBOX") && name == "INBOX" {
		return true
	}
	if strings.Contains(pattern, "*") {
		// '*' crosses the hierarchy separator, which path.Match's never does.
		pattern = strings.ReplaceAll(pattern, "/", "\x01")
		name = strings.ReplaceAll(name, "/", "\x01")
	}
	ok, _ := path.Match(strings.ReplaceAll(strings.ReplaceAll(pattern, "%", "*"), "[", `\[`), name)
	return ok
}

func (x *session) list(tag string, args []arg, _ bool) error {
	name := args[0].text
	args = args[1:]
	if len(args) > 0 && args[0].isList {
		args = args[1:]
	}
	if len(args) < 2 {
		return errBad
	}
	patterns := []string{args[1].text}
	if args[1].isList {
		patterns = nil
		for _, p := range args[1].list {
			patterns = append(patterns, p.text)
		}
	}
	var items []arg
	if len(args) > 3 && strings.EqualFold(args[2].text, "RETURN") {
		for i, option := range args[3].list {
			if strings.EqualFold(option.text, "STATUS") && i+1 < len(args[3].list) {
				items = args[3].list[i+1].list
			}
		}
	}
	if patterns[0] == "" && len(patterns) == 1 {
		x.line(`* %s (\NoSelect) "/" ""`, name)
		return x.ok(tag, name+" completed")
	}
	boxes, err := x.Mail.Mailboxes(x.who.ID)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if name == "LSUB" && !b.Subscribed {
			continue
		}
		for _, p := range patterns {
			if matches(args[0].text+p, b.Name) {
				x.line("* %s (%s) \"/\" %s", name, b.Role, quote(b.Name))
				if items != nil {
					if err := x.statusLine(b, items); err != nil {
						return err
					}
				}
				break
			}
		}
	}
	return x.ok(tag, name+" completed")
}

func (x *session) namespace(tag string, _ []arg, _ bool) error {
	x.line(`* NAMESPACE (("" "/")) NIL NIL`)
	return x.ok(tag, "NAMESPACE completed")
}

func (x *session) selectBox(tag string, args []arg, _ bool) error {
	if len(args) < 2 {
		return errBad
	}
	x.box, x.view = nil, nil
	box, err := x.Mail.Find(x.who.ID, args[1].text)
	if err != nil {
		return err
	}
	messages, err := x.Mail.Messages(x.who.ID, box.ID)
	if err != nil {
		return err
	}
	x.box, x.view, x.readOnly = &box, messages, args[0].text == "EXAMINE"
	x.line("* %d EXISTS", len(messages))
	x.line(`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`)
	x.line("* 0 RECENT")
	x.line(`* OK [PERMANENTFLAGS (\Deleted \Seen \Answered \Flagged \Draft \*)] All allowed`)
	x.line("* OK [UIDVALIDITY %d] UIDs valid", box.UIDValidity)
	x.line("* OK [UIDNEXT %d] Next predicted UID", box.UIDNext)
	x.line("* OK [MAILBOXID (%s)] Unique Mailbox ID", x.mailboxID(box))
	mode := "READ-WRITE"
	if x.readOnly {
		mode = "READ-ONLY"
	}
	return x.ok(tag, fmt.Sprintf("[%s] %s completed", mode, args[0].text))
}

// mailboxID is the OBJECTID of a mailbox: the letter i and the numbers of
// mailbox and account.
func (x *session) mailboxID(box mailstore.Mailbox) string {
	id := ids.Encode(uint64(box.ID))
	return "i" + strings.Repeat("a", max(0, 6-len(id))) + id
}

func (x *session) status(tag string, args []arg, _ bool) error {
	if len(args) < 3 || !args[2].isList {
		return errBad
	}
	box, err := x.Mail.Find(x.who.ID, args[1].text)
	if err != nil {
		return err
	}
	if err := x.statusLine(box, args[2].list); err != nil {
		return err
	}
	return x.ok(tag, "STATUS completed")
}

func (x *session) statusLine(box mailstore.Mailbox, items []arg) error {
	messages, err := x.Mail.Messages(x.who.ID, box.ID)
	if err != nil {
		return err
	}
	unseen, deleted, size := 0, 0, int64(0)
	for _, m := range messages {
		if !m.HasFlag(`\Seen`) {
			unseen++
		}
		if m.HasFlag(`\Deleted`) {
			deleted++
		}
		size += m.Size
	}
	var parts []string
	for _, item := range items {
		name := strings.ToUpper(item.text)
		value := ""
		switch name {
		case "MESSAGES":
			value = strconv.Itoa(len(messages))
		case "RECENT":
			value = "0"
		case "UIDNEXT":
			value = strconv.FormatUint(uint64(box.UIDNext), 10)
		case "UIDVALIDITY":
			value = strconv.FormatUint(uint64(box.UIDValidity), 10)
		case "UNSEEN":
			value = strconv.Itoa(unseen)
		case "DELETED":
			value = strconv.Itoa(deleted)
		case "SIZE":
			value = strconv.FormatInt(size, 10)
		case "HIGHESTMODSEQ":
			value = "1"
		case "MAILBOXID":
			value = "(" + x.mailboxID(box) + ")"
		default:
			return errBad
		}
		parts = append(parts, name+" "+value)
	}
	x.line("* STATUS %s (%s)", quote(box.Name), strings.Join(parts, " "))
	return nil
}

func (x *session) create(tag string, args []arg, _ bool) error {
	if len(args) < 2 || args[1].text == "" {
		return errBad
	}
	role := ""
	if len(args) > 2 && len(args[2].list) == 2 && len(args[2].list[1].list) == 1 {
		role = args[2].list[1].list[0].text
	}
	box, err := x.Mail.Create(x.who.ID, args[1].text, role)
	if err != nil {
		return err
	}
	return x.ok(tag, fmt.Sprintf("[MAILBOXID (%s)] CREATE completed", x.mailboxID(box)))
}

func (x *session) remove(tag string, args []arg, _ bool) error {
	if len(args) != 2 {
		return errBad
	}
	if err := x.Mail.Delete(x.who.ID, args[1].text); err != nil {
		return err
	}
	return x.ok(tag, "DELETE completed")
}

func (x *session) rename(tag string, args []arg, _ bool) error {
	if len(args) != 3 {
		return errBad
	}
	if err := x.Mail.Rename(x.who.ID, args[1].text, args[2].text); err != nil {
		return err
	}
	return x.ok(tag, "RENAME completed")
}

func (x *session) subscribe(tag string, args []arg, _ bool) error {
	if len(args) != 2 {
		return errBad
	}
	if err := x.Mail.Subscribe(x.who.ID, args[1].text, args[0].text == "SUBSCRIBE"); err != nil {
		return err
	}
	return x.ok(tag, args[0].text+" completed")
}

func (x *session) quotaLimit() int64 {
	account := x.Registry.Get("Account", x.who.ID)
	quotas, _ := account["quotas"].(map[string]any)
	limit, _ := quotas["maxDiskQuota"].(float64)
	return int64(limit)
}

func (x *session) quota(tag string, args []arg, _ bool) error {
	if args[0].text == "GETQUOTAROOT" && len(args) > 1 {
		x.line("* QUOTAROOT %s \"#%s\"", quote(args[1].text), x.who.ID)
	}
	// RFC 9208 counts storage in units of 1024 octets.
	resources := ""
	if limit := x.quotaLimit(); limit > 0 {
		resources = fmt.Sprintf("STORAGE %d %d", x.Mail.Used(x.who.ID)/1024, limit/1024)
	}
	x.line("* QUOTA \"#%s\" (%s)", x.who.ID, resources)
	return x.ok(tag, args[0].text+" completed")
}

func (x *session) append(tag string, args []arg, _ bool) error {
	if len(args) < 3 {
		return errBad
	}
	name, rest := args[1].text, args[2:]
	var flags []string
	received := time.Now()
	if rest[0].isList {
		for _, f := range rest[0].list {
			flags = append(flags, f.text)
		}
		rest = rest[1:]
	}
	if len(rest) == 2 {
		t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", rest[0].text)
		if err != nil {
			return errBad
		}
		received, rest = t, rest[1:]
	}
	if len(rest) != 1 {
		return errBad
	}
	box, msg, err := x.Mail.Append(x.who.ID, name, []byte(rest[0].text), flags, received, x.quotaLimit())
	if err == mailstore.ErrNoMailbox {
		return x.no(tag, "[TRYCREATE] Mailbox does not exist.")
	}
	if err != nil {
		return err
	}
	if err := x.sync(true); err != nil {
		return err
	}
	return x.ok(tag, fmt.Sprintf("[APPENDUID %d %d] APPEND completed", box.UIDValidity, msg.UID))
}
