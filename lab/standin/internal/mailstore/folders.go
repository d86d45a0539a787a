package mailstore

import (
	"strings"

	"tailwart.lab/standin/internal/store"
)

// Create makes a mailbox.
func (m *Mail) Create(id, name, role string) (Mailbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return Mailbox{}, err
	}
	name = strings.TrimSuffix(name, "/")
	if a.find(name) != nil {
		return Mailbox{}, ErrExists
	}
	box := &Mailbox{Name: name, Role: role, UIDValidity: validity(id, name), UIDNext: 1, Subscribed: true}
	for _, b := range a.boxes {
		box.ID = max(box.ID, b.ID+1)
	}
	if err := m.data.Apply(store.Op{Space: "mailbox", Key: boxKey(id, box.ID), Value: encode(box)}); err != nil {
		return Mailbox{}, err
	}
	a.boxes[box.ID] = box
	return *box, nil
}

// Delete removes a mailbox and its messages. The inbox stays.
func (m *Mail) Delete(id, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return err
	}
	box := a.find(name)
	switch {
	case box == nil:
		return ErrNoMailbox
	case box.ID == 0:
		return ErrProtected
	}
	messages, err := m.Messages(id, box.ID)
	if err != nil {
		return err
	}
	ops := []store.Op{{Space: "mailbox", Key: boxKey(id, box.ID)}}
	for _, msg := range messages {
		a.used -= msg.Size
		ops = append(ops, store.Op{Space: "message", Key: messageKey(id, box.ID, msg.UID)})
	}
	delete(a.boxes, box.ID)
	return m.data.Apply(ops...)
}

// Rename gives a mailbox another name; children follow.
func (m *Mail) Rename(id, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return err
	}
	box := a.find(from)
	switch {
	case box == nil:
		return ErrNoMailbox
	case box.ID == 0:
		return ErrProtected
	case a.find(to) != nil:
		return ErrExists
	}
	return m.change(id, a, func(b *Mailbox) bool {
		if b.ID == box.ID {
			b.Name = to
			return true
		}
		rest, child := strings.CutPrefix(b.Name, from+"/")
		if child {
			b.Name = to + "/" + rest
		}
		return child
	})
}

// Subscribe sets whether a mailbox is subscribed.
func (m *Mail) Subscribe(id, name string, subscribed bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(id)
	if err != nil {
		return err
	}
	box := a.find(name)
	if box == nil {
		return ErrNoMailbox
	}
	return m.change(id, a, func(b *Mailbox) bool {
		if b.ID == box.ID {
			b.Subscribed = subscribed
		}
		return b.ID == box.ID
	})
}

func (m *Mail) change(id string, a *account, edit func(*Mailbox) bool) error {
	changed := map[uint32]*Mailbox{}
	var ops []store.Op
	for _, b := range a.boxes {
		next := *b
		if edit(&next) {
			changed[b.ID] = &next
			ops = append(ops, store.Op{Space: "mailbox", Key: boxKey(id, b.ID), Value: encode(next)})
		}
	}
	if err := m.data.Apply(ops...); err != nil {
		return err
	}
	for boxID, b := range changed {
		a.boxes[boxID] = b
	}
	return nil
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
