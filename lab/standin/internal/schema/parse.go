package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

//go:embed kinds/*.txt
var kindFiles embed.FS

// Load reads the embedded descriptions as they are in one version. The grammar
// is line based:
//
//	enum NAME value… [from=VERSION value…]
//	struct NAME | object NAME [unique=PROP] [small] [personal] [strictsecrets] | singleton NAME […]
//	 @Variant [SCHEMA] [from=VERSION] [before=VERSION]
//	  property TYPE[?] [required|immutable|server|hidden|min=N|max=N|minItems=N|maxLength=N|from=VERSION|before=VERSION]… [= JSON]
//
// TYPE is a primitive, enum:a|b, id:Object, set:TYPE, map:KEY[,VALUE],
// list:Struct, or the name of an enum or struct. SCHEMA is what the served
// schema calls a variant's properties. What differs between versions is said
// here and nowhere else: a line holds from one version on, or before another.
// A panic here is a mistake in a file of this program, so it cannot reach a user.
func Load(v Version) *Schema {
	s := &Schema{Version: v, Kinds: map[string]*Kind{}, structs: map[string]*Shape{}, enums: map[string][]string{}, known: map[string]bool{}}
	files, err := kindFiles.ReadDir("kinds")
	if err != nil {
		panic(err)
	}
	var bodies []string
	for _, file := range files {
		body, err := kindFiles.ReadFile("kinds/" + file.Name())
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
			panic(fmt.Sprintf("%s: %v", files[i].Name(), err))
		}
	}
	return s
}

// holds says whether a line with these words belongs to the version, and gives
// back the words that are not about versions.
func (s *Schema) holds(words []string) (rest []string, ok bool) {
	ok = true
	for _, word := range words {
		switch name, version, given := strings.Cut(word, "="); {
		case given && name == "from":
			ok = ok && !s.Version.Before(ParseVersion(version))
		case given && name == "before":
			ok = ok && s.Version.Before(ParseVersion(version))
		default:
			rest = append(rest, word)
		}
	}
	return rest, ok
}

// values are the members of an enumeration that the version has.
func (s *Schema) values(words []string) []string {
	var out []string
	present := true
	for _, word := range words {
		if version, found := strings.CutPrefix(word, "from="); found {
			present = !s.Version.Before(ParseVersion(version))
		} else if present {
			out = append(out, word)
		}
	}
	return out
}

func (s *Schema) declare(body string) {
	for line := range strings.SplitSeq(body, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(line, " ") {
			continue
		}
		switch words[0] {
		case "enum":
			s.enums[words[1]] = s.values(words[2:])
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
	present := true
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
			variant, present = nil, true
		case strings.HasPrefix(trimmed, "@"):
			words, present = s.holds(words)
			variant = &Variant{Name: words[0][1:], index: map[string]*Prop{}}
			variant.Schema = shape.Name + variant.Name
			if len(words) > 1 {
				variant.Schema = words[1]
			}
			if present {
				shape.Variants = append(shape.Variants, variant)
			}
		default:
			if variant == nil {
				variant = &Variant{Schema: shape.Name, index: map[string]*Prop{}}
				shape.Variants = append(shape.Variants, variant)
			}
			p, err := s.property(trimmed)
			if err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
			if p == nil || !present {
				continue
			}
			name(&p.Type, shape.Name+upper(p.Name))
			variant.Props = append(variant.Props, p)
			variant.index[p.Name] = p
			s.known[p.Name] = true
		}
	}
	return nil
}

func upper(name string) string {
	letters := []rune(name)
	letters[0] = unicode.ToUpper(letters[0])
	return string(letters)
}

// name gives an enumeration that is spelt out beside its property the name that
// the served schema calls it by.
func name(t *Type, called string) {
	switch {
	case t.Base == Enum && t.Enum == "":
		t.Enum = called
	case t.Key != nil:
		name(t.Key, called)
	}
}

// property reads one line; nil when the version lacks it.
func (s *Schema) property(line string) (*Prop, error) {
	declaration, value, hasDefault := strings.Cut(line, " = ")
	words, present := s.holds(strings.Fields(declaration))
	if len(words) < 2 {
		return nil, fmt.Errorf("property without a type: %q", line)
	}
	if !present {
		return nil, nil
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
		case "maxLength":
			p.Type.MaxLength = int(limit)
		default:
			return nil, fmt.Errorf("unknown flag %q of %s", flag, p.Name)
		}
	}
	return p, nil
}

var primitives = map[string]Type{
	"string": {Base: String, Format: "string"}, "text": {Base: String, Format: "text"}, "html": {Base: String, Format: "html"},
	"color": {Base: String, Format: "color"}, "bool": {Base: Bool}, "blob": {Base: Blob},
	"int": {Base: Int, Format: "unsignedInteger"}, "integer": {Base: Int, Format: "integer"}, "float": {Base: Float, Format: "float"},
	"duration": {Base: Int, Format: "duration"}, "size": {Base: Int, Format: "size"},
	"date": {Base: Date}, "email": {Base: Email, Format: "emailAddress"}, "uri": {Base: URI, Format: "uri"},
	"ip": {Base: IP, Format: "ipAddress"}, "ipnet": {Base: IPNet, Format: "ipNetwork"}, "socket": {Base: Socket, Format: "socketAddress"},
	"secret": {Base: Secret, Format: "secret"}, "secrettext": {Base: Secret, Format: "secretText"},
}

func (s *Schema) typeOf(word string) (Type, error) {
	name, nullable := strings.CutSuffix(word, "?")
	t := Type{Nullable: nullable}
	head, rest, _ := strings.Cut(name, ":")
	base, primitive := primitives[name]
	switch {
	case primitive:
		t.Base, t.Format = base.Base, base.Format
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
