package open

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/events"
)

// Path leads to a value in JSON: names with dots between them ("data.id",
// "items.0.id"), or a JSON pointer ("/data/id"), which reaches names that have
// dots in them.
type Path string

// UnmarshalJSON refuses paths that lead nowhere.
func (p *Path) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("a path must be a string, such as data.id")
	}
	if path := Path(text); text == "" || !strings.HasPrefix(text, "/") && slices.Contains(path.names(), "") {
		return fmt.Errorf("path %q: write the names on the way with dots between them, such as data.id, or a JSON pointer, such as /data/id", text)
	}
	*p = Path(text)
	return nil
}

// JSONSchema implements events.Titled.
func (Path) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(longest)}
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func (p Path) names() []string {
	pointer, found := strings.CutPrefix(string(p), "/")
	if !found {
		return strings.Split(string(p), ".")
	}
	names := strings.Split(pointer, "/")
	for i, name := range names {
		names[i] = unescape.Replace(name)
	}
	return names
}

// In returns what the path leads to, as text: a string, or a number, true or
// false as they are written. It is empty where there is nothing of that kind.
func (p Path) In(body Content) string {
	if p == "" {
		return ""
	}
	value := body.value
	for _, step := range p.names() {
		switch at := value.(type) {
		case map[string]any:
			value = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return ""
			}
			value = at[i]
		default:
			return ""
		}
	}
	switch value := value.(type) {
	case string:
		return name(value)
	case json.Number, bool:
		return name(fmt.Sprint(value))
	default:
		return ""
	}
}

// Put sets what the path leads to in an object, and makes what is missing on
// the way; it is for samples.
func (p Path) Put(object map[string]any, value any) {
	names := p.names()
	for _, step := range names[:len(names)-1] {
		next, ok := object[step].(map[string]any)
		if !ok {
			next = map[string]any{}
			object[step] = next
		}
		object = next
	}
	object[names[len(names)-1]] = value
}

// Source is where something is found: in a field of the body, or in a header.
// The zero Source is nowhere.
type Source struct {
	Field  Path   `json:"field,omitempty"`
	Header string `json:"header,omitempty"`
}

// Validate says what is wrong with a source.
func (s Source) Validate() error {
	if s.Field != "" && s.Header != "" {
		return errors.New("name a field or a header, not both")
	}
	if strings.ContainsFunc(s.Header, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`:,;"()<>@[]{}?=/\`, c) }) {
		return fmt.Errorf("header: %q is no header's name", s.Header)
	}
	return nil
}

// Of returns what is found in a request, whose body was read; empty where
// nothing is.
func (s Source) Of(header http.Header, body Content) string {
	if s.Header != "" {
		return name(header.Get(s.Header))
	}
	return s.Field.In(body)
}

// String tells where, for people.
func (s Source) String() string {
	if s.Header != "" {
		return "header " + http.CanonicalHeaderKey(s.Header)
	}
	return "field " + string(s.Field)
}

// decode reads one value of JSON; numbers keep their digits.
func decode(raw json.RawMessage) (any, error) {
	if !json.Valid(raw) {
		return nil, errors.New("the body is neither JSON nor a form")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return value, nil
}

var _ events.Titled = Path("")
