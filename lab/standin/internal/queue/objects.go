package queue

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/registry"
)

// Objects lists the queue as x:QueuedMessage objects.
func (q *Queue) Objects() []registry.Object {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []registry.Object
	for _, id := range slices.Sorted(maps.Keys(q.messages)) {
		m := q.messages[id]
		recipients := map[string]any{}
		var next any
		for _, r := range m.Recipients {
			recipients[r.Address] = q.recipient(m, r)
			if pending(r) {
				next = stamp(r.Next)
			}
		}
		out = append(out, registry.Object{ID: ids.Encode(id), Value: map[string]any{
			"blobId": m.Blob, "createdAt": stamp(m.Created), "envId": nil, "flags": map[string]any{m.Source: true},
			"nextNotify": stamp(m.Created.Add(notifyAfter)), "nextRetry": next, "priority": float64(0),
			"receivedFromIp": m.ReceivedFrom.String(), "receivedViaPort": float64(m.Port),
			"recipients": recipients, "returnPath": m.From, "size": float64(m.Size),
		}})
	}
	return out
}

// notifyAfter is when a sender is first told that a message waits.
const notifyAfter = 24 * time.Hour

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (q *Queue) recipient(m *Message, r *Recipient) map[string]any {
	queue := r.Queue
	if queue == "" {
		queue = expr.Text(expr.Choose(q.strategy["schedule"], q.env(m, r)))
	}
	return map[string]any{
		"retryCount": float64(r.Attempts), "retryDue": stamp(r.Next), "notifyCount": float64(0), "notifyDue": stamp(m.Created.Add(notifyAfter)),
		"expires":   map[string]any{"@type": "Ttl", "expiresAt": stamp(m.Created.Add(expiry))},
		"queueName": queue, "flags": map[string]any{}, "orcpt": nil, "status": r.status(),
	}
}

// status is how far a recipient has come, in the server's terms.
func (r *Recipient) status() map[string]any {
	response := map[string]any{"responseHostname": unlessZero(r.Host), "responseCode": unlessZero(float64(r.Code)), "responseEnhanced": nil, "responseMessage": nil}
	switch r.Status {
	case "delivered":
		response["@type"] = "Completed"
		return response
	case "temporary", "failed":
		response["@type"] = map[string]string{"temporary": "TemporaryFailure", "failed": "PermanentFailure"}[r.Status]
		response["errorType"], response["errorMessage"], response["errorCommand"] = cmp.Or(r.Kind, "io"), r.Last, nil
		if r.Code != 0 {
			response["responseMessage"] = r.Last
		}
		return response
	}
	return map[string]any{"@type": "Scheduled"}
}

func unlessZero[T comparable](value T) any {
	var zero T
	if value == zero {
		return nil
	}
	return value
}
