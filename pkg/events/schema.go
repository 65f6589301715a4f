package events

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// Titled lets a type with a form of its own on the wire, such as a secret,
// bring its schema along.
type Titled interface{ JSONSchema() *jsonschema.Schema }

// ClosedSchema returns the JSON Schema of T with no room for unknown fields:
// right for inputs and configurations, where an unknown field is a mistake.
func ClosedSchema[T any]() (json.RawMessage, error) { return schemaOf[T](false) }

// OpenSchema returns the JSON Schema of T with room for more fields: right for
// what is handed on to others, who must survive a newer sender.
func OpenSchema[T any]() (json.RawMessage, error) { return schemaOf[T](true) }

func schemaOf[T any](open bool) (json.RawMessage, error) {
	t := reflect.TypeFor[T]()
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: ownSchemas(t, map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
		reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
	})})
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	if open {
		openUp(schema)
	}
	return json.Marshal(schema)
}

// ownSchemas collects the schemas that types within t bring along.
func ownSchemas(t reflect.Type, found map[reflect.Type]*jsonschema.Schema) map[reflect.Type]*jsonschema.Schema {
	if _, seen := found[t]; seen {
		return found
	}
	if titled, ok := reflect.TypeAssert[Titled](reflect.Zero(t)); ok && t.Kind() != reflect.Pointer {
		found[t] = titled.JSONSchema()
		return found
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return ownSchemas(t.Elem(), found)
	case reflect.Struct:
		for field := range t.Fields() {
			if field.IsExported() {
				found = ownSchemas(field.Type, found)
			}
		}
	}
	return found
}

// openUp removes the ban on unknown fields that inference sets on each struct.
// It leaves the value schema of maps alone.
func openUp(schema *jsonschema.Schema) {
	if schema == nil {
		return
	}
	if banned := schema.AdditionalProperties; banned != nil && banned.Not != nil {
		schema.AdditionalProperties = nil
	}
	openUp(schema.AdditionalProperties)
	openUp(schema.Items)
	for _, property := range schema.Properties {
		openUp(property)
	}
}
