// Package sieve keeps people's scripts and runs the active one on a message.
// The language is go-sieve's: no include, no vacation, no editheader, no reject.
package sieve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"net/textproto"
	"strings"

	"github.com/foxcpp/go-sieve"
	"github.com/foxcpp/go-sieve/interp"

	"tailwart.lab/standin/internal/store"
)

const space = "meta"

// Script is one script of an account. At most one is active.
type Script struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Contents string `json:"contents"`
	Active   bool   `json:"active"`
}

// Scripts are those of all accounts.
type Scripts struct{ Data store.Store }

func prefix(account string) string { return "sieve/" + account + "/" }

// List is every script of an account, by id.
func (s *Scripts) List(account string) ([]Script, error) {
	var out []Script
	err := s.Data.Range(space, prefix(account), func(_ string, raw []byte) error {
		var script Script
		err := json.Unmarshal(raw, &script)
		out = append(out, script)
		return err
	})
	return out, err
}

// Check says what is wrong with a script.
func Check(contents string) error {
	_, err := sieve.Load(strings.NewReader(contents), sieve.DefaultOptions())
	return err
}

// Put stores scripts of an account, all or none.
func (s *Scripts) Put(account string, scripts ...Script) error {
	var ops []store.Op
	for _, script := range scripts {
		raw, err := json.Marshal(script)
		if err != nil {
			return err
		}
		ops = append(ops, store.Op{Space: space, Key: prefix(account) + script.ID, Value: raw})
	}
	if len(ops) == 0 {
		return nil
	}
	return s.Data.Apply(ops...)
}

// Remove forgets a script.
func (s *Scripts) Remove(account, id string) error {
	return s.Data.Apply(store.Op{Space: space, Key: prefix(account) + id})
}

// Outcome is what a script wants done with a message.
type Outcome struct {
	Mailboxes []string
	Redirect  []string
}

// Run asks an account's active script where a message belongs. Without one, or
// when it fails, the message belongs in the inbox.
func (s *Scripts) Run(account, from, to string, message []byte) (Outcome, error) {
	inbox := Outcome{Mailboxes: []string{"INBOX"}}
	scripts, err := s.List(account)
	if err != nil {
		return inbox, err
	}
	for _, script := range scripts {
		if script.Active {
			return evaluate(script.Contents, from, to, message)
		}
	}
	return inbox, nil
}

func evaluate(contents, from, to string, message []byte) (Outcome, error) {
	inbox := Outcome{Mailboxes: []string{"INBOX"}}
	loaded, err := sieve.Load(strings.NewReader(contents), sieve.DefaultOptions())
	if err != nil {
		return inbox, fmt.Errorf("script does not compile: %w", err)
	}
	header := textproto.MIMEHeader{}
	if parsed, err := mail.ReadMessage(bytes.NewReader(message)); err == nil {
		header = textproto.MIMEHeader(parsed.Header)
	}
	data := sieve.NewRuntimeData(loaded, interp.DummyPolicy{}, interp.EnvelopeStatic{From: from, To: to},
		interp.MessageStatic{Size: len(message), Header: header})
	if err := loaded.Execute(context.Background(), data); err != nil {
		return inbox, err
	}
	out := Outcome{Mailboxes: data.Mailboxes, Redirect: data.RedirectAddr}
	if data.Keep || data.ImplicitKeep {
		out.Mailboxes = append(out.Mailboxes, "INBOX")
	}
	return out, nil
}
