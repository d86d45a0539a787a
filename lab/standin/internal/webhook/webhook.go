// Package webhook posts events to the receivers that x:WebHook objects name.
package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/trace"
)

// Senders are the receivers of the settings as they were last read.
type Senders struct {
	mu      sync.Mutex
	hooks   []map[string]any
	counter atomic.Uint64
}

type event struct {
	ID        string         `json:"id"`
	CreatedAt string         `json:"createdAt"`
	Type      string         `json:"type"`
	Data      map[string]any `json:"data"`
}

// Configure replaces the receivers.
func (s *Senders) Configure(hooks []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = nil
	for _, hook := range hooks {
		if hook["enable"] == true {
			s.hooks = append(s.hooks, hook)
		}
	}
}

// Tell posts an event to every receiver that wants it. One that does not answer
// is not asked again: the real server tries until discardAfter.
func (s *Senders) Tell(code string, fields []any) {
	s.mu.Lock()
	hooks := s.hooks
	s.mu.Unlock()
	for _, hook := range hooks {
		events, _ := hook["events"].(map[string]any)
		if (events[code] == true) != (hook["eventsPolicy"] == "include") {
			continue
		}
		now := time.Now().UTC()
		data := map[string]any{}
		for i := 0; i+1 < len(fields); i += 2 {
			if name, ok := fields[i].(string); ok {
				data[name] = plain(fields[i+1])
			}
		}
		e := event{strconv.FormatUint(uint64(now.Unix()), 10) + strconv.FormatUint(s.counter.Add(1), 10), now.Format(time.RFC3339), code, data}
		go post(hook, e)
	}
}

func plain(v any) any {
	switch v := v.(type) {
	case trace.Raw:
		return string(v)
	case string, bool, int, uint64, float64, []string:
		return v
	}
	return trace.Text(v)
}

func post(hook map[string]any, e event) {
	body, err := json.Marshal(map[string]any{"events": []event{e}})
	if err != nil {
		return
	}
	request, err := http.NewRequest(http.MethodPost, config.Text(hook, "url", ""), bytes.NewReader(body))
	if err != nil {
		return
	}
	request.Header.Set("Content-Type", "application/json")
	headers, _ := hook["httpHeaders"].(map[string]any)
	for name, value := range headers {
		text, _ := value.(string)
		request.Header.Set(name, text)
	}
	if key, err := config.Secret(hook["signatureKey"]); err == nil && key != "" {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(body)
		request.Header.Set("X-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	auth, _ := hook["httpAuth"].(map[string]any)
	switch auth["@type"] {
	case "Bearer":
		if token, err := config.Secret(auth["bearerToken"]); err == nil {
			request.Header.Set("Authorization", "Bearer "+token)
		}
	case "Basic":
		if secret, err := config.Secret(auth["secret"]); err == nil {
			request.SetBasicAuth(config.Text(auth, "username", ""), secret)
		}
	}
	client := http.Client{Timeout: 30 * time.Second}
	if answer, err := client.Do(request); err == nil {
		answer.Body.Close()
	}
}
