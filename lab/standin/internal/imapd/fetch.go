package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/textproto"

	"tailwart.lab/standin/internal/mailstore"
)

var macros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

func (x *session) fetch(tag string, args []arg, uid bool) error {
	if len(args) < 3 {
		return errBad
	}
	positions, err := x.chosen(args[1].text, uid)
	if err != nil {
		return err
	}
	var items []string
	if args[2].isList {
		for _, a := range args[2].list {
			items = append(items, a.text)
		}
	} else if m := macros[strings.ToUpper(args[2].text)]; m != nil {
		items = m
	} else {
		items = []string{args[2].text}
	}
	if uid && !slices.ContainsFunc(items, func(i string) bool { return strings.EqualFold(i, "UID") }) {
		items = append([]string{"UID"}, items...)
	}
	for _, i := range positions {
		if err := x.fetchOne(i, items); err != nil {
			return err
		}
	}
	return x.ok(tag, "FETCH completed")
}

func (x *session) fetchOne(i int, items []string) error {
	m := x.view[i]
	var body []byte
	load := func() ([]byte, error) {
		var err error
		if body == nil {
			body, err = x.Mail.Blobs.Get(m.Blob)
		}
		return body, err
	}
	var out bytes.Buffer
	seen := false
	for n, item := range items {
		if n > 0 {
			out.WriteByte(' ')
		}
		marks, err := fetchItem(&out, m, item, load)
		if err != nil {
			return err
		}
		seen = seen || marks
	}
	if seen && !m.HasFlag(`\Seen`) && !x.readOnly {
		m.Flags = append(slices.Clone(m.Flags), `\Seen`)
		if err := x.Mail.SetFlags(x.who.ID, x.box.ID, []mailstore.Message{m}); err != nil {
			return err
		}
		x.view[i] = m
		if !slices.ContainsFunc(items, func(i string) bool { return strings.EqualFold(i, "FLAGS") }) {
			fmt.Fprintf(&out, " FLAGS (%s)", strings.Join(m.Flags, " "))
		}
	}
	fmt.Fprintf(x.out, "* %d FETCH (%s)\r\n", i+1, out.Bytes())
	return nil
}

// fetchItem writes one item; marks says that it sets \Seen.
func fetchItem(out *bytes.Buffer, m mailstore.Message, item string, load func() ([]byte, error)) (marks bool, err error) {
	upper := strings.ToUpper(item)
	switch upper {
	case "FLAGS":
		fmt.Fprintf(out, "FLAGS (%s)", strings.Join(m.Flags, " "))
		return false, nil
	case "UID":
		fmt.Fprintf(out, "UID %d", m.UID)
		return false, nil
	case "INTERNALDATE":
		fmt.Fprintf(out, "INTERNALDATE %q", m.Received.Format("02-Jan-2006 15:04:05 -0700"))
		return false, nil
	case "RFC822.SIZE":
		fmt.Fprintf(out, "RFC822.SIZE %d", m.Size)
		return false, nil
	case "MODSEQ":
		fmt.Fprintf(out, "MODSEQ (%d)", m.ModSeq)
		return false, nil
	}
	body, err := load()
	if err != nil {
		return false, err
	}
	literal := func(name string, content []byte) {
		fmt.Fprintf(out, "%s {%d}\r\n", name, len(content))
		out.Write(content)
	}
	switch upper {
	case "RFC822":
		literal("RFC822", body)
		return true, nil
	case "RFC822.HEADER":
		literal("RFC822.HEADER", section(body, &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader}))
		return false, nil
	case "RFC822.TEXT":
		literal("RFC822.TEXT", section(body, &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText}))
		return true, nil
	case "ENVELOPE":
		header, err := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(body)))
		if err != nil {
			header = textproto.Header{}
		}
		out.WriteString("ENVELOPE " + envelope(imapserver.ExtractEnvelope(header)))
		return false, nil
	case "BODY", "BODYSTRUCTURE":
		out.WriteString(upper + " " + structure(imapserver.ExtractBodyStructure(bytes.NewReader(body)), upper == "BODYSTRUCTURE"))
		return false, nil
	}
	spec, name, err := parseSection(item)
	if err != nil {
		return false, err
	}
	literal(name, section(body, spec))
	return !spec.Peek, nil
}

// section extracts a part. The whole message is returned as it is stored, byte
// for byte, without passing through a parser.
func section(body []byte, spec *imap.FetchItemBodySection) []byte {
	if spec.Specifier == imap.PartSpecifierNone && len(spec.Part) == 0 {
		return partial(body, spec.Partial)
	}
	if spec.Specifier == imap.PartSpecifierHeader && len(spec.Part) == 0 && spec.HeaderFields == nil && spec.HeaderFieldsNot == nil {
		if end := bytes.Index(body, []byte("\r\n\r\n")); end >= 0 {
			return partial(body[:end+4], spec.Partial)
		}
	}
	return imapserver.ExtractBodySection(bytes.NewReader(body), spec)
}

func partial(body []byte, p *imap.SectionPartial) []byte {
	if p == nil {
		return body
	}
	from := min(p.Offset, int64(len(body)))
	return body[from:min(from+p.Size, int64(len(body)))]
}

// parseSection reads BODY[…]<…>; name is how the answer calls it.
func parseSection(item string) (*imap.FetchItemBodySection, string, error) {
	head, rest, ok := strings.Cut(item, "[")
	if !ok {
		return nil, "", errBad
	}
	spec := &imap.FetchItemBodySection{}
	switch strings.ToUpper(head) {
	case "BODY":
	case "BODY.PEEK", "BINARY.PEEK":
		spec.Peek = true
	case "BINARY":
	default:
		return nil, "", errBad
	}
	end := strings.LastIndexByte(rest, ']')
	if end < 0 {
		return nil, "", errBad
	}
	text, tail := rest[:end], rest[end+1:]
	name := "BODY[" + text + "]"
	if tail != "" {
		offset, size, _ := strings.Cut(strings.Trim(tail, "<>"), ".")
		from, err := strconv.ParseInt(offset, 10, 64)
		length, err2 := strconv.ParseInt(size, 10, 64)
		if err != nil || err2 != nil {
			return nil, "", errBad
		}
		spec.Partial = &imap.SectionPartial{Offset: from, Size: length}
		name += "<" + offset + ">"
	}
	words := strings.SplitN(text, " ", 2)
	path := strings.Split(words[0], ".")
	for len(path) > 0 {
		n, err := strconv.Atoi(path[0])
		if err != nil {
			break
		}
		spec.Part = append(spec.Part, n)
		path = path[1:]
	}
	fields := func() []string {
		if len(words) < 2 {
			return []string{}
		}
		return strings.Fields(strings.ReplaceAll(strings.Trim(words[1], "()"), `"`, ""))
	}
	switch specifier := strings.ToUpper(strings.Join(path, ".")); specifier {
	case "":
	case "HEADER", "TEXT", "MIME":
		spec.Specifier = imap.PartSpecifier(specifier)
	case "HEADER.FIELDS":
		spec.Specifier, spec.HeaderFields = imap.PartSpecifierHeader, fields()
	case "HEADER.FIELDS.NOT":
		spec.Specifier, spec.HeaderFieldsNot = imap.PartSpecifierHeader, fields()
	default:
		return nil, "", errBad
	}
	return spec, name, nil
}
