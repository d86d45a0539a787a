package jmap

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
)

// context is one request: who sends it and what it has answered so far.
type context struct {
	server    *Server
	who       *directory.Identity
	responses []any
	created   map[string]string
	// subject is the account whose keys a call is about.
	subject string
}

func (c *context) answer(name string, body any, id string) {
	c.responses = append(c.responses, []any{name, body, id})
}

func (c *context) run(call []json.RawMessage) {
	var name, id string
	var args map[string]any
	if len(call) != 3 || json.Unmarshal(call[0], &name) != nil || json.Unmarshal(call[1], &args) != nil || json.Unmarshal(call[2], &id) != nil {
		c.answer("error", methodError("invalidArguments", "Invalid method call"), id)
		return
	}
	for name, value := range args {
		if !strings.HasPrefix(name, "#") {
			continue
		}
		ids, ok := c.referred(value)
		if !ok {
			c.answer("error", methodError("invalidResultReference", "Failed to evaluate %s", name), id)
			return
		}
		delete(args, name)
		args[name[1:]] = ids
	}
	if name == "Core/echo" {
		c.answer(name, args, id)
		return
	}
	if body, ok := c.mail(name, args); ok {
		if body["type"] != nil && body["accountId"] == nil {
			name = "error"
		}
		c.answer(name, body, id)
		return
	}
	object, verb, _ := strings.Cut(name, "/")
	kind := c.server.Registry.Schema.Kind(strings.TrimPrefix(object, "x:"))
	if !strings.HasPrefix(object, "x:") || kind == nil || !slices.Contains([]string{"get", "set", "query"}, verb) || (kind.Singleton && verb == "query") {
		c.answer("error", map[string]any{"type": "unknownMethod", "description": name}, id)
		return
	}
	if !kind.Personal && !c.who.Admin {
		c.answer("error", map[string]any{"type": "forbidden", "description": "You are not authorized to perform this action"}, id)
		return
	}
	if kind.Name == "AppPassword" || kind.Name == "ApiKey" {
		c.subject = c.target(args)
	}
	var body map[string]any
	switch verb {
	case "get":
		body = c.get(kind, args)
	case "set":
		body = c.set(kind, args, keyOrder(call[1], "create"))
	case "query":
		body = c.query(kind, args)
	}
	if body["type"] != nil && body["accountId"] == nil {
		c.answer("error", body, id)
		return
	}
	c.answer(name, body, id)
}

// referred is what an earlier answer of this request found (RFC 8620, 3.7); of the
// places that a reference may name, the ids of a query are the one that is used.
func (c *context) referred(reference any) ([]any, bool) {
	wanted, _ := reference.(map[string]any)
	for _, response := range c.responses {
		parts, _ := response.([]any)
		if len(parts) != 3 || parts[0] != wanted["name"] || parts[2] != wanted["resultOf"] || wanted["path"] != "/ids" {
			continue
		}
		body, _ := parts[1].(map[string]any)
		found, ok := body["ids"].([]string)
		ids := make([]any, 0, len(found))
		for _, id := range found {
			ids = append(ids, id)
		}
		return ids, ok
	}
	return nil, false
}

func (c *context) list(kind *schema.Kind) []registry.Object {
	switch {
	case kind.Name == "ApiKey" || kind.Name == "AppPassword":
		return c.keys(kind.Name)
	case kind.Name == "QueuedMessage":
		return c.server.Backend.Queue()
	case kind.Name == "Action":
		return nil
	case kind.Singleton:
		return []registry.Object{{ID: registry.SingletonID, Value: c.singleton(kind)}}
	}
	list := c.server.Registry.List(kind.Name)
	if kind.Name == "Task" {
		slices.SortStableFunc(list, func(a, b registry.Object) int { return cmp.Compare(str(a.Value["due"]), str(b.Value["due"])) })
	}
	return list
}

func (c *context) singleton(kind *schema.Kind) map[string]any {
	if kind.Name == "AccountSettings" {
		return c.settings(kind)
	}
	return c.server.Registry.Singleton(kind.Name)
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func strs(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, str(e))
	}
	return out
}

