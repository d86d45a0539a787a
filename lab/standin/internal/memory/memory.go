// Package memory uses the in-memory store that x:InMemoryStore names: counters
// with an expiry, in Redis when it is configured.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"tailwart.lab/standin/internal/trace"
)

// Store counts events. Without Redis it does nothing: the data store needs no
// counters of this kind.
type Store struct {
	Log *trace.Log

	mu     sync.Mutex
	url    string
	client *redis.Client
}

// Use switches to the store that an x:InMemoryStore object describes. An
// endpoint that cannot be reached is no error here, as on the real server.
func (s *Store) Use(object map[string]any) {
	url, _ := object["url"].(string)
	if object["@type"] != "Redis" {
		url = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if url == s.url {
		return
	}
	if s.client != nil {
		s.client.Close()
	}
	s.url, s.client = url, nil
	if url == "" {
		return
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		s.Log.Emit("error", "Redis error", "store.redis-error", "reason", "invalid URL")
		return
	}
	options.DialTimeout, options.MaxRetries = 3*time.Second, 1
	s.client = redis.NewClient(options)
}

// Count notes an event of a kind for a subject, for an hour.
func (s *Store) Count(kind, subject string) {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		key := "standin:" + kind + ":" + subject
		pipe := client.Pipeline()
		pipe.Incr(ctx, key)
		pipe.Expire(ctx, key, time.Hour)
		if _, err := pipe.Exec(ctx); err != nil {
			s.Log.Emit("error", "Redis error", "store.redis-error", "reason", err.Error())
		}
	}()
}
