package schema

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Masked is what every secret value reads back as.
const Masked = "****"

// UnsetID is how a reference that was never set reads (the largest id).
const UnsetID = "p333333333333"

// New returns a fresh object of a variant with all its defaults.
func (s *Schema) New(shape *Shape, v *Variant) map[string]any {
	out := map[string]any{}
	if v.Name != "" {
		out["@type"] = v.Name
	}
	for _, p := range v.Props {
		out[p.Name] = s.defaultOf(p)
	}
	return out
}

func (s *Schema) defaultOf(p *Prop) any {
	if p.HasDefault {
		return s.complete(p.Type, Clone(p.Default))
	}
	return s.zero(p.Type)
}

// complete adds what a default does not name: its members have defaults too.
func (s *Schema) complete(t Type, value any) any {
	members, ok := value.(map[string]any)
	if !ok {
		return value
	}
	switch {
	case t.Base == Struct && t.Ref != "Expression":
		shape := s.structs[t.Ref]
		whole := s.New(shape, shape.Of(members))
		maps.Copy(whole, members)
		return whole
	case t.Base == List:
		t = Type{Base: Struct, Ref: t.Ref}
	case t.Base == Map:
		t = *t.Elem
	default:
		return value
	}
	for key := range members {
		members[key] = s.complete(t, members[key])
	}
	return members
}

func (s *Schema) zero(t Type) any {
	if t.Nullable {
		return nil
	}
	switch t.Base {
	case Bool:
		return false
	case Int, Float:
		return float64(0)
	case Set, Map, List:
		return map[string]any{}
	case Enum:
		return t.Values[0]
	case ID:
		return UnsetID
	case Struct:
		shape := s.structs[t.Ref]
		return s.New(shape, shape.Variants[0])
	default:
		return ""
	}
}

// Clone copies a JSON value, so that a stored object is never changed by
// whoever it was handed to.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = Clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Clone(e)
		}
		return out
	default:
		return v
	}
}

// Mask returns a copy of an object as get shows it: secrets hidden.
func (s *Schema) Mask(shape *Shape, value map[string]any) map[string]any {
	out := map[string]any{}
	v := shape.Of(value)
	if v.Name != "" {
		out["@type"] = v.Name
	}
	for _, p := range v.Props {
		if p.Hidden && value[p.Name] == nil {
			continue
		}
		out[p.Name] = s.mask(p.Type, value[p.Name])
	}
	return out
}

func (s *Schema) mask(t Type, value any) any {
	if value == nil {
		return nil
	}
	switch t.Base {
	case Secret:
		return Masked
	case Struct:
		if m, ok := value.(map[string]any); ok {
			return s.Mask(s.structs[t.Ref], m)
		}
	case List:
		if m, ok := value.(map[string]any); ok {
			out := map[string]any{}
			for k, e := range m {
				if item, ok := e.(map[string]any); ok {
					out[k] = s.Mask(s.structs[t.Ref], item)
				}
			}
			return out
		}
	}
	return Clone(value)
}

// Ref is a reference to an object of another kind.
type Ref struct{ Kind, ID string }

// References lists the objects a value points to.
func (s *Schema) References(shape *Shape, value map[string]any) []Ref {
	var out []Ref
	for _, p := range shape.Of(value).Props {
		out = append(out, s.references(p.Type, value[p.Name])...)
	}
	return out
}

func (s *Schema) references(t Type, value any) []Ref {
	switch v := value.(type) {
	case string:
		if t.Base == ID && v != UnsetID {
			// "Account/Group" is a view of the accounts.
			kind, _, _ := strings.Cut(t.Ref, "/")
			return []Ref{{kind, v}}
		}
	case map[string]any:
		var out []Ref
		for _, k := range slices.Sorted(maps.Keys(v)) {
			switch t.Base {
			case Set:
				out = append(out, s.references(*t.Key, k)...)
			case Map:
				out = append(out, s.references(*t.Key, k)...)
				out = append(out, s.references(*t.Elem, v[k])...)
			case List:
				if item, ok := v[k].(map[string]any); ok {
					out = append(out, s.References(s.structs[t.Ref], item)...)
				}
			}
		}
		if t.Base == Struct {
			return s.References(s.structs[t.Ref], v)
		}
		return out
	}
	return nil
}

// ParseNetwork reads an address or a network ("IpAddrOrMask").
func ParseNetwork(text string) (netip.Prefix, bool) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p, err == nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// Equal compares two JSON values.
func Equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}
