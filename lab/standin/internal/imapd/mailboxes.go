package imapd

import (
	"io"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"tailwart.lab/standin/internal/mailstore"
)

// Namespace implements imapserver.SessionNamespace.
func (x *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: '/'}}}, nil
}

// List implements imapserver.Session.
func (x *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if len(patterns) == 0 {
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: '/'})
	}
	boxes, err := x.Mail.Mailboxes(x.who.ID)
	if err != nil {
		return failure(err)
	}
	for _, box := range boxes {
		if !slices.ContainsFunc(patterns, func(p string) bool { return imapserver.MatchList(box.Name, '/', ref, p) }) {
			continue
		}
		data := &imap.ListData{Delim: '/', Mailbox: box.Name}
		if box.Role != "" {
			data.Attrs = []imap.MailboxAttr{box.Role}
		}
		if options.ReturnStatus != nil {
			if data.Status, err = x.Status(box.Name, options.ReturnStatus); err != nil {
				return err
			}
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// Select implements imapserver.Session.
func (x *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	box, err := x.Mail.Find(x.who.ID, name)
	if err != nil {
		return nil, failure(err)
	}
	messages, err := x.Mail.Messages(x.who.ID, box.ID)
	if err != nil {
		return nil, failure(err)
	}
	x.box, x.view, x.readOnly = &box, messages, options.ReadOnly
	return &imap.SelectData{
		NumMessages: uint32(len(messages)), UIDNext: box.UIDNext, UIDValidity: box.UIDValidity,
	}, nil
}

// Unselect implements imapserver.Session.
func (x *session) Unselect() error {
	x.box, x.view = nil, nil
	return nil
}

// Status implements imapserver.Session.
func (x *session) Status(name string, _ *imap.StatusOptions) (*imap.StatusData, error) {
	box, err := x.Mail.Find(x.who.ID, name)
	if err != nil {
		return nil, failure(err)
	}
	messages, err := x.Mail.Messages(x.who.ID, box.ID)
	if err != nil {
		return nil, failure(err)
	}
	all, unseen, deleted, recent, size := uint32(len(messages)), uint32(0), uint32(0), uint32(0), int64(0)
	for _, m := range messages {
		if !m.HasFlag(imap.FlagSeen) {
			unseen++
		}
		if m.HasFlag(imap.FlagDeleted) {
			deleted++
		}
		size += m.Size
	}
	return &imap.StatusData{
		Mailbox: box.Name, NumMessages: &all, UIDNext: box.UIDNext, UIDValidity: box.UIDValidity, NumUnseen: &unseen,
		NumDeleted: &deleted, Size: &size, NumRecent: &recent, DeletedStorage: new(int64),
	}, nil
}

// Append implements imapserver.Session.
func (x *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	received := options.Time
	if received.IsZero() {
		received = time.Now()
	}
	quotas, _ := x.Registry.Get("Account", x.who.ID)["quotas"].(map[string]any)
	limit, _ := quotas["maxDiskQuota"].(float64)
	box, message, err := x.Mail.Append(x.who.ID, name, body, options.Flags, received, int64(limit))
	if err == mailstore.ErrNoMailbox {
		return nil, refuse(imap.ResponseCodeTryCreate, "Mailbox does not exist.")
	}
	if err == nil && x.box != nil && x.box.ID == box.ID {
		// The server does not tell the session that wrote it: it knows.
		x.view = append(x.view, message)
	}
	return &imap.AppendData{UID: message.UID, UIDValidity: box.UIDValidity}, failure(err)
}

// Poll implements imapserver.Session: it tells what others changed.
func (x *session) Poll(w *imapserver.UpdateWriter, expunge bool) error {
	if x.box == nil {
		return nil
	}
	current, err := x.Mail.Messages(x.who.ID, x.box.ID)
	if err != nil {
		return err
	}
	byUID := make(map[imap.UID]mailstore.Message, len(current))
	for _, m := range current {
		byUID[m.UID] = m
	}
	for i := len(x.view) - 1; expunge && i >= 0; i-- {
		if _, there := byUID[x.view[i].UID]; !there {
			x.view = slices.Delete(x.view, i, i+1)
			if err := w.WriteExpunge(uint32(i + 1)); err != nil {
				return err
			}
		}
	}
	last := imap.UID(0)
	for i := range x.view {
		last = x.view[i].UID
		if m, there := byUID[last]; there && !slices.Equal(m.Flags, x.view[i].Flags) {
			x.view[i] = m
			if err := w.WriteMessageFlags(uint32(i+1), m.UID, m.Flags); err != nil {
				return err
			}
		}
	}
	before := len(x.view)
	for _, m := range current {
		if m.UID > last {
			x.view = append(x.view, m)
		}
	}
	if len(x.view) > before {
		return w.WriteNumMessages(uint32(len(x.view)))
	}
	return nil
}

// Idle implements imapserver.Session.
func (x *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	var changes <-chan struct{}
	if x.box != nil {
		watch, end := x.Mail.Watch(x.who.ID, x.box.ID)
		defer end()
		changes = watch
	}
	for {
		select {
		case <-stop:
			return nil
		case <-changes:
			if err := x.Poll(w, true); err != nil {
				return err
			}
		}
	}
}
