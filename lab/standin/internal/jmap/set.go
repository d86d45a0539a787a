package jmap

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
)

func objects(v any) map[string]map[string]any {
	m, _ := v.(map[string]any)
	out := make(map[string]map[string]any, len(m))
	for key, value := range m {
		if o, ok := value.(map[string]any); ok {
			out[key] = o
		} else {
			out[key] = map[string]any{}
		}
	}
	return out
}

// keyOrder lists the keys of an object member in the order of the text: objects
// are created, and numbered, in the order of the request.
func keyOrder(raw json.RawMessage, member string) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members[member] == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(members[member]))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var keys []string
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		var skipped json.RawMessage
		if err != nil || !ok || dec.Decode(&skipped) != nil {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

func (c *context) set(kind *schema.Kind, args map[string]any, order []string) map[string]any {
	changes := registry.Changes{Order: order, Create: objects(args["create"]), Update: objects(args["update"]), Destroy: strs(args["destroy"])}
	if len(changes.Create)+len(changes.Update)+len(changes.Destroy) > maxObjects {
		return methodError("requestTooLarge", "The number of objects in the set request exceeds the maximum number the server is willing to process in a single method call")
	}
	for key, value := range changes.Create {
		changes.Create[key], _ = c.references(value).(map[string]any)
	}
	for key, value := range changes.Update {
		changes.Update[key], _ = c.references(value).(map[string]any)
	}
	body := map[string]any{"accountId": c.who.ID}
	switch kind.Name {
	case "Action":
		c.act(changes, body)
		return body
	case "ApiKey", "AppPassword":
		return c.setKeys(kind, changes, body)
	case "AccountSettings":
		return refuseAll(changes, body, &registry.Error{Type: "forbidden", Description: "This stand-in lets administrators alone change accounts"})
	case "DataStore":
		return refuseAll(changes, body, &registry.Error{Type: "forbidden", Description: "The data store is configured in config.json"})
	case "QueuedMessage":
		return c.setQueue(changes, body)
	}
	results, err := c.server.Registry.Set(kind.Name, changes)
	if err != nil {
		return methodError("serverFail", "Data store error")
	}
	return c.report(results, body)
}

func (c *context) report(results *registry.Results, body map[string]any) map[string]any {
	put := func(name string, size int, value any) {
		if size > 0 {
			body[name] = value
		}
	}
	created := map[string]any{}
	for key, id := range results.Created {
		created[key] = map[string]any{"id": id}
		c.created[key] = id
	}
	updated := map[string]any{}
	for _, id := range results.Updated {
		updated[id] = nil
	}
	put("created", len(created), created)
	put("updated", len(updated), updated)
	put("destroyed", len(results.Destroyed), results.Destroyed)
	put("notCreated", len(results.NotCreated), results.NotCreated)
	put("notUpdated", len(results.NotUpdated), results.NotUpdated)
	put("notDestroyed", len(results.NotDestroyed), results.NotDestroyed)
	return body
}

func refuseAll(changes registry.Changes, body map[string]any, why *registry.Error) map[string]any {
	refuse := func(name, key string) {
		if body[name] == nil {
			body[name] = map[string]any{}
		}
		body[name].(map[string]any)[key] = why
	}
	for key := range changes.Create {
		refuse("notCreated", key)
	}
	for key := range changes.Update {
		refuse("notUpdated", key)
	}
	for _, key := range changes.Destroy {
		refuse("notDestroyed", key)
	}
	return body
}

// references replaces "#key" by the id that an earlier call created (RFC 8620, 5.3).
func (c *context) references(v any) any {
	switch v := v.(type) {
	case string:
		if id, ok := c.created[strings.TrimPrefix(v, "#")]; ok && strings.HasPrefix(v, "#") {
			return id
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[str(c.references(key))] = c.references(value)
		}
		return out
	}
	return v
}

func (c *context) act(changes registry.Changes, body map[string]any) {
	for key, action := range changes.Create {
		name := str(action["@type"])
		why := &registry.Error{Type: "invalidPatch", Description: "Invalid value Str(\"" + name + "\") for enum type ReloadSettings.", Properties: []string{"@type"}}
		kind := c.server.Registry.Schema.Kind("Action")
		if kind.Variant(name) != nil && name != "" {
			why = c.server.Backend.Act(name)
		}
		if why != nil {
			refuseAll(registry.Changes{Create: map[string]map[string]any{key: nil}}, body, why)
			continue
		}
		if body["created"] == nil {
			body["created"] = map[string]any{}
		}
		body["created"].(map[string]any)[key] = map[string]any{"id": ids.Encode(uint64(time.Now().Unix()))}
	}
}