func (c *context) get(kind *schema.Kind, args map[string]any) map[string]any {
	if c.server.Registry.Unreadable[kind.Name] != "" {
		return methodError("serverUnavailable", "This feature is unavailable")
	}
	objects := c.list(kind)
	notFound := []string{}
	if args["ids"] != nil {
		wanted := strs(args["ids"])
		if len(wanted) > maxObjects {
			return methodError("requestTooLarge", "The number of ids requested by the client exceeds the maximum number the server is willing to process in a single method call")
		}
		byID := make(map[string]registry.Object, len(objects))
		for _, o := range objects {
			byID[o.ID] = o
		}
		objects = nil
		for _, id := range wanted {
			if o, ok := byID[id]; ok {
				objects = append(objects, o)
			} else {
				notFound = append(notFound, id)
			}
		}
	} else if kind.Name == "ApiKey" && c.hasPassword() {
		// The server walks all credentials of the account and cannot show the password as a key.
		notFound = append(notFound, "a")
	}
	// Without ids the server shows the first objects and does not say that there
	// are more: whoever has many must query and fetch in parts.
	objects = objects[:min(len(objects), maxObjects)]
	var properties []string
	if args["properties"] != nil {
		properties = strs(args["properties"])
	}
	list := make([]any, 0, len(objects))
	for _, o := range objects {
		list = append(list, c.show(kind, o, properties))
	}
	return map[string]any{"accountId": c.who.ID, "list": list, "notFound": notFound}
}

// show renders an object: secrets masked, computed values filled in.
func (c *context) show(kind *schema.Kind, o registry.Object, properties []string) map[string]any {
	out := c.server.Registry.Schema.Mask(&kind.Shape, o.Value)
	wanted := func(name string) bool { return properties == nil || slices.Contains(properties, name) }
	switch kind.Name {
	case "Domain":
		if wanted("dnsZoneFile") {
			out["dnsZoneFile"] = c.server.Backend.ZoneFile(o)
		}
	case "Account":
		if wanted("usedDiskQuota") {
			out["usedDiskQuota"] = c.server.Backend.UsedQuota(o.ID)
		}
	}
	if properties != nil {
		for name := range out {
			if !slices.Contains(properties, name) {
				delete(out, name)
			}
		}
	}
	out["id"] = o.ID
	return out
}

// queueFilters look for a part of an address; they are no properties of the object.
var queueFilters = []string{"text", "to", "returnPath"}

// queued tells whether a message of the queue has this text in its sender, in a recipient, or with "text" in either.
func queued(message map[string]any, filter, part string) bool {
	if filter != "to" && strings.Contains(text(message["returnPath"]), part) {
		return true
	}
	if filter == "returnPath" {
		return false
	}
	recipients, _ := message["recipients"].(map[string]any)
	for address := range recipients {
		if strings.Contains(address, part) {
			return true
		}
	}
	return false
}

func text(value any) string {
	said, _ := value.(string)
	return said
}

func (c *context) query(kind *schema.Kind, args map[string]any) map[string]any {
	filter, _ := args["filter"].(map[string]any)
	ids := []string{}
	for _, o := range c.list(kind) {
		match := true
		for name, want := range filter {
			if kind.Name == "QueuedMessage" && slices.Contains(queueFilters, name) {
				match = match && queued(o.Value, name, text(want))
				continue
			}
			if name != "@type" && kind.Of(o.Value).Prop(name) == nil {
				return methodError("unsupportedFilter", "The filter is not supported")
			}
			match = match && schema.Equal(o.Value[name], want)
		}
		if match {
			ids = append(ids, o.ID)
		}
	}
	total := len(ids)
	position := 0
	if p, ok := args["position"].(float64); ok {
		position = min(max(int(p), 0), total)
	}
	ids = ids[position:]
	if l, ok := args["limit"].(float64); ok && int(l) < len(ids) && l >= 0 {
		ids = ids[:int(l)]
	}
	out := map[string]any{"accountId": c.who.ID, "queryState": "n", "canCalculateChanges": true, "position": position, "ids": ids}
	if args["calculateTotal"] == true {
		out["total"] = total
	}
	return out
}
