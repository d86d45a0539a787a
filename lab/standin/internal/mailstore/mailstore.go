// Package mailstore keeps the mailboxes and messages of accounts.
package mailstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"tailwart.lab/standin/internal/blob"
	"tailwart.lab/standin/internal/store"
)

// Errors of mailbox operations.
var (
	ErrNoMailbox = errors.New("mailbox does not exist")
	ErrQuota     = errors.New("quota exceeded")
)

// Mailbox is a folder of an account. IDs count from 0: the inbox is 0.
type Mailbox struct {
	ID          uint32           `json:"id"`
	Name        string           `json:"name"`
	Role        imap.MailboxAttr `json:"role,omitempty"`
	UIDValidity uint32           `json:"uidValidity"`
	UIDNext     imap.UID         `json:"uidNext"`
}

// Message is one message in one mailbox.
type Message struct {
	UID      imap.UID    `json:"uid"`
	Blob     string      `json:"blob"`
	Flags    []imap.Flag `json:"flags"`
	Size     int64       `json:"size"`
	Received time.Time   `json:"received"`
}

// defaults are the mailboxes of a new account.
var defaults = []Mailbox{
	{ID: 0, Name: "INBOX"},
	{ID: 1, Name: "Deleted Items", Role: imap.MailboxAttrTrash},
	{ID: 2, Name: "Junk Mail", Role: imap.MailboxAttrJunk},
	{ID: 3, Name: "Drafts", Role: imap.MailboxAttrDrafts},
	{ID: 4, Name: "Sent Items", Role: imap.MailboxAttrSent},
}

// Mail is the mail of all accounts. One lock guards it: the lab's mailboxes are
// small and the data store serialises writes anyway.
type Mail struct {
	data  store.Store
	Blobs *blob.Blobs

	mu       sync.Mutex
	accounts map[string]*account
	watchers map[string]map[chan struct{}]bool
}

type account struct {
	boxes map[uint32]*Mailbox
	used  int64
}

// New makes a mail store.
func New(data store.Store, blobs *blob.Blobs) *Mail {
	return &Mail{data: data, Blobs: blobs, accounts: map[string]*account{}, watchers: map[string]map[chan struct{}]bool{}}
}

func boxKey(id string, box uint32) string { return fmt.Sprintf("%s/%08x", id, box) }

func messageKey(id string, box uint32, uid imap.UID) string {
	return fmt.Sprintf("%s/%08x/%08x", id, box, uid)
}

func encode(v any) []byte {
	raw, _ := json.Marshal(v)
	return raw
}

