// Package store keeps everything the server knows (objects, mail, the queue)
// in the data store that config.json names. A store is a set of named spaces
// of keys and values with atomic groups of writes.
package store

import (
	"strings"
)

// Spaces are the parts of the store; export writes one file for each.
var Spaces = []string{"object", "counter", "meta", "mailbox", "message", "blob", "queue"}

// Op is one write; a nil Value deletes the key.
type Op struct {
	Space, Key string
	Value      []byte
}

// Store is a data store.
type Store interface {
	// Get returns nil when the key is absent.
	Get(space, key string) ([]byte, error)
	// Range visits the keys with a prefix in order.
	Range(space, prefix string, visit func(key string, value []byte) error) error
	// Apply writes all operations or none.
	Apply(ops ...Op) error
	Close() error
}

// Keys lists the keys with a prefix.
func Keys(s Store, space, prefix string) ([]string, error) {
	var keys []string
	err := s.Range(space, prefix, func(k string, _ []byte) error {
		keys = append(keys, k)
		return nil
	})
	return keys, err
}

// Key joins the parts of a key.
func Key(parts ...string) string { return strings.Join(parts, "/") }
