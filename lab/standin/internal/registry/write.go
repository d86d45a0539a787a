package registry

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
)

// Changes is the request of one set call.
type Changes struct {
	Create map[string]map[string]any
	// Order is the order in which objects are created (that of the request);
	// keys it lacks follow by name.
	Order   []string
	Update  map[string]map[string]any
	Destroy []string
}

// Results is the answer of one set call.
type Results struct {
	Created                              map[string]string
	Updated                              []string
	Destroyed                            []string
	NotCreated, NotUpdated, NotDestroyed map[string]*Error
}

// transaction collects the writes of one set call, so that a store that fails
// leaves memory as it was.
type transaction struct {
	r    *Registry
	ops  []store.Op
	undo []func()
}

// Set applies changes to one kind. The error is the store's; refusals of single
// objects are in the results.
func (r *Registry) Set(kind string, c Changes) (*Results, error) {
	k := r.Schema.Kinds[kind]
	res := &Results{Created: map[string]string{}, NotCreated: map[string]*Error{}, NotUpdated: map[string]*Error{}, NotDestroyed: map[string]*Error{}}
	tx := &transaction{r: r}
	// Hooks may take long (a certificate authority): they run unlocked.
	prepared := map[string]map[string]any{}
	for _, key := range c.order() {
		value, err := r.prepareCreate(k, c.Create[key])
		if err != nil {
			res.NotCreated[key] = err
			continue
		}
		prepared[key] = value
	}
	r.mu.Lock()
	for _, key := range c.order() {
		if prepared[key] == nil {
			continue
		}
		id, err := tx.create(k, prepared[key])
		if err != nil {
			res.NotCreated[key] = err
			continue
		}
		res.Created[key] = id
	}
	r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.Update)) {
		if err := tx.update(k, id, c.Update[id]); err != nil {
			res.NotUpdated[id] = err
			continue
		}
		res.Updated = append(res.Updated, id)
	}
	r.mu.Lock()
	for _, id := range c.Destroy {
		if err := tx.destroy(k, id); err != nil {
			res.NotDestroyed[id] = err
			continue
		}
		res.Destroyed = append(res.Destroyed, id)
	}
	r.mu.Unlock()
	return res, tx.commit(kind, res)
}

func (c Changes) order() []string {
	out := slices.DeleteFunc(slices.Clone(c.Order), func(key string) bool { return c.Create[key] == nil })
	for _, key := range slices.Sorted(maps.Keys(c.Create)) {
		if !slices.Contains(c.Order, key) {
			out = append(out, key)
		}
	}
	return out
}

func (tx *transaction) commit(kind string, res *Results) error {
	if len(tx.ops) == 0 {
		return nil
	}
	if err := tx.r.store.Apply(tx.ops...); err != nil {
		tx.r.mu.Lock()
		for _, undo := range slices.Backward(tx.undo) {
			undo()
		}
		tx.r.mu.Unlock()
		return err
	}
	tx.r.version.Add(1)
	if removed := tx.r.removed[kind]; removed != nil {
		for _, id := range res.Destroyed {
			removed(id)
		}
	}
	for _, f := range tx.r.changed {
		f(kind)
	}
	return nil
}

