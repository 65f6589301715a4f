package texts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

func TestMarkdownShowsEveryType(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		payload events.Payload
		want    string
	}{
		"a text stays":              {events.Text{Text: "1 < 2 *yes*"}, "1 < 2 *yes*"},
		"so does markdown":          {events.Markdown{Markdown: "# Hi"}, "# Hi"},
		"an image":                  {events.Image{ImageURL: "https://x/a.png"}, "![](https://x/a.png)"},
		"an image with a caption":   {events.Image{ImageURL: "https://x/a.png", Caption: "A [dog]"}, "![A \\[dog\\]](https://x/a.png)\n\nA [dog]"},
		"a sound":                   {events.Audio{AudioURL: "https://x/a.mp3"}, "[Audio](https://x/a.mp3)"},
		"a film":                    {events.Video{VideoURL: "https://x/a.mp4", Title: "Tow"}, "[Tow](https://x/a.mp4)"},
		"a file":                    {events.File{FileURL: "https://x/a (1).pdf"}, "[File](https://x/a%20%281%29.pdf)"},
		"a label that goes astray":  {events.File{FileURL: "https://x/a", Title: "a](https://evil)\\\n[b"}, `[a\](https://evil)\\ \[b](https://x/a)`},
		"a place":                   {events.Location{Latitude: 52.5, Longitude: -4.25}, "[52.5, -4.25](https://www.openstreetmap.org/?mlat=52.5&mlon=-4.25#map=16/52.5/-4.25)"},
		"a place with a name":       {events.Location{Latitude: 1, Title: "Lock", Address: "Quay 1"}, "[Lock](https://www.openstreetmap.org/?mlat=1&mlon=0#map=16/1/0)\nQuay 1"},
		"a choice":                  {events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}, {Value: "n"}}}, "Tea?\n\n1. Yes\n2. n"},
		"a dropdown":                {events.Dropdown{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}}}, "Tea?\n\n1. Yes"},
		"a card with nothing in it": {events.Card{}, ""},
		"a card": {events.Card{Title: "Rope", Subtitle: "20 m", ImageURL: "https://x/r.png", Actions: []events.CardAction{
			{Action: "url", Label: "Buy", Value: "https://x/buy"}, {Action: "say", Label: "More", Value: "more"},
		}}, "**Rope**\n\n20 m\n\n![Rope](https://x/r.png)\n\n- [Buy](https://x/buy)\n- More"},
		"a carousel": {events.Carousel{Items: []events.Card{{Title: "A"}, {Title: "B"}}}, "**A**\n\n---\n\n**B**"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := texts.Markdown(tc.payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMarkdownShowsEveryItemOfABloc(t *testing.T) {
	t.Parallel()
	var items []events.BlocItem
	for typ, payload := range map[string]string{
		"text": `{"text":"a"}`, "markdown": `{"markdown":"a"}`, "image": `{"imageUrl":"a"}`, "audio": `{"audioUrl":"a"}`,
		"video": `{"videoUrl":"a"}`, "file": `{"fileUrl":"a"}`, "location": `{"latitude":1,"longitude":2}`,
		"card": `{"title":"a","actions":[]}`, "carousel": `{"items":[{"title":"a"}]}`, "choice": `{"text":"a"}`, "dropdown": `{"text":"a"}`,
	} {
		items = append(items, events.BlocItem{Type: typ, Payload: json.RawMessage(payload)})
	}
	got, err := texts.Markdown(events.Bloc{Items: items})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Split(got, "\n\n")); n != len(items) {
		t.Errorf("%d of %d items in %q", n, len(items), got)
	}
}

func TestMarkdownRefusesWhatNobodyCanRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ item, want string }{
		"a type that is not known": {`{"type":"hologram","payload":{}}`, `item 1 of the bloc: there is no message type "hologram"`},
		"a bloc in a bloc":         {`{"type":"bloc","payload":{"items":[]}}`, `there is no message type "bloc"`},
		"a payload of another":     {`{"type":"text","payload":7}`, "item 1 of the bloc: decode text"},
		"no payload":               {`{"type":"text"}`, "decode text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var item events.BlocItem
			if err := json.Unmarshal([]byte(tc.item), &item); err != nil {
				t.Fatal(err)
			}
			if _, err := texts.Markdown(events.Bloc{Items: []events.BlocItem{item}}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestItemIsThePayloadOfItsType(t *testing.T) {
	t.Parallel()
	got, err := texts.Item(events.BlocItem{Type: "choice", Payload: json.RawMessage(`{"text":"Tea?","options":[{"label":"Yes","value":"y"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}}}
	if diff := cmp.Diff(events.Payload(want), got); diff != "" {
		t.Error(diff)
	}
}
