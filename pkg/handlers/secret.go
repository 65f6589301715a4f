package handlers

import (
	"encoding/json"
	"errors"

	"github.com/google/jsonschema-go/jsonschema"
)

// hidden is what a secret shows instead of itself.
const hidden = "[secret]"

// Secret is a string of a configuration that must not be shown: it prints and
// marshals as "[secret]".
type Secret struct{ value string }

// NewSecret hides a string.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the string itself.
func (s Secret) Reveal() string { return s.value }

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return hidden }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// UnmarshalJSON takes a string; an empty one is refused, so that nothing is
// ever verified against it.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &s.value); err != nil {
		return errors.New("a secret must be a string")
	}
	if s.value == "" {
		return errors.New("a secret must not be empty")
	}
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

// JSONSchema implements events.Titled.
func (Secrets) JSONSchema() *jsonschema.Schema {
	one := Secret{}.JSONSchema()
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		one, {Type: "array", Items: one, MinItems: new(1)},
	}}
}
