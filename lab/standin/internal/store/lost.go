package store

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Lost is what stands in when the configured store could not be set up at
// start. The server runs on, answers as if it wrote, and forgets everything
// with the process: the failure that the healthcheck gate exists to prevent.
type Lost struct {
	mu     sync.RWMutex
	spaces map[string]map[string][]byte
	// OnWrite is told about every write that is not kept.
	OnWrite func()
}

// NewLost makes an empty one.
func NewLost(onWrite func()) *Lost {
	return &Lost{spaces: map[string]map[string][]byte{}, OnWrite: onWrite}
}

// Get implements Store.
func (l *Lost) Get(space, key string) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.spaces[space][key], nil
}

// Range implements Store.
func (l *Lost) Range(space, prefix string, visit func(string, []byte) error) error {
	l.mu.RLock()
	entries := maps.Clone(l.spaces[space])
	l.mu.RUnlock()
	for _, k := range slices.Sorted(maps.Keys(entries)) {
		if strings.HasPrefix(k, prefix) {
			if err := visit(k, entries[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Apply implements Store.
func (l *Lost) Apply(ops ...Op) error {
	l.mu.Lock()
	for _, op := range ops {
		if l.spaces[op.Space] == nil {
			l.spaces[op.Space] = map[string][]byte{}
		}
		if op.Value == nil {
			delete(l.spaces[op.Space], op.Key)
		} else {
			l.spaces[op.Space][op.Key] = op.Value
		}
	}
	l.mu.Unlock()
	if l.OnWrite != nil {
		l.OnWrite()
	}
	return nil
}

// Close implements Store.
func (l *Lost) Close() error { return nil }
