// Package registry keeps the x: objects: in memory for reading, in the data
// store for keeping.
package registry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
)

// SingletonID is the id of every object that exists exactly once.
const SingletonID = "singleton"

// Object is a stored object and its id.
type Object struct {
	ID    string
	Value map[string]any
}

// Hook lets another part of the server take part in a write: fill in what the
// server sets, or refuse. It runs before the registry is locked.
type Hook func(old, value map[string]any) *Error

// Registry is the set of all objects.
type Registry struct {
	Schema *schema.Schema
	store  store.Store
	clock  *ids.Clock

	mu      sync.RWMutex
	objects map[string]map[string]map[string]any
	unique  map[string]map[string]string
	small   map[string]uint64
	version atomic.Uint64

	// Unreadable says why objects of a kind are left where they are: another
	// version wrote what this one does not know.
	Unreadable map[string]string

	hooks   map[string]Hook
	changed []func(kind string)
	removed map[string]func(id string)
}

// Open reads all objects from the store.
func Open(sch *schema.Schema, st store.Store, clock *ids.Clock) (*Registry, error) {
	r := &Registry{
		Schema: sch, store: st, clock: clock,
		objects: map[string]map[string]map[string]any{}, unique: map[string]map[string]string{}, small: map[string]uint64{},
		Unreadable: map[string]string{}, hooks: map[string]Hook{}, removed: map[string]func(string){},
	}
	for name := range sch.Kinds {
		r.objects[name] = map[string]map[string]any{}
		r.unique[name] = map[string]string{}
	}
	err := st.Range("object", "", func(key string, raw []byte) error {
		kind, id, _ := strings.Cut(key, "/")
		if sch.Kinds[kind] == nil {
			return nil
		}
		var value map[string]any
		if err := json.Unmarshal(raw, &value); err != nil {
			return fmt.Errorf("object %s: %w", key, err)
		}
		value, err := sch.Adapt(&sch.Kinds[kind].Shape, value)
		if err != nil {
			// It stays in the store as it is, for a version that can read it.
			r.Unreadable[kind] = err.Error()
			return nil
		}
		r.objects[kind][id] = value
		if n, ok := ids.Decode(id); ok && sch.Kinds[kind].SmallIDs {
			r.small[counterOf(kind)] = max(r.small[counterOf(kind)], n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, objects := range r.objects {
		for id, value := range objects {
			for _, key := range r.keys(sch.Kinds[name], value) {
				r.unique[index(name)][key] = id
			}
		}
	}
	return r, st.Range("counter", "", func(key string, raw []byte) error {
		n, _ := ids.Decode(string(raw))
		r.small[key] = max(r.small[key], n)
		return nil
	})
}

// counterOf names the counter of small ids; accounts of all sorts share one,
// because they share the id space of principals.
func counterOf(kind string) string {
	if kind == "MailingList" {
		return "Account"
	}
	return kind
}

// index names the uniqueness index of a kind: addresses are unique across
// accounts and lists.
func index(kind string) string { return counterOf(kind) }

// OnWrite installs the hook of a kind.
func (r *Registry) OnWrite(kind string, hook Hook) { r.hooks[kind] = hook }

// OnChange registers a function that is told the kind after each write.
func (r *Registry) OnChange(f func(kind string)) { r.changed = append(r.changed, f) }

// OnRemove installs a function that is told the id of each destroyed object.
func (r *Registry) OnRemove(kind string, f func(id string)) { r.removed[kind] = f }

// Version changes with every write.
func (r *Registry) Version() uint64 { return r.version.Load() }

// List returns the objects of a kind by id. Values are shared: not to be changed.
func (r *Registry) List(kind string) []Object {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Object, 0, len(r.objects[kind]))
	for id, value := range r.objects[kind] {
		out = append(out, Object{id, value})
	}
	slices.SortFunc(out, func(a, b Object) int {
		x, _ := ids.Decode(a.ID)
		y, _ := ids.Decode(b.ID)
		return cmp.Compare(x, y)
	})
	return out
}

// Values returns only the values of List.
func (r *Registry) Values(kind string) []map[string]any {
	list := r.List(kind)
	out := make([]map[string]any, len(list))
	for i, o := range list {
		out[i] = o.Value
	}
	return out
}

// Get returns an object, or nil. Singletons nobody wrote have their defaults.
func (r *Registry) Get(kind, id string) map[string]any {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.get(kind, id)
}

func (r *Registry) get(kind, id string) map[string]any {
	k := r.Schema.Kinds[kind]
	if k == nil {
		return nil
	}
	if value := r.objects[kind][id]; value != nil {
		return value
	}
	if k.Singleton && id == SingletonID {
		return r.Schema.New(&k.Shape, k.Variants[0])
	}
	return nil
}

// Singleton returns the only object of a kind.
func (r *Registry) Singleton(kind string) map[string]any { return r.Get(kind, SingletonID) }

// Find returns the object with a unique key (a name, an address).
func (r *Registry) Find(kind, key string) (Object, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, ok := r.unique[index(kind)][key]
	if !ok || r.objects[kind][id] == nil {
		return Object{}, false
	}
	return Object{id, r.objects[kind][id]}, true
}

// keys are the values of an object that no other object may have.
func (r *Registry) keys(k *schema.Kind, value map[string]any) []string {
	switch {
	case k.Name == "Account" || k.Name == "MailingList":
		out := []string{r.address(value)}
		aliases, _ := value["aliases"].(map[string]any)
		for _, a := range aliases {
			if alias, ok := a.(map[string]any); ok {
				out = append(out, r.address(alias))
			}
		}
		return out
	case k.Name == "Domain":
		name, _ := value["name"].(string)
		out := []string{strings.ToLower(name)}
		aliases, _ := value["aliases"].(map[string]any)
		for a := range aliases {
			out = append(out, strings.ToLower(a))
		}
		return out
	case k.Unique != "":
		name, _ := value[k.Unique].(string)
		return []string{name}
	}
	return nil
}

// address is name@domain of an account, list or alias.
func (r *Registry) address(value map[string]any) string {
	name, _ := value["name"].(string)
	id, _ := value["domainId"].(string)
	domain, _ := r.objects["Domain"][id]["name"].(string)
	return strings.ToLower(name + "@" + domain)
}