func (r *Registry) prepareCreate(k *schema.Kind, input map[string]any) (map[string]any, *Error) {
	if k.Singleton {
		return nil, &Error{Type: "singleton", Description: "Cannot create a singleton object"}
	}
	value, patchErr := r.Schema.Create(&k.Shape, input)
	if patchErr != nil {
		return nil, fromPatch(patchErr)
	}
	if v := k.Of(value); v.Prop("createdAt") != nil && value["createdAt"] == "" {
		value["createdAt"] = now()
	}
	if violations := r.Schema.Validate(&k.Shape, value); len(violations) > 0 {
		return nil, fromViolations(violations)
	}
	if hook := r.hooks[k.Name]; hook != nil {
		if err := hook(nil, value); err != nil {
			return nil, err
		}
	}
	return value, nil
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05Z") }

func (tx *transaction) create(k *schema.Kind, value map[string]any) (string, *Error) {
	if err := tx.check(k, "", value, nil); err != nil {
		return "", err
	}
	id := ids.Encode(tx.r.clock.Next())
	if k.SmallIDs {
		counter := counterOf(k.Name)
		tx.r.small[counter]++
		id = ids.Encode(tx.r.small[counter])
		// The counter is kept apart: an id must not come back after its object is gone.
		tx.ops = append(tx.ops, store.Op{Space: "counter", Key: counter, Value: []byte(id)})
	}
	tx.put(k, id, value)
	return id, nil
}

func (tx *transaction) update(k *schema.Kind, id string, patch map[string]any) *Error {
	current := tx.r.Get(k.Name, id)
	if current == nil {
		return &Error{Type: "notFound"}
	}
	value, patchErr := tx.r.Schema.Update(&k.Shape, current, patch)
	if patchErr != nil {
		return fromPatch(patchErr)
	}
	if violations := tx.r.Schema.Validate(&k.Shape, value); len(violations) > 0 {
		return fromViolations(violations)
	}
	if hook := tx.r.hooks[k.Name]; hook != nil {
		if err := hook(current, value); err != nil {
			return err
		}
	}
	tx.r.mu.Lock()
	defer tx.r.mu.Unlock()
	if err := tx.check(k, id, value, current); err != nil {
		return err
	}
	tx.put(k, id, value)
	return nil
}

// check refuses broken references and keys that another object has.
func (tx *transaction) check(k *schema.Kind, id string, value, old map[string]any) *Error {
	known := map[schema.Ref]bool{}
	if old != nil {
		for _, ref := range tx.r.Schema.References(&k.Shape, old) {
			known[ref] = true
		}
	}
	for _, ref := range tx.r.Schema.References(&k.Shape, value) {
		if !known[ref] && tx.r.get(ref.Kind, ref.ID) == nil {
			return &Error{Type: "invalidForeignKey", ObjectID: &ObjectID{ref.Kind, ref.ID}}
		}
	}
	if k.Name == "Account" || k.Name == "MailingList" {
		value["emailAddress"] = tx.r.address(value)
	}
	for _, key := range tx.r.keys(k, value) {
		if other, taken := tx.r.unique[index(k.Name)][key]; taken && other != id {
			property, owner := k.Unique, k.Name
			if property == "" {
				property = "email"
				if tx.r.objects["Account"][other] == nil {
					owner = "MailingList"
				} else {
					owner = "Account"
				}
			}
			return &Error{Type: "primaryKeyViolation", Properties: []string{property}, ObjectID: &ObjectID{owner, other}}
		}
	}
	return nil
}

func (tx *transaction) put(k *schema.Kind, id string, value map[string]any) {
	old, existed := tx.r.objects[k.Name][id]
	tx.unindex(k, old)
	tx.r.objects[k.Name][id] = value
	tx.index(k, id, value)
	tx.undo = append(tx.undo, func() {
		tx.unindex(k, value)
		if existed {
			tx.r.objects[k.Name][id] = old
			tx.index(k, id, old)
		} else {
			delete(tx.r.objects[k.Name], id)
		}
	})
	raw, _ := json.Marshal(value)
	tx.ops = append(tx.ops, store.Op{Space: "object", Key: store.Key(k.Name, id), Value: raw})
}

func (tx *transaction) index(k *schema.Kind, id string, value map[string]any) {
	for _, key := range tx.r.keys(k, value) {
		tx.r.unique[index(k.Name)][key] = id
	}
}

func (tx *transaction) unindex(k *schema.Kind, value map[string]any) {
	if value == nil {
		return
	}
	for _, key := range tx.r.keys(k, value) {
		delete(tx.r.unique[index(k.Name)], key)
	}
}

func (tx *transaction) destroy(k *schema.Kind, id string) *Error {
	old := tx.r.objects[k.Name][id]
	if old == nil {
		if k.Singleton {
			return &Error{Type: "singleton", Description: "Cannot destroy a singleton object"}
		}
		return &Error{Type: "notFound"}
	}
	if linked := tx.r.linked(k.Name, id); len(linked) > 0 {
		return &Error{Type: "objectIsLinked", ObjectID: &ObjectID{k.Name, id}, LinkedObjects: linked}
	}
	tx.unindex(k, old)
	delete(tx.r.objects[k.Name], id)
	tx.undo = append(tx.undo, func() {
		tx.r.objects[k.Name][id] = old
		tx.index(k, id, old)
	})
	tx.ops = append(tx.ops, store.Op{Space: "object", Key: store.Key(k.Name, id)})
	return nil
}

// linked lists the objects that point to one.
func (r *Registry) linked(kind, id string) []ObjectID {
	var out []ObjectID
	for _, name := range slices.Sorted(maps.Keys(r.objects)) {
		// A task that waits does not keep its domain.
		if name == "Task" {
			continue
		}
		for other, value := range r.objects[name] {
			if slices.Contains(r.Schema.References(&r.Schema.Kinds[name].Shape, value), schema.Ref{Kind: kind, ID: id}) {
				out = append(out, ObjectID{name, other})
			}
		}
	}
	slices.SortFunc(out, func(a, b ObjectID) int {
		if a.Object != b.Object {
			return strings.Compare(a.Object, b.Object)
		}
		x, _ := ids.Decode(a.ID)
		y, _ := ids.Decode(b.ID)
		return int(int64(x) - int64(y))
	})
	return out
}

// Put stores an object the server made by itself.
func (r *Registry) Put(kind, id string, value map[string]any) (string, error) {
	k := r.Schema.Kinds[kind]
	tx := &transaction{r: r}
	r.mu.Lock()
	if id == "" {
		var err *Error
		if id, err = tx.create(k, value); err != nil {
			r.mu.Unlock()
			return "", err
		}
	} else {
		tx.put(k, id, value)
	}
	r.mu.Unlock()
	return id, tx.commit(kind, &Results{})
}

// Remove deletes an object without asking who points to it.
func (r *Registry) Remove(kind, id string) error {
	k := r.Schema.Kinds[kind]
	tx := &transaction{r: r}
	r.mu.Lock()
	old := r.objects[kind][id]
	if old != nil {
		tx.unindex(k, old)
		delete(r.objects[kind], id)
		tx.ops = append(tx.ops, store.Op{Space: "object", Key: store.Key(kind, id)})
	}
	r.mu.Unlock()
	return tx.commit(kind, &Results{})
}
