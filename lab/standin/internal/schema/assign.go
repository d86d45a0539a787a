package schema

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"sort"
	"strings"
)

// PatchError is the invalidPatch answer: what is wrong and where.
type PatchError struct{ Description, Property string }

func (e *PatchError) Error() string { return e.Description + " at " + e.Property }

func patchError(at, format string, args ...any) *PatchError {
	return &PatchError{Description: fmt.Sprintf(format, args...), Property: at}
}

// Create builds an object from what a client sent.
func (s *Schema) Create(shape *Shape, input map[string]any) (map[string]any, *PatchError) {
	name, _ := input["@type"].(string)
	v := shape.Variant(name)
	if v == nil || (shape.Tagged() && name == "" && len(shape.Variants) > 1 && input["@type"] != nil) {
		return nil, patchError("@type", "Invalid value Str(%q) for enum type %s.", name, shape.Variants[0].Name)
	}
	value := s.New(shape, v)
	if err := s.patch(shape, value, input, true, ""); err != nil {
		return nil, err
	}
	return value, nil
}

// Update returns a changed copy of an object. Naming another @type starts from
// that variant's defaults.
func (s *Schema) Update(shape *Shape, current, patch map[string]any) (map[string]any, *PatchError) {
	value := Clone(current).(map[string]any)
	if name, ok := patch["@type"].(string); ok && shape.Tagged() && name != value["@type"] {
		v := shape.Variant(name)
		if v == nil {
			return nil, patchError("@type", "Invalid value Str(%q) for enum type %s.", name, shape.Variants[0].Name)
		}
		fresh := s.New(shape, v)
		if id, ok := value["id"]; ok {
			fresh["id"] = id
		}
		value = fresh
	}
	if err := s.patch(shape, value, patch, false, ""); err != nil {
		return nil, err
	}
	return value, nil
}