// load reads an account's mailboxes, creating the default ones.
func (m *Mail) load(id string) (*account, error) {
	if a := m.accounts[id]; a != nil {
		return a, nil
	}
	a := &account{boxes: map[uint32]*Mailbox{}}
	err := m.data.Range("mailbox", id+"/", func(_ string, raw []byte) error {
		var box Mailbox
		if err := json.Unmarshal(raw, &box); err != nil {
			return err
		}
		a.boxes[box.ID] = &box
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(a.boxes) == 0 {
		var ops []store.Op
		for _, d := range defaults {
			box := d
			box.UIDValidity, box.UIDNext = validity(id, d.Name), 1
			a.boxes[box.ID] = &box
			ops = append(ops, store.Op{Space: "mailbox", Key: boxKey(id, box.ID), Value: encode(box)})
		}
		if err := m.data.Apply(ops...); err != nil {
			return nil, err
		}
	}
	err = m.data.Range("message", id+"/", func(_ string, raw []byte) error {
		var msg Message
		if err := json.Unmarshal(raw, &msg); err != nil {
			return err
		}
		a.used += msg.Size
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.accounts[id] = a
	return a, nil
}

// validity differs between mailboxes of one name made at different times.
func validity(id, name string) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s/%d", id, name, time.Now().UnixNano())
	return h.Sum32() | 1
}

// Used is the size of an account's messages in bytes.
func (m *Mail) Used(id string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[id]; a != nil {
		return a.used
	}
	// An account without mail is not given mailboxes by a mere look at its size.
	if keys, err := store.Keys(m.data, "mailbox", id+"/"); err != nil || len(keys) == 0 {
		return 0
	}
	a, err := m.load(id)
	if err != nil {
		return 0
	}
	return a.used
}

// Mailboxes lists an account's mailboxes by name.
func (m *Mail) Mailboxes(id string) ([]Mailbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return nil, err
	}
	var out []Mailbox
	for _, b := range a.boxes {
		out = append(out, *b)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func (a *account) find(name string) *Mailbox {
	for _, b := range a.boxes {
		if b.Name == name || (strings.EqualFold(name, "INBOX") && b.ID == 0) {
			return b
		}
	}
	return nil
}

// Find returns a mailbox by its name; INBOX is found in any spelling.
func (m *Mail) Find(id, name string) (Mailbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return Mailbox{}, err
	}
	if b := a.find(name); b != nil {
		return *b, nil
	}
	return Mailbox{}, ErrNoMailbox
}

// Messages lists the messages of a mailbox by UID.
func (m *Mail) Messages(id string, box uint32) ([]Message, error) {
	var out []Message
	err := m.data.Range("message", boxKey(id, box)+"/", func(_ string, raw []byte) error {
		var msg Message
		if err := json.Unmarshal(raw, &msg); err != nil {
			return err
		}
		out = append(out, msg)
		return nil
	})
	return out, err
}

// Append stores a message and returns it with its UID. quota 0 means no limit.
func (m *Mail) Append(id, name string, body []byte, flags []imap.Flag, received time.Time, quota int64) (Mailbox, Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return Mailbox{}, Message{}, err
	}
	box := a.find(name)
	if box == nil {
		return Mailbox{}, Message{}, ErrNoMailbox
	}
	if quota > 0 && a.used+int64(len(body)) > quota {
		return Mailbox{}, Message{}, ErrQuota
	}
	blobID, err := m.Blobs.Put(body)
	if err != nil {
		return Mailbox{}, Message{}, err
	}
	next := *box
	msg := Message{UID: next.UIDNext, Blob: blobID, Flags: flags, Size: int64(len(body)), Received: received.UTC().Truncate(time.Second)}
	next.UIDNext++
	err = m.data.Apply(
		store.Op{Space: "mailbox", Key: boxKey(id, box.ID), Value: encode(next)},
		store.Op{Space: "message", Key: messageKey(id, box.ID, msg.UID), Value: encode(msg)})
	if err != nil {
		return Mailbox{}, Message{}, err
	}
	*box = next
	a.used += msg.Size
	m.notify(id, box.ID)
	return next, msg, nil
}

// SetFlags replaces the flags of messages.
func (m *Mail) SetFlags(id string, box uint32, messages []Message) error {
	var ops []store.Op
	for _, msg := range messages {
		ops = append(ops, store.Op{Space: "message", Key: messageKey(id, box, msg.UID), Value: encode(msg)})
	}
	if len(ops) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.data.Apply(ops...); err != nil {
		return err
	}
	m.notify(id, box)
	return nil
}

// Copy puts messages into another mailbox, and removes them when moving. It
// returns the new UIDs in the order of the messages.
func (m *Mail) Copy(id string, from uint32, to string, messages []Message, move bool) (Mailbox, []imap.UID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return Mailbox{}, nil, err
	}
	box := a.find(to)
	if box == nil {
		return Mailbox{}, nil, ErrNoMailbox
	}
	next := *box
	var ops []store.Op
	var uids []imap.UID
	var size int64
	for _, msg := range messages {
		if move {
			ops = append(ops, store.Op{Space: "message", Key: messageKey(id, from, msg.UID)})
		} else {
			size += msg.Size
		}
		msg.UID = next.UIDNext
		next.UIDNext++
		uids = append(uids, msg.UID)
		ops = append(ops, store.Op{Space: "message", Key: messageKey(id, box.ID, msg.UID), Value: encode(msg)})
	}
	ops = append(ops, store.Op{Space: "mailbox", Key: boxKey(id, box.ID), Value: encode(next)})
	if err := m.data.Apply(ops...); err != nil {
		return Mailbox{}, nil, err
	}
	*box = next
	a.used += size
	m.notify(id, box.ID)
	m.notify(id, from)
	return next, uids, nil
}

// Expunge removes messages.
func (m *Mail) Expunge(id string, box uint32, messages []Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return err
	}
	var ops []store.Op
	var size int64
	for _, msg := range messages {
		size += msg.Size
		ops = append(ops, store.Op{Space: "message", Key: messageKey(id, box, msg.UID)})
	}
	if len(ops) == 0 {
		return nil
	}
	if err := m.data.Apply(ops...); err != nil {
		return err
	}
	a.used -= size
	m.notify(id, box)
	return nil
}

// Watch returns a channel that is signalled when a mailbox changes, and a
// function that ends the watch.
func (m *Mail) Watch(id string, box uint32) (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ch := boxKey(id, box), make(chan struct{}, 1)
	if m.watchers[key] == nil {
		m.watchers[key] = map[chan struct{}]bool{}
	}
	m.watchers[key][ch] = true
	return ch, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers[key], ch)
	}
}

func (m *Mail) notify(id string, box uint32) {
	for ch := range m.watchers[boxKey(id, box)] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// HasFlag looks for a flag in any spelling.
func (msg *Message) HasFlag(flag imap.Flag) bool {
	return slices.ContainsFunc(msg.Flags, func(f imap.Flag) bool { return strings.EqualFold(string(f), string(flag)) })
}

// Erase removes everything of an account, at once.
func (m *Mail) Erase(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, id)
	var ops []store.Op
	for _, space := range []string{"mailbox", "message"} {
		keys, err := store.Keys(m.data, space, id+"/")
		if err != nil {
			return err
		}
		for _, k := range keys {
			ops = append(ops, store.Op{Space: space, Key: k})
		}
	}
	if len(ops) == 0 {
		return nil
	}
	return m.data.Apply(ops...)
}
