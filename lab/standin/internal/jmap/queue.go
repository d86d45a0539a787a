package jmap

import (
	"time"

	"tailwart.lab/standin/internal/registry"
)

// setQueue changes messages that wait: they can be tried at another time, or
// dropped, which tells nobody.
func (c *context) setQueue(changes registry.Changes, body map[string]any) map[string]any {
	updated, destroyed := map[string]any{}, []string{}
	for id, patch := range changes.Update {
		if why := c.retry(id, patch); why != nil {
			refuseAll(registry.Changes{Update: map[string]map[string]any{id: nil}}, body, why)
			continue
		}
		updated[id] = nil
	}
	for _, id := range changes.Destroy {
		if c.server.Backend.Unqueue(id) {
			destroyed = append(destroyed, id)
		} else {
			refuseAll(registry.Changes{Destroy: []string{id}}, body, &registry.Error{Type: "notFound"})
		}
	}
	if len(updated) > 0 {
		body["updated"] = updated
	}
	if len(destroyed) > 0 {
		body["destroyed"] = destroyed
	}
	return refuseAll(registry.Changes{Create: changes.Create}, body, &registry.Error{Type: "forbidden", Description: "Messages are queued by their arrival"})
}

func (c *context) retry(id string, patch map[string]any) *registry.Error {
	for name := range patch {
		if name != "nextRetry" {
			return &registry.Error{Type: "invalidPatch", Description: "Cannot modify read-only property", Properties: []string{name}}
		}
	}
	when, err := time.Parse(time.RFC3339, str(patch["nextRetry"]))
	if err != nil {
		return &registry.Error{Type: "invalidPatch", Description: "Failed to parse UTCDateTime from string", Properties: []string{"nextRetry"}}
	}
	if !c.server.Backend.Retry(id, when) {
		return &registry.Error{Type: "notFound"}
	}
	return nil
}
