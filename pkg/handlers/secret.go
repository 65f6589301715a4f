package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/jsonschema-go/jsonschema"
)

// hidden is what a secret shows instead of itself.
const hidden = "[secret]"

// Secret is a string of a configuration that must not be shown: it prints and
// marshals as "[secret]". Within an unexported field, where package fmt calls
// no methods, it prints as an address.
type Secret struct{ value *string }

// NewSecret hides a string.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the string itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// Format hides the secret from every verb of package fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// UnmarshalJSON takes a string; an empty one is refused, so that nothing is
// ever verified against it.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return errors.New("a secret must be a string")
	}
	if value == "" {
		return errors.New("a secret must not be empty")
	}
	*s = NewSecret(value)
	return nil
}

// JSONSchema implements events.Titled.
func (Secret) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", MinLength: new(1), WriteOnly: true}
}

// Secrets is one secret or a list of them: the current one first, then those
// that are still accepted while it is being rotated.
type Secrets []Secret

// UnmarshalJSON takes a string or a list of strings, none of them empty.
func (s *Secrets) UnmarshalJSON(data []byte) error {
	var one Secret
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		*s = Secrets{one}
		return nil
	}
	var all []Secret
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("a list of secrets must not be empty")
	}
	*s = all
	return nil
}

// Reveal returns the strings themselves.
func (s Secrets) Reveal() []string {
	all := make([]string, len(s))
	for i, secret := range s {
		all[i] = secret.Reveal()
	}
	return all
}

// minSecret is the least length of a secret that can be told from other text.
const minSecret = 6

// SecretsIn returns the values of a configuration of a type that its schema
// keeps to itself, so that they can be taken out of what is shown or kept.
// Those shorter than six bytes are left out: they are part of too much else.
func (d Definition) SecretsIn(configurationType string, configuration json.RawMessage) []string {
	schema := d.Configuration
	if configurationType != "" {
		schema = d.Configurations[configurationType].Schema
	}
	var described struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	given := map[string]json.RawMessage{}
	if json.Unmarshal(schema, &described) != nil || json.Unmarshal(configuration, &given) != nil {
		return nil
	}
	var found []string
	for _, name := range sorted(described.Properties) {
		var one string
		var several []string
		if !bytes.Contains(described.Properties[name], []byte(`"writeOnly":true`)) {
			continue
		}
		if json.Unmarshal(given[name], &one) == nil {
			several = []string{one}
		} else {
			_ = json.Unmarshal(given[name], &several) // neither: it is not given
		}
		for _, secret := range several {
			if len(secret) >= minSecret {
				found = append(found, secret)
			}
		}
	}
	return found
}

// checkSecrets validates the fields of a configuration that hold secrets, and
// is silent about the others. It comes before the validation of the whole,
// whose errors show the value that they are about.
func checkSecrets(configuration, schema json.RawMessage) error {
	var described struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(schema, &described); err != nil {
		return err
	}
	var given map[string]any
	if len(configuration) > 0 && json.Unmarshal(configuration, &given) != nil {
		return errors.New("it must be a JSON object")
	}
	for _, name := range sorted(described.Properties) {
		value, ok := given[name]
		if !ok || !bytes.Contains(described.Properties[name], []byte(`"writeOnly":true`)) {
			continue
		}
		valid, err := resolve(described.Properties[name])
		if err != nil {
			return err
		}
		if valid.Validate(value) != nil {
			return fmt.Errorf("%s: a secret must be a string that is not empty, and only what says so takes a list", name)
		}
	}
	return nil
}

// JSONSchema implements events.Titled.
func (Secrets) JSONSchema() *jsonschema.Schema {
	one := Secret{}.JSONSchema()
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		one, {Type: "array", Items: one, MinItems: new(1)},
	}}
}
