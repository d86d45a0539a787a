package queue

import (
	"strings"
	"time"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/store"
)

// lockFor is how long a message rests whose delivery ended with its process:
// neither a stop nor a kill waits for it, and nobody else may take it over.
const lockFor = 10 * time.Minute

const lockPrefix = "queue-lock/"

func unlock(id uint64) store.Op { return store.Op{Space: "meta", Key: lockPrefix + key(id)} }

// lock notes in the store that a delivery runs.
func (q *Queue) lock(id uint64, now time.Time) error {
	op := unlock(id)
	op.Value = []byte(now.Add(lockFor).UTC().Format(time.RFC3339Nano))
	return q.Data.Apply(op)
}

// locks are those that an earlier process left behind.
func (q *Queue) locks() (map[uint64]time.Time, error) {
	found := map[uint64]time.Time{}
	err := q.Data.Range("meta", lockPrefix, func(name string, raw []byte) error {
		until, err := time.Parse(time.RFC3339Nano, string(raw))
		for id := range q.messages {
			if err == nil && key(id) == strings.TrimPrefix(name, lockPrefix) {
				found[id] = until
			}
		}
		return nil
	})
	return found, err
}

// ReleaseLocks forgets all locks in the store. This process goes by those that
// it read at its start: only the next one delivers.
func (q *Queue) ReleaseLocks() error {
	keys, err := store.Keys(q.Data, "meta", lockPrefix)
	if err != nil {
		return err
	}
	ops := make([]store.Op, 0, len(keys))
	for _, name := range keys {
		ops = append(ops, store.Op{Space: "meta", Key: name})
	}
	return q.Data.Apply(ops...)
}

// Running counts the deliveries that are under way.
func (q *Queue) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.busy)
}

// Retry sets when the waiting recipients of a message are tried again.
func (q *Queue) Retry(objectID string, when time.Time) bool {
	id, _ := ids.Decode(objectID)
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.messages[id]
	if m == nil {
		return false
	}
	for _, r := range m.Recipients {
		if pending(r) {
			r.Next = when.UTC()
		}
	}
	if q.save(m) != nil {
		return false
	}
	q.signal()
	return true
}