// patch applies every entry of input, keys being paths (RFC 8620, 5.3).
func (s *Schema) patch(shape *Shape, value, input map[string]any, creating bool, at string) *PatchError {
	keys := make([]string, 0, len(input))
	for k := range input {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	v := shape.Of(value)
	for _, key := range keys {
		if key == "@type" {
			continue
		}
		path := strings.Split(key, "/")
		for i := range path {
			path[i] = strings.ReplaceAll(strings.ReplaceAll(path[i], "~1", "/"), "~0", "~")
		}
		p := v.Prop(path[0])
		if p == nil && s.known[path[0]] {
			return patchError(join(at, path[0]), "Invalid property")
		}
		if p == nil {
			return patchError(at, "Invalid key for object")
		}
		where := join(at, path[0])
		if p.Server || (p.Immutable && !creating) {
			// Sending back what is already there changes nothing.
			if len(path) == 1 && Equal(value[p.Name], input[key]) {
				continue
			}
			if p.Server && len(path) == 1 && (input[key] == nil || input[key] == Masked) {
				continue
			}
			return patchError(where, "Cannot modify read-only property")
		}
		next, err := s.assign(p.Type, value[p.Name], path[1:], input[key], where)
		if err != nil {
			return err
		}
		if next == nil && !p.Type.Nullable {
			next = s.defaultOf(p)
		}
		value[p.Name] = next
	}
	return nil
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "/" + name
}

// assign puts input at path below current and returns the new value.
func (s *Schema) assign(t Type, current any, path []string, input any, at string) (any, *PatchError) {
	if len(path) == 0 {
		if input == nil {
			return nil, nil
		}
		return s.convert(t, current, input, at)
	}
	members, _ := Clone(current).(map[string]any)
	if members == nil {
		members = map[string]any{}
	}
	switch t.Base {
	case Struct:
		shape := s.structs[t.Ref]
		if err := s.patch(shape, members, map[string]any{strings.Join(escape(path), "/"): input}, false, at); err != nil {
			return nil, err
		}
		return members, nil
	case Set:
		if len(path) != 1 {
			break
		}
		if _, err := s.convert(*t.Key, nil, path[0], at); err != nil {
			return nil, patchError(at, "Invalid key for object property")
		}
		if input == true {
			members[path[0]] = true
		} else {
			delete(members, path[0])
		}
		return members, nil
	case Map, List:
		elem := Type{Base: Struct, Ref: t.Ref}
		if t.Base == Map {
			elem = *t.Elem
			if _, err := s.convert(*t.Key, nil, path[0], at); err != nil {
				return nil, patchError(at, "Invalid key for object property")
			}
		}
		next, err := s.assign(elem, members[path[0]], path[1:], input, join(at, path[0]))
		if err != nil {
			return nil, err
		}
		if next == nil {
			delete(members, path[0])
		} else {
			members[path[0]] = next
		}
		return members, nil
	}
	return nil, patchError(at, "Invalid key for object property")
}

func escape(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		out[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~", "~0"), "/", "~1")
	}
	return out
}

// convert checks a complete value against its type.
func (s *Schema) convert(t Type, current, input any, at string) (any, *PatchError) {
	switch t.Base {
	case Set, Map, List:
		return s.convertContainer(t, current, input, at)
	case Struct:
		m, ok := input.(map[string]any)
		shape := s.structs[t.Ref]
		name, _ := m["@type"].(string)
		v := shape.Variant(name)
		if shape.Tagged() && (name == "" || v == nil) {
			return nil, patchError(at, "Missing or invalid '@type' property in object")
		}
		if !ok {
			return nil, patchError(at, "Invalid value type for object")
		}
		value := s.New(shape, v)
		if err := s.patch(shape, value, m, true, at); err != nil {
			return nil, err
		}
		return value, nil
	case Bool:
		if b, ok := input.(bool); ok {
			return b, nil
		}
		return nil, patchError(at, "Invalid value for object property")
	case Int, Float:
		n, ok := input.(float64)
		if !ok || (t.Base == Int && n != math.Trunc(n)) {
			return nil, patchError(at, "Invalid value for object property")
		}
		return n, nil
	}
	text, ok := input.(string)
	if !ok {
		return nil, patchError(at, "Invalid value for object property")
	}
	return s.convertText(t, current, text, at)
}

func (s *Schema) convertText(t Type, current any, text, at string) (any, *PatchError) {
	switch t.Base {
	case Enum:
		if !slices.Contains(t.Values, text) {
			// The server names the value that stood there before, in its own spelling.
			name := t.Values[0]
			if c, ok := current.(string); ok && c != "" {
				name = c
			}
			return nil, patchError(at, "Invalid value Str(%q) for enum type %s.", text, strings.ToUpper(name[:1])+name[1:])
		}
	case IPNet:
		if _, ok := ParseNetwork(text); !ok {
			return nil, patchError(at, "Failed to parse IpAddrOrMask from string")
		}
	case IP:
		if _, err := netip.ParseAddr(text); err != nil {
			return nil, patchError(at, "Failed to parse IpAddr from string")
		}
	case Socket:
		if _, err := netip.ParseAddrPort(text); err != nil {
			return nil, patchError(at, "Failed to parse SocketAddr from string")
		}
	case URI:
		if u, err := url.Parse(text); err != nil || u.Scheme == "" {
			return nil, patchError(at, "Failed to parse Uri from string")
		}
	case Email:
		local, domain, found := strings.Cut(strings.TrimPrefix(text, "mailto:"), "@")
		if !found || local == "" || domain == "" {
			return nil, patchError(at, "Failed to parse EmailAddress from string")
		}
	case Date:
		if !validDate(text) {
			return nil, patchError(at, "Failed to parse UTCDateTime from string")
		}
	case Secret:
		// A client that echoes the mask means "as it is".
		if text == Masked && current != nil {
			return current, nil
		}
	}
	return text, nil
}

func (s *Schema) convertContainer(t Type, current, input any, at string) (any, *PatchError) {
	m, ok := input.(map[string]any)
	if !ok {
		return nil, patchError(at, "Invalid value for object property")
	}
	before, _ := current.(map[string]any)
	out := map[string]any{}
	for key, member := range m {
		switch t.Base {
		case Set:
			if _, err := s.convert(*t.Key, nil, key, at); err != nil {
				return nil, patchError(at, "Invalid key for object property")
			}
			if member == true {
				out[key] = true
			}
		case Map, List:
			elem := Type{Base: Struct, Ref: t.Ref}
			if t.Base == Map {
				elem = *t.Elem
				if _, err := s.convert(*t.Key, nil, key, at); err != nil {
					return nil, patchError(at, "Invalid key for object property")
				}
			}
			if member == nil {
				continue
			}
			value, err := s.convert(elem, before[key], member, join(at, key))
			if err != nil {
				return nil, err
			}
			out[key] = value
		}
	}
	return out, nil
}
