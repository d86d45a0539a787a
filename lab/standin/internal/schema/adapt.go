package schema

import "fmt"

// Adapt gives a stored object the form of this version, whichever version wrote
// it: new properties get their defaults, and a text becomes a reference to a
// value, or the other way round. What this version cannot read is an error.
func (s *Schema) Adapt(shape *Shape, stored map[string]any) (map[string]any, error) {
	name, _ := stored["@type"].(string)
	v := shape.Variant(name)
	if v == nil {
		return nil, fmt.Errorf("%s: unknown variant %q", shape.Name, name)
	}
	out := Clone(stored).(map[string]any)
	for _, p := range v.Props {
		value, present := out[p.Name]
		if !present {
			out[p.Name] = s.defaultOf(p)
			continue
		}
		adapted, err := s.adapt(p.Type, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		out[p.Name] = adapted
	}
	return out, nil
}

func (s *Schema) adapt(t Type, value any) (any, error) {
	members, isMap := value.(map[string]any)
	switch {
	case t.Base == Struct && t.Ref == "Expression":
		return value, nil
	case t.Base == Struct && isMap:
		return s.Adapt(s.structs[t.Ref], members)
	case t.Base == Struct && !t.Nullable:
		if text, ok := value.(string); ok {
			return map[string]any{"@type": "Value", "value": text}, nil
		}
		return s.zero(t), nil
	case t.Base == String && isMap:
		switch members["@type"] {
		case "Value":
			return members["value"], nil
		case "None":
			return s.zero(t), nil
		}
		return nil, fmt.Errorf("%v where a text is expected", members["@type"])
	case t.Base == List && isMap:
		t = Type{Base: Struct, Ref: t.Ref}
	case t.Base == Map && isMap:
		t = *t.Elem
	default:
		return value, nil
	}
	for key, member := range members {
		adapted, err := s.adapt(t, member)
		if err != nil {
			return nil, err
		}
		members[key] = adapted
	}
	return members, nil
}
