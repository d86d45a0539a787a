package registry

import "tailwart.lab/standin/internal/schema"

// ObjectID names an object in an error.
type ObjectID struct {
	Object string `json:"object"`
	ID     string `json:"id"`
}

// Error is a SetError of the API.
type Error struct {
	Type             string             `json:"type"`
	Description      string             `json:"description,omitempty"`
	Properties       []string           `json:"properties,omitempty"`
	ObjectID         *ObjectID          `json:"objectId,omitempty"`
	LinkedObjects    []ObjectID         `json:"linkedObjects,omitempty"`
	ValidationErrors []schema.Violation `json:"validationErrors,omitempty"`
}

func (e *Error) Error() string { return e.Type + ": " + e.Description }

func fromPatch(e *schema.PatchError) *Error {
	return &Error{Type: "invalidPatch", Description: e.Description, Properties: []string{e.Property}}
}

func fromViolations(v []schema.Violation) *Error {
	e := &Error{Type: "validationFailed", ValidationErrors: v}
	// A missing value is named in validationErrors alone; a wrong one twice.
	for _, violation := range v {
		if violation.Type == "Invalid" {
			e.Properties = append(e.Properties, violation.Property)
		}
	}
	return e
}

// Invalid is the answer for a value that the server could not use.
func Invalid(property, description string) *Error {
	return &Error{Type: "invalidProperties", Description: description, Properties: []string{property}}
}
