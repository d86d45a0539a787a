package jmap

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/sieve"
)

// uploads are the texts that Blob/upload took (RFC 9404); they are forgotten
// with the process.
type uploads struct {
	mu    sync.Mutex
	texts map[string]string
}

func (u *uploads) put(text string) string {
	sum := sha256.Sum256([]byte(text))
	id := "s" + hex.EncodeToString(sum[:])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.texts == nil {
		u.texts = map[string]string{}
	}
	u.texts[id] = text
	return id
}

func (u *uploads) get(id string) (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	text, ok := u.texts[id]
	return text, ok
}

// target is the account that a call is about: one's own, or any for an administrator.
func (c *context) target(args map[string]any) string {
	if id := str(args["accountId"]); id != "" && c.who.Admin && c.server.Registry.Get("Account", id) != nil {
		return id
	}
	return c.who.ID
}

// mail answers the few methods that are not about settings.
func (c *context) mail(name string, args map[string]any) (map[string]any, bool) {
	account := c.target(args)
	body := map[string]any{"accountId": account}
	switch name {
	case "Blob/upload":
		created := map[string]any{}
		for key, item := range objects(args["create"]) {
			text := ""
			parts, _ := item["data"].([]any)
			for _, part := range parts {
				source, _ := part.(map[string]any)
				text += str(source["data:asText"])
			}
			created[key] = map[string]any{"id": c.server.blobs.put(text), "size": len(text), "type": item["type"]}
		}
		body["created"] = created
	case "SieveScript/get":
		scripts, err := c.server.Sieve.List(account)
		if err != nil {
			return methodError("serverFail", "Data store error"), true
		}
		list := []any{}
		for _, s := range scripts {
			list = append(list, map[string]any{"id": s.ID, "name": s.Name, "isActive": s.Active, "blobId": c.server.blobs.put(s.Contents)})
		}
		body["list"], body["notFound"] = list, []string{}
	case "SieveScript/set":
		if err := c.setScripts(account, args, body); err != nil {
			return methodError("serverFail", "Data store error"), true
		}
	default:
		return nil, false
	}
	return body, true
}

func (c *context) setScripts(account string, args, body map[string]any) error {
	held, err := c.server.Sieve.List(account)
	if err != nil {
		return err
	}
	byID := map[string]sieve.Script{}
	highest := uint64(0)
	for _, s := range held {
		byID[s.ID] = s
		n, _ := ids.Decode(s.ID)
		highest = max(highest, n)
	}
	activate := str(args["onSuccessActivateScript"])
	created, notCreated, updated, notUpdated := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	for key, item := range objects(args["create"]) {
		highest++
		s := sieve.Script{ID: ids.Encode(highest), Name: str(item["name"])}
		if bad := c.fill(&s, item); bad != nil {
			notCreated[key] = bad
			continue
		}
		byID[s.ID] = s
		created[key] = map[string]any{"id": s.ID, "isActive": false}
		if activate == "#"+key {
			activate = s.ID
		}
	}
	for id, patch := range objects(args["update"]) {
		s, ok := byID[id]
		if !ok {
			notUpdated[id] = &registry.Error{Type: "notFound"}
			continue
		}
		if bad := c.fill(&s, patch); bad != nil {
			notUpdated[id] = bad
			continue
		}
		byID[id], updated[id] = s, nil
	}
	failed := len(notCreated)+len(notUpdated) > 0
	changed := make([]sieve.Script, 0, len(byID))
	for id, s := range byID {
		if !failed && activate != "" {
			s.Active = id == activate
		}
		if args["onSuccessDeactivateScript"] == true {
			s.Active = false
		}
		changed = append(changed, s)
	}
	if err := c.server.Sieve.Put(account, changed...); err != nil {
		return err
	}
	destroyed, notDestroyed := []string{}, map[string]any{}
	for _, id := range strs(args["destroy"]) {
		switch s, ok := byID[id]; {
		case !ok:
			notDestroyed[id] = &registry.Error{Type: "notFound"}
		case s.Active && args["onSuccessDeactivateScript"] != true:
			notDestroyed[id] = &registry.Error{Type: "sieveIsActive"}
		default:
			if err := c.server.Sieve.Remove(account, id); err != nil {
				return err
			}
			destroyed = append(destroyed, id)
		}
	}
	body["created"], body["updated"], body["destroyed"] = created, updated, destroyed
	body["notCreated"], body["notUpdated"], body["notDestroyed"] = notCreated, notUpdated, notDestroyed
	return nil
}

// fill takes the contents that a blob holds, if it is a script.
func (c *context) fill(s *sieve.Script, item map[string]any) *registry.Error {
	if item["blobId"] == nil {
		return nil
	}
	text, ok := c.server.blobs.get(str(item["blobId"]))
	if !ok {
		return &registry.Error{Type: "blobNotFound"}
	}
	if err := sieve.Check(text); err != nil {
		return &registry.Error{Type: "invalidScript", Description: err.Error()}
	}
	s.Contents = text
	return nil
}
