package schema

import (
	"maps"
	"slices"
	"time"

	"tailwart.lab/standin/internal/expr"
)

// Violation is one entry of validationErrors.
type Violation struct {
	Type     string `json:"type"`
	Property string `json:"property"`
	Value    any    `json:"value,omitempty"`
}

func validDate(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}

// Validate checks a complete object: required values, limits, expressions.
func (s *Schema) Validate(shape *Shape, value map[string]any) []Violation {
	return s.validate(shape, value, "")
}

func (s *Schema) validate(shape *Shape, value map[string]any, at string) []Violation {
	var out []Violation
	for _, p := range shape.Of(value).Props {
		where := join(at, p.Name)
		v := value[p.Name]
		if p.Required && !p.Server && (v == nil || v == "" || v == UnsetID) {
			out = append(out, Violation{Type: "Required", Property: where})
			continue
		}
		out = append(out, s.validateType(p.Type, v, where)...)
	}
	return out
}

func (s *Schema) validateType(t Type, value any, at string) []Violation {
	switch v := value.(type) {
	case string:
		if v == "" && t.Nullable {
			// Nothing is null here; an empty text is a value that is missing.
			return []Violation{{Type: "Required", Property: at}}
		}
		if t.MaxLength > 0 && len(v) > t.MaxLength {
			return []Violation{{Type: "Invalid", Property: at, Value: "Value is too long"}}
		}
	case float64:
		if (t.Min != nil && v < *t.Min) || (t.Max != nil && v > *t.Max) {
			return []Violation{{Type: "Invalid", Property: at, Value: "Value is out of range"}}
		}
	case map[string]any:
		if len(v) < t.MinItems {
			return []Violation{{Type: "Required", Property: at}}
		}
		var out []Violation
		switch t.Base {
		case Struct:
			if t.Ref == "Expression" {
				return checkExpression(v, at)
			}
			return s.validate(s.structs[t.Ref], v, at)
		case List:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if item, ok := v[k].(map[string]any); ok {
					out = append(out, s.validate(s.structs[t.Ref], item, join(at, k))...)
				}
			}
		case Map:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				out = append(out, s.validateType(*t.Elem, v[k], join(at, k))...)
			}
		}
		return out
	}
	return nil
}

func checkExpression(v map[string]any, at string) []Violation {
	check := func(part string, text any) []Violation {
		source, _ := text.(string)
		if _, err := expr.Compile(source); err != nil {
			return []Violation{{Type: "Invalid", Property: at, Value: "Error parsing '" + part + "' expression: " + err.Error()}}
		}
		return nil
	}
	matches, _ := v["match"].(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(matches)) {
		if m, ok := matches[k].(map[string]any); ok {
			for _, part := range []string{"if", "then"} {
				if bad := check(part, m[part]); bad != nil {
					return bad
				}
			}
		}
	}
	return check("else", v["else"])
}
