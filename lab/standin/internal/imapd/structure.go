package imapd

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

func nstring(s string) string {
	if s == "" {
		return "NIL"
	}
	for _, r := range s {
		if r < 32 || r > 126 {
			return quote(mime.QEncoding.Encode("utf-8", s))
		}
	}
	return quote(s)
}

// envelope writes an ENVELOPE (RFC 3501, 7.4.2).
func envelope(e *imap.Envelope) string {
	date := ""
	if !e.Date.IsZero() {
		date = e.Date.Format(time.RFC1123Z)
	}
	sender, replyTo := e.Sender, e.ReplyTo
	if len(sender) == 0 {
		sender = e.From
	}
	if len(replyTo) == 0 {
		replyTo = e.From
	}
	ids := func(list []string) string {
		for i, id := range list {
			list[i] = "<" + id + ">"
		}
		return nstring(strings.Join(list, " "))
	}
	message := ""
	if e.MessageID != "" {
		message = "<" + e.MessageID + ">"
	}
	return "(" + strings.Join([]string{nstring(date), nstring(e.Subject), addresses(e.From), addresses(sender), addresses(replyTo),
		addresses(e.To), addresses(e.Cc), addresses(e.Bcc), ids(slices.Clone(e.InReplyTo)), nstring(message)}, " ") + ")"
}

func addresses(list []imap.Address) string {
	if len(list) == 0 {
		return "NIL"
	}
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "(%s NIL %s %s)", nstring(a.Name), nstring(a.Mailbox), nstring(a.Host))
	}
	return "(" + b.String() + ")"
}

func params(m map[string]string) string {
	if len(m) == 0 {
		return "NIL"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, quote(k), nstring(m[k]))
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func disposition(d *imap.BodyStructureDisposition) string {
	if d == nil {
		return "NIL"
	}
	return "(" + quote(d.Value) + " " + params(d.Params) + ")"
}

// structure writes a BODY or BODYSTRUCTURE.
func structure(bs imap.BodyStructure, extended bool) string {
	switch part := bs.(type) {
	case *imap.BodyStructureMultiPart:
		var b strings.Builder
		for _, child := range part.Children {
			b.WriteString(structure(child, extended))
		}
		b.WriteString(" " + quote(part.Subtype))
		if extended && part.Extended != nil {
			fmt.Fprintf(&b, " %s %s NIL %s", params(part.Extended.Params), disposition(part.Extended.Disposition), nstring(part.Extended.Location))
		}
		return "(" + b.String() + ")"
	case *imap.BodyStructureSinglePart:
		encoding := part.Encoding
		if encoding == "" {
			encoding = "7BIT"
		}
		text := fmt.Sprintf("%s %s %s %s %s %s %d", quote(part.Type), quote(part.Subtype), params(part.Params),
			nstring(part.ID), nstring(part.Description), quote(encoding), part.Size)
		switch {
		case part.MessageRFC822 != nil:
			text += fmt.Sprintf(" %s %s %d", envelope(part.MessageRFC822.Envelope), structure(part.MessageRFC822.BodyStructure, extended), part.MessageRFC822.NumLines)
		case part.Text != nil:
			text += fmt.Sprintf(" %d", part.Text.NumLines)
		}
		if extended && part.Extended != nil {
			text += fmt.Sprintf(" NIL %s NIL %s", disposition(part.Extended.Disposition), nstring(part.Extended.Location))
		}
		return "(" + text + ")"
	}
	return `("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0)`
}
