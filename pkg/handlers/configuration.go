package handlers

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Configuration is one of several ways to fill an integration's configuration
// type: which of its fields it takes, and which of them it cannot do without.
type Configuration struct {
	Title       string
	Description string
	Fields      []string // names in JSON; empty means all
	Required    []string // likewise; empty means none
}

// schema narrows the schema of the whole type down to this configuration.
func (c Configuration) schema(whole json.RawMessage) (json.RawMessage, error) {
	var schema map[string]any
	if err := json.Unmarshal(whole, &schema); err != nil {
		return nil, err
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Concat(c.Fields, c.Required) {
		if _, ok := properties[name]; !ok {
			return nil, fmt.Errorf("field %q: the configuration type has none of that name", name)
		}
	}
	for name := range properties {
		if len(c.Fields) > 0 && !slices.Contains(c.Fields, name) {
			delete(properties, name)
		}
	}
	for _, name := range c.Required {
		if _, ok := properties[name]; !ok {
			return nil, fmt.Errorf("field %q is required but not among the fields", name)
		}
	}
	delete(schema, "required")
	if len(c.Required) > 0 {
		schema["required"] = c.Required
	}
	return json.Marshal(schema)
}

// configurationSchema returns the closed schema of a configuration type; the
// empty one is the whole of C.
func (i Integration[C]) configurationSchema(typ string, whole json.RawMessage) (json.RawMessage, error) {
	if typ == "" {
		return whole, nil
	}
	named, ok := i.Configurations[typ]
	if !ok {
		return nil, fmt.Errorf("%s has no configuration type %q; it has %s", i.Name, typ, names(i.Configurations))
	}
	return named.schema(whole)
}

// SecretInfo describes a secret of the integration itself, such as the client
// secret of its OAuth application. Its value is in the environment of ingest
// and workers: SECRET_<NAME>, or <INTEGRATION>_SECRET_<NAME>, which wins.
type SecretInfo struct {
	Description string `json:"description,omitempty"`
	Optional    bool   `json:"optional,omitempty"`
}

// SecretLookup finds a secret of the integration by its name.
type SecretLookup func(name string) (Secret, bool)
