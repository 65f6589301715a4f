package whatsapp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func options(n int, label string) []events.Option {
	all := []events.Option{}
	for i := range n {
		all = append(all, events.Option{Label: fmt.Sprintf("%s%d", label, i+1), Value: fmt.Sprintf("v%d", i+1)})
	}
	return all
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	list := func(rows string) string {
		return `[{"type":"interactive","interactive":{"type":"list","body":{"text":"Which?"},"action":{"button":"Choose","sections":[{"rows":[` + rows + `]}]}}}]`
	}
	four := `{"id":"v1","title":"o1"},{"id":"v2","title":"o2"},{"id":"v3","title":"o3"},{"id":"v4","title":"o4"}`
	long := "a label of more than twenty-four characters "
	for name, tc := range map[string]struct {
		payload events.Payload
		want    string
	}{
		"two are buttons": {events.Choice{Text: "Which?", Options: options(2, "o")},
			`[{"type":"interactive","interactive":{"type":"button","body":{"text":"Which?"},"action":{"buttons":[
				{"type":"reply","reply":{"id":"v1","title":"o1"}},{"type":"reply","reply":{"id":"v2","title":"o2"}}]}}}]`},
		"four are a list":        {events.Choice{Text: "Which?", Options: options(4, "o")}, list(four)},
		"a dropdown is a list":   {events.Dropdown{Text: "Which?", Options: options(4, "o")}, list(four)},
		"a dropdown of one, too": {events.Dropdown{Text: "Which?", Options: options(1, "o")}, list(`{"id":"v1","title":"o1"}`)},
		"long labels are a list with descriptions": {events.Choice{Text: "Which?", Options: options(1, long)},
			list(`{"id":"v1","title":"a label of more than tw…","description":"a label of more than twenty-four characters 1"}`)},
		"no options are a text": {events.Choice{Text: "Which?", Options: options(0, "")}, `[{"type":"text","text":{"body":"Which?"}}]`},
		"eleven are numbered": {events.Choice{Text: "Which?", Options: options(11, "o")},
			`[{"type":"text","text":{"body":"Which?\n1. o1\n2. o2\n3. o3\n4. o4\n5. o5\n6. o6\n7. o7\n8. o8\n9. o9\n10. o10\n11. o11"}}]`},
		"equal values are numbered": {events.Choice{Text: "Which?", Options: []events.Option{{Label: "a", Value: "x"}, {Label: "b", Value: "x"}}},
			`[{"type":"text","text":{"body":"Which?\n1. a\n2. b"}}]`},
		"labels beyond a list are numbered": {events.Choice{Options: []events.Option{{Label: strings.Repeat("x", 73), Value: "x"}}},
			`[{"type":"text","text":{"body":"1. ` + strings.Repeat("x", 73) + `"}}]`},
		"a question without words": {events.Choice{Options: options(1, "o")},
			`[{"type":"interactive","interactive":{"type":"button","body":{"text":"…"},"action":{"buttons":[{"type":"reply","reply":{"id":"v1","title":"o1"}}]}}}]`},
		"a long question goes before": {events.Choice{Text: strings.Repeat("a", 1024) + " b", Options: options(1, "o")},
			`[{"type":"text","text":{"body":"` + strings.Repeat("a", 1024) + `"}},
			{"type":"interactive","interactive":{"type":"button","body":{"text":"b"},"action":{"buttons":[{"type":"reply","reply":{"id":"v1","title":"o1"}}]}}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Send(handlerstest.Message{Payload: tc.payload, Conversation: phone})
			same(t, tc.want, contents(t, o))
			if o.Message.Status != client.Sent {
				t.Errorf("it is %s: %v", o.Message.Status, o.Err)
			}
		})
	}
}

func TestCards(t *testing.T) {
	t.Parallel()
	buttons := func(n int) []events.CardAction {
		all := []events.CardAction{}
		for i := range n {
			all = append(all, events.CardAction{Action: []string{"postback", "say"}[i%2], Label: fmt.Sprintf("b%d", i+1), Value: fmt.Sprintf("v%d", i+1)})
		}
		return all
	}
	link := events.CardAction{Action: "url", Label: "Open", Value: "https://x.example"}
	reply := func(i int) string {
		return fmt.Sprintf(`{"type":"reply","reply":{"id":"v%d","title":"b%d"}}`, i, i)
	}
	for name, tc := range map[string]struct {
		card events.Card
		want string
	}{
		"nothing but words": {events.Card{Title: "T", Subtitle: "S", Actions: buttons(0)}, `[{"type":"text","text":{"body":"T\nS"}}]`},
		"a picture": {events.Card{Title: "T", ImageURL: "https://x.example/a.png", Actions: buttons(0)},
			`[{"type":"image","image":{"link":"https://x.example/a.png","caption":"T"}}]`},
		"buttons and a picture": {events.Card{Title: "T", ImageURL: "https://x.example/a.png", Actions: buttons(1)},
			`[{"type":"interactive","interactive":{"type":"button","header":{"type":"image","image":{"link":"https://x.example/a.png"}},"body":{"text":"T"},"action":{"buttons":[` + reply(1) + `]}}}]`},
		"four buttons": {events.Card{Title: "T", Subtitle: "S", Actions: buttons(4)},
			`[{"type":"interactive","interactive":{"type":"button","body":{"text":"T\nS"},"action":{"buttons":[` + reply(1) + `,` + reply(2) + `,` + reply(3) + `]}}},
			{"type":"interactive","interactive":{"type":"button","body":{"text":"T"},"action":{"buttons":[` + reply(4) + `]}}}]`},
		"one link": {events.Card{Title: "T", Actions: []events.CardAction{link}},
			`[{"type":"interactive","interactive":{"type":"cta_url","body":{"text":"T"},"action":{"name":"cta_url","parameters":{"display_text":"Open","url":"https://x.example"}}}}]`},
		"a link beside a button": {events.Card{Title: "T", Actions: append(buttons(1), link)},
			`[{"type":"interactive","interactive":{"type":"button","body":{"text":"T\nOpen https://x.example"},"action":{"buttons":[` + reply(1) + `]}}}]`},
		"two links": {events.Card{Title: "T", Actions: []events.CardAction{link, link}},
			`[{"type":"text","text":{"body":"T\nOpen https://x.example\nOpen https://x.example","preview_url":true}}]`},
		"a long label and a picture": {events.Card{Title: "T", ImageURL: "https://x.example/a.png",
			Actions: []events.CardAction{{Action: "say", Label: "more than twenty characters", Value: "v"}}},
			`[{"type":"image","image":{"link":"https://x.example/a.png"}},{"type":"interactive","interactive":{"type":"list","body":{"text":"T"},"action":{"button":"Choose","sections":[
				{"rows":[{"id":"v","title":"more than twenty charac…","description":"more than twenty characters"}]}]}}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Send(handlerstest.Message{Payload: tc.card, Conversation: phone})
			same(t, tc.want, contents(t, o))
			two := kit.Send(handlerstest.Message{Payload: events.Carousel{Items: []events.Card{tc.card, tc.card}}, Conversation: phone})
			if len(two.Requests) != 2*len(o.Requests) || two.Message.Status != client.Sent {
				t.Errorf("a carousel of two took %d requests, one %d: %v", len(two.Requests), len(o.Requests), two.Err)
			}
		})
	}
}
