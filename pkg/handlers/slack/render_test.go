package slack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func options(n int, label string) []events.Option {
	all := make([]events.Option, n)
	for i := range all {
		all[i] = events.Option{Label: fmt.Sprint(label, i+1), Value: fmt.Sprint("v", i+1)}
	}
	return all
}

func TestEveryTypeIsShown(t *testing.T) {
	t.Parallel()
	const yes = `{"type":"button","text":{"type":"plain_text","text":"Yes","emoji":false},"action_id":"towpath:say:1","value":"y"}`
	for name, tc := range map[string]struct {
		payload      events.Payload
		text, blocks string
	}{
		"a sound":                     {events.Audio{AudioURL: "https://x/a.mp3"}, "<https://x/a.mp3|Audio>", ""},
		"a film":                      {events.Video{VideoURL: "https://x/a.mp4", Title: "Tow & <rope>"}, "<https://x/a.mp4|Tow &amp; &lt;rope&gt;>", ""},
		"a file":                      {events.File{FileURL: "https://x/a b|c>.pdf?a=1&b=2"}, "<https://x/a%20b%7Cc%3E.pdf?a=1&amp;b=2|File>", ""},
		"a place":                     {events.Location{Latitude: 52.5, Longitude: -4.25}, "<https://www.openstreetmap.org/?mlat=52.5&amp;mlon=-4.25#map=16/52.5/-4.25|52.5, -4.25>", ""},
		"a place with a name":         {events.Location{Latitude: 1, Title: "Lock", Address: "Quay 1"}, "<https://www.openstreetmap.org/?mlat=1&amp;mlon=0#map=16/1/0|Lock>\nQuay 1", ""},
		"a choice":                    {events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}}}, "Tea?\n\n1. Yes", `[{"type":"section","text":{"type":"mrkdwn","text":"Tea?"}},{"type":"actions","elements":[` + yes + `]}]`},
		"a choice without words":      {events.Choice{Options: []events.Option{{Label: "Yes", Value: "y"}}}, "1. Yes", `[{"type":"actions","elements":[` + yes + `]}]`},
		"a choice of nothing":         {events.Choice{Text: "Tea?"}, "Tea?", ""},
		"a choice with a long label":  {events.Choice{Text: "Tea?", Options: options(2, strings.Repeat("a", 75))}, "Tea?\n\n1. " + strings.Repeat("a", 75) + "1\n2. " + strings.Repeat("a", 75) + "2", ""},
		"a choice with a long value":  {events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: strings.Repeat("y", 2001)}}}, "Tea?\n\n1. Yes", ""},
		"a dropdown":                  {events.Dropdown{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}}}, "Tea?\n\n1. Yes", `[{"type":"section","text":{"type":"mrkdwn","text":"Tea?"}},{"type":"actions","elements":[{"type":"static_select","action_id":"towpath:say:1","options":[{"text":{"type":"plain_text","text":"Yes","emoji":false},"value":"y"}]}]}]`},
		"a dropdown of nothing":       {events.Dropdown{Text: "Tea?"}, "Tea?", ""},
		"a dropdown, one label long":  {events.Dropdown{Text: "Tea?", Options: []events.Option{{Label: strings.Repeat("a", 76), Value: "y"}}}, "Tea?\n\n1. " + strings.Repeat("a", 76), ""},
		"a card":                      {events.Card{Title: "Rope", Subtitle: "20 m", ImageURL: "https://x/r.png", Actions: []events.CardAction{{Action: "postback", Label: "Yes", Value: "y"}, {Action: "url", Label: "Buy", Value: "https://x/buy"}}}, "Rope\n20 m", `[{"type":"section","text":{"type":"mrkdwn","text":"*Rope*\n20 m"}},{"type":"image","image_url":"https://x/r.png","alt_text":"Rope"},{"type":"actions","elements":[` + yes + `,{"type":"button","text":{"type":"plain_text","text":"Buy","emoji":false},"action_id":"towpath:open:2","url":"https://x/buy"}]}]`},
		"a card's long button":        {events.Card{Title: "Rope", Actions: []events.CardAction{{Action: "say", Label: strings.Repeat("a", 76)}, {Action: "url", Label: "Buy", Value: "no URL"}}}, "Rope", `[{"type":"section","text":{"type":"mrkdwn","text":"*Rope*\n• ` + strings.Repeat("a", 76) + `\n• \u003cno%20URL|Buy\u003e"}}]`},
		"cards, below each other":     {events.Carousel{Items: []events.Card{{Title: "A"}, {Title: "B"}}}, "A\nB", `[{"type":"section","text":{"type":"mrkdwn","text":"*A*"}},{"type":"divider"},{"type":"section","text":{"type":"mrkdwn","text":"*B*"}}]`},
		"a card that says nothing":    {events.Carousel{Items: []events.Card{{}, {Title: "B"}}}, "B", `[{"type":"section","text":{"type":"mrkdwn","text":"*B*"}}]`},
		"a bloc of one":               {events.Bloc{Items: []events.BlocItem{{Type: "text", Payload: json.RawMessage(`{"text":"a"}`)}}}, "a", ""},
		"a picture without a caption": {events.Image{ImageURL: "https://x/a.png"}, "Image", `[{"type":"image","image_url":"https://x/a.png","alt_text":"Image"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(handlerstest.Message{Payload: tc.payload, Conversation: client.Tags{"channelId": "C1"}})
			if o.Err != nil || len(o.Acks) != 1 {
				t.Fatal(o.Err, o.Acks)
			}
			form := sent(t, o, "chat.postMessage")
			if diff := cmp.Diff(tc.text, form.Get("text")) + cmp.Diff(tc.blocks, form.Get("blocks")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestManyFitIntoFewMessages(t *testing.T) {
	t.Parallel()
	cards := make([]events.Card, 40)
	for i := range cards {
		cards[i] = events.Card{Title: fmt.Sprint("Rope ", i), ImageURL: "https://x/r.png", Actions: []events.CardAction{{Action: "say", Label: "Buy", Value: "b"}}}
	}
	for name, tc := range map[string]struct {
		payload events.Payload
		want    int
	}{
		"40 cards":         {events.Carousel{Items: cards}, 4},
		"60 buttons":       {events.Choice{Text: "Which?", Options: options(60, "Tea ")}, 1},
		"100 to pick from": {events.Dropdown{Text: "Which?", Options: options(100, "Tea ")}, 1},
		"101 to pick from": {events.Dropdown{Text: "Which?", Options: options(101, "Tea ")}, 1},
		"2000 buttons":     {events.Choice{Text: "Which?", Options: options(2000, "Tea ")}, 1},
		"three in a bloc": {events.Bloc{Items: []events.BlocItem{{Type: "text", Payload: json.RawMessage(`{"text":"a"}`)},
			{Type: "image", Payload: json.RawMessage(`{"imageUrl":"https://x/a.png"}`)}, {Type: "markdown", Payload: json.RawMessage(`{"markdown":"a"}`)}}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(handlerstest.Message{Payload: tc.payload, Conversation: client.Tags{"channelId": "C1"}})
			if all := posted(t, o); len(all) != tc.want || len(o.Acks) != 1 {
				t.Errorf("%d postings, acks are %v", len(all), o.Acks)
			}
		})
	}
}

func TestWhatCannotBeShownIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]events.Payload{
		"an empty text":  events.Text{},
		"an empty bloc":  events.Bloc{Items: []events.BlocItem{}},
		"a hologram":     events.Bloc{Items: []events.BlocItem{{Type: "hologram", Payload: json.RawMessage(`{}`)}}},
		"a bloc in it":   events.Bloc{Items: []events.BlocItem{{Type: "bloc", Payload: json.RawMessage(`{}`)}}},
		"an empty card":  events.Card{Actions: []events.CardAction{}},
		"no cards":       events.Carousel{Items: []events.Card{}},
		"no question":    events.Choice{Options: []events.Option{}},
		"empty Markdown": events.Markdown{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(handlerstest.Message{Payload: payload, Conversation: client.Tags{"channelId": "C1"}})
			if o.Verdict.Decision != handlers.GiveUp || len(o.Requests) > 0 {
				t.Errorf("%v after %d requests", o.Err, len(o.Requests))
			}
		})
	}
}

func TestBotsEditsReachSlack(t *testing.T) {
	t.Parallel()
	kit := install(t)
	before := kit.Send(outgoing("choice", `{"text":"Tea?","options":[{"label":"Yes","value":"y"}]}`, nil))
	update := func(typ, payload string) handlerstest.Outcome {
		return kit.Run(events.MessageUpdated, handlers.MessageUpdate{
			Type: typ, Payload: json.RawMessage(payload), Conversation: kit.Conversation("", client.Tags{"channelId": "C1"}),
			Current: before.Message, Previous: before.Message,
		})
	}
	o := update("choice", `{"text":"Milk?","options":[{"label":"No","value":"n"}]}`)
	form := sent(t, o, "chat.update")
	if form.Get("ts") != before.Message.Tags["messageId"] || form.Get("channel") != "C1" || form.Get("text") != "Milk?\n\n1. No" || !strings.Contains(form.Get("blocks"), "Milk?") {
		t.Errorf("sent %v", form)
	}
	form = sent(t, update("text", `{"text":"Too late"}`), "chat.update")
	if diff := cmp.Diff(url.Values{"channel": {"C1"}, "ts": form["ts"], "text": {"Too late"}, "blocks": {"[]"}}, form); diff != "" {
		t.Error(diff)
	}
	form = sent(t, update("markdown", `{"markdown":"*Too late*"}`), "chat.update")
	if form.Get("markdown_text") != "*Too late*" || form.Has("text") {
		t.Errorf("sent %v", form)
	}
	for name, o := range map[string]handlerstest.Outcome{
		"several":       update("text", `{"text":"`+strings.Repeat("a ", 40_000)+`"}`),
		"an own type":   update("hologram", `{}`),
		"a bloc's item": update("bloc", `{"items":[{"type":"x","payload":{}}]}`),
	} {
		if o.Verdict.Decision != handlers.GiveUp || len(o.Requests) > 0 {
			t.Errorf("%s: %v after %d requests", name, o.Err, len(o.Requests))
		}
	}
	before.Message.Tags = nil
	if o := update("text", `{"text":"a"}`); o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "did not reach") {
		t.Errorf("what was never sent: %+v", o.Verdict)
	}
}

func TestErrorsOfEdits(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]handlers.Decision{
		"message_not_found": handlers.GiveUp, "cant_update_message": handlers.GiveUp, "edit_window_closed": handlers.GiveUp,
		"msg_too_long": handlers.GiveUp, "invalid_blocks_format": handlers.GiveUp, "token_revoked": handlers.Pause, "ratelimited": handlers.Retry,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			before := kit.Send(outgoing("text", `{"text":"a"}`, nil))
			kit.Script(fake.Rule{Status: http.StatusOK, Body: `{"ok":false,"error":"` + code + `"}`})
			o := kit.Run(events.MessageUpdated, handlers.MessageUpdate{
				Type: "text", Payload: json.RawMessage(`{"text":"b"}`), Conversation: kit.Conversation("", client.Tags{"channelId": "C1"}),
				Current: before.Message, Previous: before.Message,
			})
			if o.Verdict.Decision != want {
				t.Errorf("%v is judged %s, want %s", o.Err, o.Verdict.Decision, want)
			}
		})
	}
}
