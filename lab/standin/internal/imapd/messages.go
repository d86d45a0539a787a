package imapd

import (
	"bufio"
	"bytes"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/textproto"

	"tailwart.lab/standin/internal/mailstore"
)

// within says whether a set names the message at a position. A set with '*'
// always names the last one. '$' is not remembered and names nothing.
func (x *session) within(set imap.NumSet, i int) bool {
	if imap.IsSearchRes(set) {
		return false
	}
	found := set.Dynamic() && i == len(x.view)-1
	switch set := set.(type) {
	case imap.SeqSet:
		found = found || set.Contains(uint32(i+1))
	case imap.UIDSet:
		found = found || set.Contains(x.view[i].UID)
	}
	return found
}

func (x *session) chosen(set imap.NumSet) (positions []int, messages []mailstore.Message) {
	for i, m := range x.view {
		if x.within(set, i) {
			positions, messages = append(positions, i), append(messages, m)
		}
	}
	return positions, messages
}

// Fetch implements imapserver.Session.
func (x *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	if len(options.BinarySection)+len(options.BinarySectionSize) > 0 {
		return refuse(imap.ResponseCodeCannot, "This stand-in does not decode parts.")
	}
	x.fetching = true
	defer func() { x.fetching = false }()
	positions, _ := x.chosen(set)
	for _, i := range positions {
		if err := x.fetchOne(w.CreateMessage(uint32(i+1)), i, options); err != nil {
			return err
		}
	}
	return nil
}

func (x *session) fetchOne(w *imapserver.FetchResponseWriter, i int, options *imap.FetchOptions) error {
	m := x.view[i]
	var body []byte
	if len(options.BodySection) > 0 || options.Envelope || options.BodyStructure != nil {
		var err error
		if body, err = x.Mail.Blobs.Get(m.Blob); err != nil {
			w.Close()
			return failure(err)
		}
	}
	peek := func(s *imap.FetchItemBodySection) bool { return s.Peek }
	seen := slices.ContainsFunc(options.BodySection, func(s *imap.FetchItemBodySection) bool { return !peek(s) })
	if seen && !m.HasFlag(imap.FlagSeen) && !x.readOnly {
		m.Flags = append(slices.Clone(m.Flags), imap.FlagSeen)
		if err := x.Mail.SetFlags(x.who.ID, x.box.ID, []mailstore.Message{m}); err != nil {
			w.Close()
			return failure(err)
		}
		x.view[i] = m
		options.Flags = true
	}
	if options.UID {
		w.WriteUID(m.UID)
	}
	if options.Flags {
		w.WriteFlags(m.Flags)
	}
	if options.InternalDate {
		w.WriteInternalDate(m.Received)
	}
	if options.RFC822Size {
		w.WriteRFC822Size(m.Size)
	}
	if options.Envelope {
		header, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(body)))
		w.WriteEnvelope(imapserver.ExtractEnvelope(header))
	}
	if options.BodyStructure != nil {
		w.WriteBodyStructure(imapserver.ExtractBodyStructure(bytes.NewReader(body)))
	}
	for _, section := range options.BodySection {
		content := extract(body, section)
		part := w.WriteBodySection(section, int64(len(content)))
		part.Write(content)
		if err := part.Close(); err != nil {
			return err
		}
	}
	return w.Close()
}

// extract takes a section of a message. The whole message is returned as it is
// stored, byte for byte, without passing through a parser.
func extract(body []byte, section *imap.FetchItemBodySection) []byte {
	if section.Specifier != imap.PartSpecifierNone || len(section.Part) > 0 {
		return imapserver.ExtractBodySection(bytes.NewReader(body), section)
	}
	if p := section.Partial; p != nil {
		body = body[min(p.Offset, int64(len(body))):]
		return body[:min(p.Size, int64(len(body)))]
	}
	return body
}

// Store implements imapserver.Session.
func (x *session) Store(w *imapserver.FetchWriter, set imap.NumSet, store *imap.StoreFlags, _ *imap.StoreOptions) error {
	if x.readOnly {
		return refuse("READ-ONLY", "Mailbox is read-only.")
	}
	positions, changed := x.chosen(set)
	for n := range changed {
		m := &changed[n]
		m.Flags = slices.DeleteFunc(slices.Clone(m.Flags), func(held imap.Flag) bool {
			return store.Op == imap.StoreFlagsSet || slices.Contains(store.Flags, held)
		})
		if store.Op != imap.StoreFlagsDel {
			m.Flags = append(m.Flags, store.Flags...)
		}
	}
	if err := x.Mail.SetFlags(x.who.ID, x.box.ID, changed); err != nil {
		return failure(err)
	}
	for n, i := range positions {
		x.view[i] = changed[n]
	}
	if store.Silent {
		return nil
	}
	_, byUID := set.(imap.UIDSet)
	return x.Fetch(w, set, &imap.FetchOptions{Flags: true, UID: byUID})
}

// Copy implements imapserver.Session.
func (x *session) Copy(set imap.NumSet, to string) (*imap.CopyData, error) {
	return x.copy(set, to, false)
}

// Move implements imapserver.SessionMove. The poll after it tells the expunges.
func (x *session) Move(w *imapserver.MoveWriter, set imap.NumSet, to string) error {
	data, err := x.copy(set, to, true)
	if err != nil || data == nil {
		return err
	}
	return w.WriteCopyData(data)
}

func (x *session) copy(set imap.NumSet, to string, move bool) (*imap.CopyData, error) {
	_, messages := x.chosen(set)
	if len(messages) == 0 {
		return nil, nil
	}
	box, uids, err := x.Mail.Copy(x.who.ID, x.box.ID, to, messages, move)
	if err == mailstore.ErrNoMailbox {
		return nil, refuse(imap.ResponseCodeTryCreate, "Mailbox does not exist.")
	}
	if err != nil {
		return nil, failure(err)
	}
	data := &imap.CopyData{UIDValidity: box.UIDValidity, DestUIDs: imap.UIDSetNum(uids...)}
	for _, m := range messages {
		data.SourceUIDs.AddNum(m.UID)
	}
	return data, nil
}

// Expunge implements imapserver.Session. The poll after it tells the expunges.
func (x *session) Expunge(_ *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	if x.readOnly {
		return nil
	}
	var gone []mailstore.Message
	for i, m := range x.view {
		if m.HasFlag(imap.FlagDeleted) && (uids == nil || x.within(*uids, i)) {
			gone = append(gone, m)
		}
	}
	return failure(x.Mail.Expunge(x.who.ID, x.box.ID, gone))
}
