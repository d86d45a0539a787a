// Package schema describes the x: objects of the server (their properties,
// defaults and rules) and applies changes to them. The descriptions are the
// text files below kinds/; parse.go documents their grammar.
package schema

// Base is the primitive a property's value is made of.
type Base int

// The primitives of the description language.
const (
	String Base = iota
	Bool
	Int
	Float
	Date
	Email
	URI
	IP
	IPNet
	Socket
	Secret
	Blob
	Enum
	ID
	Set
	Map
	List
	Struct
)

// Type is the type of one property, or of a member of a container.
type Type struct {
	Base     Base
	Nullable bool
	// Format is how the served schema calls the kind of a text or number.
	Format string
	// Enum is the name of the enumeration, Values its members.
	Enum   string
	Values []string
	// Ref names the object an ID points to, or the struct of a Struct or List.
	Ref string
	// Key types the members of a Set and the keys of a Map; Elem a Map's values.
	Key, Elem *Type
	Min, Max  *float64
	MinItems  int
	MaxLength int
}

// Prop is one property of a variant.
type Prop struct {
	Name       string
	Type       Type
	Default    any
	HasDefault bool
	Required   bool
	Immutable  bool
	// Server marks properties only the server sets.
	Server bool
	// Hidden properties are accepted but never shown by get.
	Hidden bool
}

// Variant is one of the forms a shape can take; single-form shapes have one
// variant with an empty name.
type Variant struct {
	Name  string
	Props []*Prop
	// Schema is what the served schema calls these properties, without its x:.
	Schema string
	index  map[string]*Prop
}

// Prop finds a property by name.
func (v *Variant) Prop(name string) *Prop { return v.index[name] }

// Shape is a struct or the body of an object.
type Shape struct {
	Name     string
	Variants []*Variant
}

// Tagged says whether values carry an @type.
func (s *Shape) Tagged() bool { return len(s.Variants) > 0 && s.Variants[0].Name != "" }

// Variant finds a variant by its @type; the empty name means the first one.
func (s *Shape) Variant(name string) *Variant {
	if name == "" {
		return s.Variants[0]
	}
	for _, v := range s.Variants {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Of returns the variant a stored value has.
func (s *Shape) Of(value map[string]any) *Variant {
	name, _ := value["@type"].(string)
	if v := s.Variant(name); v != nil {
		return v
	}
	return s.Variants[0]
}

// Kind is an object of the API (x:Name).
type Kind struct {
	Shape
	Singleton bool
	// Unique names the property that must differ between objects.
	Unique string
	// SmallIDs marks kinds numbered from 1 instead of by a snowflake.
	SmallIDs bool
	// Personal kinds may be used by every account, on itself.
	Personal bool
	// StrictSecrets marks kinds whose secrets must resolve when written.
	StrictSecrets bool
}

// Schema is the whole set of descriptions.
type Schema struct {
	// Version is the server's version that the descriptions are true of.
	Version Version
	Kinds   map[string]*Kind
	Order   []string
	structs map[string]*Shape
	enums   map[string][]string
	// known are the names of all properties: one that another object has is
	// refused in other words than one that nothing has.
	known map[string]bool
}

// Kind finds an object description; nil when the server has no such object.
func (s *Schema) Kind(name string) *Kind { return s.Kinds[name] }
