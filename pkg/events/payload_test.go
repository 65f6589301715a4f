package events_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
)

// described is the part of a payload's schema that Botpress's model fixes.
type described struct {
	Required   []string             `json:"required"`
	Properties map[string]described `json:"properties"`
	Items      *described           `json:"items"`
}

// UnmarshalJSON leaves the schema of what may be anything, true, empty.
func (d *described) UnmarshalJSON(data []byte) error {
	if string(data) == "true" {
		return nil
	}
	type plain described
	return json.Unmarshal(data, (*plain)(d))
}

// fields lists the required fields and then, behind a question mark, those
// that may be missing; both sorted.
func (d described) fields() []string {
	required := slices.Sorted(slices.Values(d.Required))
	var optional []string
	for name := range d.Properties {
		if !slices.Contains(required, name) {
			optional = append(optional, "?"+name)
		}
	}
	slices.Sort(optional)
	return append(required, optional...)
}

// elements are the fields of the items of a list; nil for what is no list.
func (d described) elements() []string {
	if d.Items == nil {
		return nil
	}
	return d.Items.fields()
}

func describe[P events.Payload](t *testing.T) (string, described) {
	t.Helper()
	schema, err := events.OpenSchema[P]()
	if err != nil {
		t.Fatal(err)
	}
	var d described
	if err := json.Unmarshal(schema, &d); err != nil {
		t.Fatal(err)
	}
	return (*new(P)).MessageType(), d
}

// Botpress's default messages, field by field: what is required, what may be
// missing, and the fields of the items of each list.
func TestEveryDefaultMessageHasAPayload(t *testing.T) {
	t.Parallel()
	card := []string{"actions", "title", "?imageUrl", "?subtitle"}
	option := []string{"label", "value"}
	for _, tc := range []struct {
		typ      string
		describe func(*testing.T) (string, described)
		fields   []string
		items    map[string][]string
	}{
		{"text", describe[events.Text], []string{"text"}, nil},
		{"image", describe[events.Image], []string{"imageUrl", "?caption", "?title"}, nil}, // caption: the older name of title
		{"audio", describe[events.Audio], []string{"audioUrl", "?title"}, nil},
		{"video", describe[events.Video], []string{"videoUrl", "?title"}, nil},
		{"file", describe[events.File], []string{"fileUrl", "?title"}, nil},
		{"location", describe[events.Location], []string{"latitude", "longitude", "?address", "?title"}, nil},
		{"card", describe[events.Card], card, map[string][]string{"actions": {"action", "label", "value"}}},
		{"carousel", describe[events.Carousel], []string{"items"}, map[string][]string{"items": card}},
		{"choice", describe[events.Choice], []string{"options", "text"}, map[string][]string{"options": option}},
		{"dropdown", describe[events.Dropdown], []string{"options", "text"}, map[string][]string{"options": option}},
		{"bloc", describe[events.Bloc], []string{"items"}, map[string][]string{"items": {"payload", "type"}}},
		{"markdown", describe[events.Markdown], []string{"markdown"}, nil},
	} {
		t.Run(tc.typ, func(t *testing.T) {
			t.Parallel()
			typ, d := tc.describe(t)
			if typ != tc.typ {
				t.Errorf("the message type is %q", typ)
			}
			if diff := cmp.Diff(tc.fields, d.fields()); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			for name, property := range d.Properties {
				if diff := cmp.Diff(tc.items[name], property.elements()); diff != "" {
					t.Errorf("items of %s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestABlocKeepsItsItemsDigitByDigit(t *testing.T) {
	t.Parallel()
	const raw = `{"items":[{"type":"text","payload":{"text":"a"}},{"type":"location","payload":{"latitude":1.50,"longitude":2e1}}]}`
	var bloc events.Bloc
	if err := json.Unmarshal([]byte(raw), &bloc); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(bloc)
	if err != nil || string(got) != raw {
		t.Errorf("%s became %s, %v", raw, got, err)
	}
}
