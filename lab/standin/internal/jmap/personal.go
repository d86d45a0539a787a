package jmap

import (
	"maps"
	"slices"
	"time"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/password"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
)

// account is that of whoever asks; for keys, the one that an administrator names.
func (c *context) account() map[string]any { return c.server.Registry.Get("Account", c.owner()) }

func (c *context) owner() string {
	if c.subject != "" {
		return c.subject
	}
	return c.who.ID
}

func (c *context) hasPassword() bool {
	credentials, _ := c.account()["credentials"].(map[string]any)
	return len(credentials) > 0
}

// keys lists the API keys or app passwords of whoever asks.
func (c *context) keys(kind string) []registry.Object {
	held := directory.Keys(c.account(), kind)
	var out []registry.Object
	for _, id := range slices.Sorted(maps.Keys(held)) {
		out = append(out, registry.Object{ID: id, Value: held[id]})
	}
	return out
}

// setKeys creates, changes and destroys them. The text of a new key is shown
// once, in the answer; only its digest is kept.
func (c *context) setKeys(kind *schema.Kind, changes registry.Changes, body map[string]any) map[string]any {
	account := c.account()
	if account == nil {
		return refuseAll(changes, body, &registry.Error{Type: "forbidden", Description: "The recovery administrator has no account"})
	}
	account = schema.Clone(account).(map[string]any)
	member := "_" + kind.Name
	held, _ := account[member].(map[string]any)
	if held == nil {
		held = map[string]any{}
		account[member] = held
	}
	sch := c.server.Registry.Schema
	results := &registry.Results{NotCreated: map[string]*registry.Error{}, NotUpdated: map[string]*registry.Error{}, NotDestroyed: map[string]*registry.Error{}}
	created := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(changes.Create)) {
		value, err := c.newKey(kind, changes.Create[name])
		if err != nil {
			results.NotCreated[name] = err
			continue
		}
		id := nextKeyID(account)
		text := password.NewAPIKey("API_", c.owner(), id)
		value["secret"] = password.Fingerprint(text)
		if kind.Name == "AppPassword" {
			text = password.NewAPIKey("app_", c.owner(), id)
			value["secret"] = password.Hash(text)
		}
		held[id] = value
		created[name] = map[string]any{"id": id, "secret": text}
	}
	for id, patch := range changes.Update {
		current, ok := held[id].(map[string]any)
		if !ok {
			results.NotUpdated[id] = &registry.Error{Type: "notFound"}
			continue
		}
		value, err := sch.Update(&kind.Shape, current, patch)
		if err != nil {
			results.NotUpdated[id] = &registry.Error{Type: "invalidPatch", Description: err.Description, Properties: []string{err.Property}}
			continue
		}
		held[id] = value
		results.Updated = append(results.Updated, id)
	}
	for _, id := range changes.Destroy {
		if held[id] == nil {
			results.NotDestroyed[id] = &registry.Error{Type: "notFound"}
			continue
		}
		delete(held, id)
		results.Destroyed = append(results.Destroyed, id)
	}
	if _, err := c.server.Registry.Put("Account", c.owner(), account); err != nil {
		return methodError("serverFail", "Data store error")
	}
	c.report(results, body)
	if len(created) > 0 {
		body["created"] = created
	}
	return body
}

func (c *context) newKey(kind *schema.Kind, input map[string]any) (map[string]any, *registry.Error) {
	sch := c.server.Registry.Schema
	value, err := sch.Create(&kind.Shape, input)
	if err != nil {
		return nil, &registry.Error{Type: "invalidPatch", Description: err.Description, Properties: []string{err.Property}}
	}
	if bad := sch.Validate(&kind.Shape, value); len(bad) > 0 {
		return nil, &registry.Error{Type: "validationFailed", ValidationErrors: bad}
	}
	value["createdAt"] = time.Now().UTC().Format("2006-01-02T15:04:05Z")
	return value, nil
}

// nextKeyID counts on from the credentials an account has: 'a' is its password.
func nextKeyID(account map[string]any) string {
	highest := uint64(0)
	for _, kind := range []string{"ApiKey", "AppPassword"} {
		for id := range directory.Keys(account, kind) {
			n, _ := ids.Decode(id)
			highest = max(highest, n)
		}
	}
	return ids.Encode(highest + 1)
}

// settings is the singleton that is a view of one's own account.
func (c *context) settings(kind *schema.Kind) map[string]any {
	value := c.server.Registry.Schema.New(&kind.Shape, kind.Variants[0])
	account := c.account()
	for name := range value {
		if v, ok := account[name]; ok {
			value[name] = v
		}
	}
	return value
}
