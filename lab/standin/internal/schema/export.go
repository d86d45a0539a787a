package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Export is the description of all objects in the shape that the server serves
// at /api/schema, made from the same data that writes are checked with. Forms,
// lists and dashboards are the administration's pages, which the stand-in lacks.
func (s *Schema) Export() map[string]any {
	e := exporter{schemas: map[string]any{}, fields: map[string]any{}, enums: map[string]any{}}
	objects := map[string]any{}
	for _, name := range s.Order {
		k := s.Kinds[name]
		sort := "object"
		if k.Singleton {
			sort = "singleton"
		}
		objects["x:"+name] = map[string]any{"type": sort, "description": spaced(name) + ".", "permissionPrefix": "sys" + name}
		e.shape(&k.Shape)
	}
	for _, shape := range s.structs {
		e.shape(shape)
	}
	for name, values := range s.enums {
		e.enum(name, values)
	}
	return map[string]any{
		"objects": objects, "schemas": e.schemas, "fields": e.fields, "enums": e.enums,
		"forms": map[string]any{}, "lists": map[string]any{}, "dashboards": []any{}, "layouts": []any{},
	}
}

type exporter struct{ schemas, fields, enums map[string]any }

func (e *exporter) shape(shape *Shape) {
	if !shape.Tagged() {
		e.schemas["x:"+shape.Name] = map[string]any{"type": "single", "schemaName": "x:" + shape.Name}
		for _, v := range shape.Variants {
			e.variant(v)
		}
		return
	}
	variants := make([]any, 0, len(shape.Variants))
	for _, v := range shape.Variants {
		shown := map[string]any{"name": v.Name, "label": spaced(v.Name)}
		if len(v.Props) > 0 {
			shown["schemaName"] = "x:" + v.Schema
			e.variant(v)
		}
		variants = append(variants, shown)
	}
	e.schemas["x:"+shape.Name] = map[string]any{"type": "multiple", "variants": variants}
}

func (e *exporter) variant(v *Variant) {
	properties, defaults := map[string]any{}, map[string]any{}
	for _, p := range v.Props {
		update := "mutable"
		switch {
		case p.Server:
			update = "serverSet"
		case p.Immutable:
			update = "immutable"
		}
		properties[p.Name] = map[string]any{"description": spaced(p.Name), "type": e.typed(p.Type), "update": update}
		if p.HasDefault {
			defaults[p.Name] = shownDefault(p)
		}
	}
	fields := map[string]any{"properties": properties}
	if len(defaults) > 0 {
		fields["defaults"] = defaults
	}
	e.fields["x:"+v.Schema] = fields
}

func (e *exporter) enum(name string, values []string) {
	members := make([]any, 0, len(values))
	for _, value := range values {
		members = append(members, map[string]any{"name": value, "label": spaced(value)})
	}
	e.enums[name] = members
}

func (e *exporter) typed(t Type) map[string]any {
	out := map[string]any{}
	switch t.Base {
	case Bool:
		out["type"] = "boolean"
	case Int, Float:
		out["type"], out["format"] = "number", t.Format
	case Date:
		out["type"] = "utcDateTime"
	case Blob:
		out["type"] = "blobId"
	case Enum:
		out["type"], out["enumName"] = "enum", t.Enum
		e.enum(t.Enum, t.Values)
	case ID:
		out["type"], out["objectName"] = "objectId", "x:"+t.Ref
	case Set:
		out["type"], out["class"] = "set", e.typed(*t.Key)
	case Map:
		out["type"], out["keyClass"], out["valueClass"] = "map", e.typed(*t.Key), e.typed(*t.Elem)
	case List:
		out["type"], out["objectName"] = "objectList", "x:"+t.Ref
	case Struct:
		out["type"], out["objectName"] = "object", "x:"+t.Ref
	default:
		out["type"], out["format"] = "string", t.Format
	}
	if t.Nullable {
		out["nullable"] = true
	}
	if t.Min != nil {
		out["min"] = *t.Min
	}
	if t.Max != nil {
		out["max"] = *t.Max
	}
	if t.MinItems > 0 {
		out["minItems"] = t.MinItems
	}
	if t.MaxLength > 0 {
		out["maxLength"] = t.MaxLength
	}
	return out
}

// shownDefault spells a default as the server's schema does: expressions in
// short, the period of a rate with its unit.
func shownDefault(p *Prop) any {
	value, ok := p.Default.(map[string]any)
	switch {
	case ok && p.Type.Ref == "Expression":
		matches, _ := value["match"].(map[string]any)
		if short := value["else"]; len(matches) == 0 {
			return map[string]any{"default": short}
		}
		rules := make([]any, 0, len(matches))
		for _, key := range slices.Sorted(maps.Keys(matches)) {
			rules = append(rules, matches[key])
		}
		return map[string]any{"match": rules, "else": value["else"]}
	case ok && p.Type.Ref == "Rate":
		period, _ := value["period"].(float64)
		return map[string]any{"count": value["count"], "period": withUnit(int(period))}
	}
	return p.Default
}

func withUnit(milliseconds int) string {
	for _, unit := range []struct {
		name string
		size int
	}{{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}} {
		if milliseconds%unit.size == 0 {
			return fmt.Sprint(milliseconds/unit.size, unit.name)
		}
	}
	return fmt.Sprint(milliseconds, "ms")
}

// spaced makes words of a name: "maxDiskQuota" is "Max disk quota".
func spaced(name string) string {
	var b strings.Builder
	var before rune
	for i, r := range name {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r) && unicode.IsLower(before):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}
