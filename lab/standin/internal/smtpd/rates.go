package smtpd

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/registry"
)

// Rates counts what x:MtaInboundThrottle objects limit. The counts are in
// memory; the real server's survive a restart.
type Rates struct {
	mu     sync.Mutex
	counts map[string]*window
}

type window struct {
	since time.Time
	count int
}

// perRecipient are the keys that make a limit one of recipients.
var perRecipient = map[string]bool{"rcpt": true, "rcptDomain": true}

// variables are the names of the keys in expressions.
var variables = map[string]string{
	"listener": "listener", "remoteIp": "remote_ip", "authenticatedAs": "authenticated_as", "heloDomain": "helo_domain",
	"sender": "sender", "senderDomain": "sender_domain", "rcpt": "rcpt", "rcptDomain": "rcpt_domain",
}

// withinRates counts this message, or this recipient of it, against every limit
// that holds for it.
func (x *session) withinRates(recipient bool) bool {
	env := x.env()
	within := true
	for _, o := range x.Registry.List("MtaInboundThrottle") {
		keys, _ := o.Value["key"].(map[string]any)
		ofRecipient := false
		for key := range keys {
			ofRecipient = ofRecipient || perRecipient[key]
		}
		if o.Value["enable"] != true || ofRecipient != recipient || !expr.Truth(expr.Choose(o.Value["match"], env)) {
			continue
		}
		within = x.Rates.take(o, keys, env) && within
	}
	return within
}

func (r *Rates) take(o registry.Object, keys map[string]any, env expr.Env) bool {
	rate, _ := o.Value["rate"].(map[string]any)
	count, _ := rate["count"].(float64)
	period, _ := rate["period"].(float64)
	place := o.ID
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		if keys[key] == true {
			place += fmt.Sprintf("\x00%s=%v", key, env[variables[key]])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]*window{}
	}
	w := r.counts[place]
	if w == nil || time.Since(w.since) > time.Duration(period)*time.Millisecond {
		w = &window{since: time.Now()}
		r.counts[place] = w
	}
	w.count++
	return float64(w.count) <= count
}
