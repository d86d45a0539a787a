// Package queue keeps messages until they are delivered: into a local account,
// through a relay, or to the recipient's mail exchangers.
package queue

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"tailwart.lab/standin/internal/blob"
	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/mailstore"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/sieve"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/trace"
)

// Recipient is one address of a message and how far it has come.
type Recipient struct {
	Address string `json:"address"`
	// Status is "scheduled", "temporary", "delivered" or "failed".
	Status   string    `json:"status"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Last     string    `json:"last,omitempty"`
	// Kind, Host and Code say what failed last, at which server, with which reply.
	Kind string `json:"kind,omitempty"`
	Host string `json:"host,omitempty"`
	Code int    `json:"code,omitempty"`
	// Queue is the virtual queue of the last attempt.
	Queue string `json:"queue,omitempty"`
	// TLS says that the last failure was one of TLS, which the strategy may answer.
	TLS bool `json:"tls,omitempty"`
}

// Message is a queued message.
type Message struct {
	ID         uint64       `json:"id"`
	From       string       `json:"from"`
	Recipients []*Recipient `json:"recipients"`
	Blob       string       `json:"blob"`
	Size       int          `json:"size"`
	Created    time.Time    `json:"created"`
	// Source is "authenticated", "unauthenticated" or "dsn".
	Source       string     `json:"source"`
	ReceivedFrom netip.Addr `json:"receivedFrom"`
	Port         uint16     `json:"port"`
}

// Hex is the id as replies and Received headers show it.
func (m *Message) Hex() string { return strconv.FormatUint(m.ID, 16) }

// Queue is the queue of the server.
type Queue struct {
	Data      store.Store
	Blobs     *blob.Blobs
	Mail      *mailstore.Mail
	Registry  *registry.Registry
	Directory *directory.Directory
	Log       *trace.Log
	Clock     *ids.Clock
	Hostname  func() string
	Sieve     *sieve.Scripts
	// OnTraffic is told about each local delivery (rate keys of the in-memory store).
	OnTraffic func(account string)

	mu       sync.Mutex
	messages map[uint64]*Message
	busy     map[uint64]bool
	// locked are messages whose delivery an earlier process did not finish, and until when they rest.
	locked   map[uint64]time.Time
	paused   bool
	wake     chan struct{}
	routes   map[string]map[string]any
	strategy map[string]any
	slots    chan struct{}
}

// Start reads the queue, builds the route table and begins to deliver. The
// table is built once: routes and the strategy written later count at the next
// start.
func (q *Queue) Start() error {
	q.messages, q.busy = map[uint64]*Message{}, map[uint64]bool{}
	q.wake, q.slots = make(chan struct{}, 1), make(chan struct{}, 25)
	q.routes = map[string]map[string]any{}
	for _, route := range q.Registry.Values("MtaRoute") {
		q.routes[expr.Text(route["name"])] = route
	}
	q.strategy = q.Registry.Singleton("MtaOutboundStrategy")
	err := q.Data.Range("queue", "", func(key string, raw []byte) error {
		var m Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("queued message %s: %w", key, err)
		}
		q.messages[m.ID] = &m
		return nil
	})
	if err != nil {
		return err
	}
	if q.locked, err = q.locks(); err != nil {
		return err
	}
	q.Log.Info("MTA queue started", "queue.started")
	go q.loop()
	return nil
}

// Pause stops or resumes deliveries.
func (q *Queue) Pause(paused bool) {
	q.mu.Lock()
	q.paused = paused
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Add stores a message for delivery.
func (q *Queue) Add(m *Message, body []byte) error {
	id, err := q.Blobs.Put(body)
	if err != nil {
		return err
	}
	m.Blob, m.Size, m.Created = id, len(body), time.Now().UTC()
	if m.ID == 0 {
		m.ID = q.Clock.Next()
	}
	for _, r := range m.Recipients {
		r.Status, r.Next = "scheduled", m.Created
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.save(m); err != nil {
		return err
	}
	q.messages[m.ID] = m
	q.signal()
	return nil
}

func key(id uint64) string { return fmt.Sprintf("%016x", id) }

func (q *Queue) save(m *Message, more ...store.Op) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return q.Data.Apply(append(more, store.Op{Space: "queue", Key: key(m.ID), Value: raw})...)
}

func (q *Queue) loop() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-q.wake:
		case <-ticker.C:
		}
		for _, m := range q.due() {
			q.slots <- struct{}{}
			go func() {
				defer func() { <-q.slots }()
				q.attempt(m)
			}()
		}
	}
}

// due marks the messages with a recipient whose time has come.
func (q *Queue) due() []*Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*Message
	if q.paused {
		return nil
	}
	now := time.Now()
	for id, m := range q.messages {
		if q.busy[id] || q.locked[id].After(now) || !slices.ContainsFunc(m.Recipients, func(r *Recipient) bool { return pending(r) && !r.Next.After(now) }) {
			continue
		}
		if err := q.lock(id, now); err != nil {
			q.Log.Emit("error", "Data store error", "store.data-write-error", "reason", store.Reason(err))
			continue
		}
		q.busy[id] = true
		out = append(out, m)
	}
	return out
}

func pending(r *Recipient) bool { return r.Status == "scheduled" || r.Status == "temporary" }

// finish stores what an attempt achieved, or forgets a message that is done.
func (q *Queue) finish(m *Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, m.ID)
	if q.messages[m.ID] == nil {
		return
	}
	if slices.ContainsFunc(m.Recipients, pending) {
		if err := q.save(m, unlock(m.ID)); err != nil {
			q.Log.Emit("error", "Data store error", "store.data-write-error", "reason", store.Reason(err))
		}
		return
	}
	if err := q.Data.Apply(store.Op{Space: "queue", Key: key(m.ID)}, unlock(m.ID)); err != nil {
		q.Log.Emit("error", "Data store error", "store.data-write-error", "reason", store.Reason(err))
		return
	}
	delete(q.messages, m.ID)
	q.discard(m)
}

// discard removes the body of a message that left the queue, unless another
// queued message (one passed on by a list) has the same. What was delivered is
// stored apart, with its Delivered-To line.
func (q *Queue) discard(m *Message) {
	for _, other := range q.messages {
		if other.Blob == m.Blob {
			return
		}
	}
	// A store that is far away or gone must not hold up the queue.
	go func() {
		if err := q.Blobs.Delete(m.Blob); err != nil {
			q.Log.Emit("error", "Blob store error", "store.blob-delete-error", "queueId", m.ID, "reason", err.Error())
		}
	}()
}

// Drop forgets a message.
func (q *Queue) Drop(objectID string) bool {
	id, _ := ids.Decode(objectID)
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.messages[id]
	if m == nil || q.Data.Apply(store.Op{Space: "queue", Key: key(id)}, unlock(id)) != nil {
		return false
	}
	delete(q.messages, id)
	q.discard(m)
	return true
}
