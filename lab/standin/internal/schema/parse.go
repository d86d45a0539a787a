package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

//go:embed kinds/*.txt
var kindFiles embed.FS

// Load reads the embedded descriptions. The grammar is line based:
//
//	enum NAME value…
//	struct NAME | object NAME [unique=PROP] [small] [personal] [strictsecrets] | singleton NAME […]
//	 @Variant
//	  property TYPE[?] [required|immutable|server|hidden|min=N|max=N|minItems=N]… [= JSON]
//
// TYPE is a primitive, enum:a|b, id:Object, set:TYPE, map:KEY[,VALUE],
// list:Struct, or the name of an enum or struct. A panic here is a mistake in
// a file of this program, so it cannot reach a user.
func Load() *Schema {
	s := &Schema{Kinds: map[string]*Kind{}, structs: map[string]*Shape{}, enums: map[string][]string{}}
	files := []string{"common", "directory", "network", "mta", "services"}
	var bodies []string
	for _, name := range files {
		body, err := kindFiles.ReadFile("kinds/" + name + ".txt")
		if err != nil {
			panic(err)
		}
		bodies = append(bodies, string(body))
	}
	// Names first: properties may refer to what is declared further down.
	for _, body := range bodies {
		s.declare(body)
	}
	for i, body := range bodies {
		if err := s.define(body); err != nil {
			panic(fmt.Sprintf("%s.txt: %v", files[i], err))
		}
	}
	return s
}

func (s *Schema) declare(body string) {
	for line := range strings.SplitSeq(body, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(line, " ") {
			continue
		}
		switch words[0] {
		case "enum":
			s.enums[words[1]] = words[2:]
		case "struct":
			s.structs[words[1]] = &Shape{Name: words[1]}
		case "object", "singleton":
			k := &Kind{Shape: Shape{Name: words[1]}, Singleton: words[0] == "singleton"}
			for _, flag := range words[2:] {
				switch {
				case strings.HasPrefix(flag, "unique="):
					k.Unique = strings.TrimPrefix(flag, "unique=")
				case flag == "small":
					k.SmallIDs = true
				case flag == "personal":
					k.Personal = true
				case flag == "strictsecrets":
					k.StrictSecrets = true
				}
			}
			s.Kinds[words[1]] = k
			s.Order = append(s.Order, words[1])
		}
	}
}

func (s *Schema) define(body string) error {
	var shape *Shape
	var variant *Variant
	for n, line := range strings.Split(body, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(line, "enum ") {
			continue
		}
		words := strings.Fields(trimmed)
		switch {
		case !strings.HasPrefix(line, " "):
			if words[0] == "struct" {
				shape = s.structs[words[1]]
			} else {
				shape = &s.Kinds[words[1]].Shape
			}
			variant = nil
		case strings.HasPrefix(trimmed, "@"):
			variant = &Variant{Name: trimmed[1:], index: map[string]*Prop{}}
			shape.Variants = append(shape.Variants, variant)
		default:
			if variant == nil {
				variant = &Variant{index: map[string]*Prop{}}
				shape.Variants = append(shape.Variants, variant)
			}
			p, err := s.property(trimmed)
			if err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
			variant.Props = append(variant.Props, p)
			variant.index[p.Name] = p
		}
	}
	return nil
}

func (s *Schema) property(line string) (*Prop, error) {
	declaration, value, hasDefault := strings.Cut(line, " = ")
	words := strings.Fields(declaration)
	if len(words) < 2 {
		return nil, fmt.Errorf("property without a type: %q", line)
	}
	t, err := s.typeOf(words[1])
	if err != nil {
		return nil, err
	}
	p := &Prop{Name: words[0], Type: t, HasDefault: hasDefault}
	if hasDefault {
		if err := json.Unmarshal([]byte(value), &p.Default); err != nil {
			return nil, fmt.Errorf("default of %s: %w", p.Name, err)
		}
	}
	for _, flag := range words[2:] {
		name, number, _ := strings.Cut(flag, "=")
		limit, _ := strconv.ParseFloat(number, 64)
		switch name {
		case "required":
			p.Required = true
		case "immutable":
			p.Immutable = true
		case "server":
			p.Server = true
		case "hidden":
			p.Hidden = true
		case "min":
			p.Type.Min = &limit
		case "max":
			p.Type.Max = &limit
		case "minItems":
			p.Type.MinItems = int(limit)
		default:
			return nil, fmt.Errorf("unknown flag %q of %s", flag, p.Name)
		}
	}
	return p, nil
}

var primitives = map[string]Base{
	"string": String, "bool": Bool, "int": Int, "float": Float, "duration": Int, "size": Int, "date": Date,
	"email": Email, "uri": URI, "ip": IP, "ipnet": IPNet, "socket": Socket, "secret": Secret,
}

func (s *Schema) typeOf(word string) (Type, error) {
	name, nullable := strings.CutSuffix(word, "?")
	t := Type{Nullable: nullable}
	head, rest, _ := strings.Cut(name, ":")
	base, primitive := primitives[name]
	switch {
	case primitive:
		t.Base = base
	case head == "enum":
		t.Base, t.Values = Enum, strings.Split(rest, "|")
	case s.enums[name] != nil:
		t.Base, t.Enum, t.Values = Enum, name, s.enums[name]
	case head == "id":
		t.Base, t.Ref = ID, rest
	case head == "set":
		key, err := s.typeOf(rest)
		if err != nil {
			return t, err
		}
		t.Base, t.Key = Set, &key
	case head == "map":
		keyWord, elemWord, given := strings.Cut(rest, ",")
		if !given {
			elemWord = "int"
		}
		key, err := s.typeOf(keyWord)
		if err != nil {
			return t, err
		}
		elem, err := s.typeOf(elemWord)
		if err != nil {
			return t, err
		}
		t.Base, t.Key, t.Elem = Map, &key, &elem
	case head == "list" && s.structs[rest] != nil:
		t.Base, t.Ref = List, rest
	case s.structs[name] != nil:
		t.Base, t.Ref = Struct, name
	default:
		return t, fmt.Errorf("unknown type %q", word)
	}
	return t, nil
}
