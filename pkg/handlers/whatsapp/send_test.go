package whatsapp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// contents are what arrived, without what every message has.
func contents(t *testing.T, o handlerstest.Outcome) []map[string]any {
	t.Helper()
	all := bodies(t, o.Requests)
	for _, one := range all {
		if one["messaging_product"] != "whatsapp" || one["recipient_type"] != "individual" || one["to"] != "16505551234" {
			t.Errorf("sent to %v", one)
		}
		delete(one, "messaging_product")
		delete(one, "recipient_type")
		delete(one, "to")
	}
	return all
}

func TestMessagesOfEveryTypeGoOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ typ, payload, want string }{
		"a text":             {"text", `{"text":"Tea & <cake>"}`, `[{"type":"text","text":{"body":"Tea & <cake>"}}]`},
		"a text with a link": {"text", `{"text":"see https://x.example"}`, `[{"type":"text","text":{"body":"see https://x.example","preview_url":true}}]`},
		"markdown":           {"markdown", `{"markdown":"# Title\n**bold** *it* [x](https://y.example)"}`, `[{"type":"text","text":{"body":"*Title*\n*bold* _it_ x (https://y.example)","preview_url":true}}]`},
		"an image":           {"image", `{"imageUrl":"https://x.example/a.png","title":"A","caption":"A lock"}`, `[{"type":"image","image":{"link":"https://x.example/a.png","caption":"A lock"}}]`},
		"an image by id":     {"image", `{"imageUrl":"https://lookaside","mediaId":"7","title":"A"}`, `[{"type":"image","image":{"id":"7","caption":"A"}}]`},
		"an audio":           {"audio", `{"audioUrl":"https://x.example/a.mp3"}`, `[{"type":"audio","audio":{"link":"https://x.example/a.mp3"}}]`},
		"an audio with a title": {"audio", `{"mediaId":"7","title":"Song"}`,
			`[{"type":"text","text":{"body":"Song"}},{"type":"audio","audio":{"id":"7"}}]`},
		"a video":          {"video", `{"videoUrl":"https://x.example/a.mp4","title":"Film"}`, `[{"type":"video","video":{"link":"https://x.example/a.mp4","caption":"Film"}}]`},
		"a file":           {"file", `{"fileUrl":"https://x.example/b/a.pdf?x=1","title":"Bill"}`, `[{"type":"document","document":{"link":"https://x.example/b/a.pdf?x=1","caption":"Bill","filename":"a.pdf"}}]`},
		"a file by id":     {"file", `{"mediaId":"7","filename":"b.pdf"}`, `[{"type":"document","document":{"id":"7","filename":"b.pdf"}}]`},
		"a location":       {"location", `{"latitude":1.5,"longitude":-2,"title":"Here","address":"Road 1"}`, `[{"type":"location","location":{"latitude":1.5,"longitude":-2,"name":"Here","address":"Road 1"}}]`},
		"a reaction":       {"reaction", `{"messageId":"wamid.A","emoji":"👍"}`, `[{"type":"reaction","reaction":{"message_id":"wamid.A","emoji":"👍"}}]`},
		"a reaction taken": {"reaction", `{"messageId":"wamid.A"}`, `[{"type":"reaction","reaction":{"message_id":"wamid.A","emoji":""}}]`},
		"a template": {"template", `{"name":"order_update","language":"en_US","parameters":["4711"],"components":[{"type":"header","parameters":[]}]}`,
			`[{"type":"template","template":{"name":"order_update","language":{"code":"en_US"},"components":[
				{"type":"body","parameters":[{"type":"text","text":"4711"}]},{"type":"header","parameters":[]}]}}]`},
		"a bloc": {"bloc", `{"items":[{"type":"text","payload":{"text":"a"}},{"type":"image","payload":{"imageUrl":"https://x.example/a.png"}},{"type":"markdown","payload":{"markdown":"~~b~~"}}]}`,
			`[{"type":"text","text":{"body":"a"}},{"type":"image","image":{"link":"https://x.example/a.png"}},{"type":"text","text":{"body":"~b~"}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Send(handlerstest.Message{Type: tc.typ, Payload: tc.payload, Conversation: phone})
			same(t, tc.want, contents(t, o))
			if len(o.Acks) != 1 || o.Message.Status != client.Sent || o.Message.Tags["id"] != fmt.Sprintf("wamid.FAKE%08d", len(o.Requests)) {
				t.Errorf("acked %v, is %+v, %v", o.Acks, o.Message, o.Err)
			}
			if again := kit.Retry(o); len(again.Requests) != 0 {
				t.Errorf("sent again: %v", again.Requests)
			}
		})
	}
}

func TestEveryTypeOfABotsMessageCanBeSent(t *testing.T) {
	t.Parallel()
	kit := install(t)
	card := events.Card{Title: "a", Actions: []events.CardAction{}}
	options := []events.Option{{Label: "a", Value: "a"}}
	for _, payload := range []events.Payload{
		events.Text{Text: "a"}, events.Image{ImageURL: "https://x.example/a"}, events.Audio{AudioURL: "https://x.example/a"},
		events.Video{VideoURL: "https://x.example/a"}, events.File{FileURL: "https://x.example/a"}, events.Location{},
		card, events.Carousel{Items: []events.Card{card}}, events.Choice{Text: "a", Options: options},
		events.Dropdown{Text: "a", Options: options}, events.Markdown{Markdown: "a"},
		events.Bloc{Items: []events.BlocItem{
			{Type: "audio", Payload: json.RawMessage(`{"mediaId":"1"}`)}, {Type: "video", Payload: json.RawMessage(`{"mediaId":"1"}`)},
			{Type: "file", Payload: json.RawMessage(`{"mediaId":"1"}`)}, {Type: "location", Payload: json.RawMessage(`{}`)},
			{Type: "card", Payload: json.RawMessage(`{"title":"a"}`)}, {Type: "carousel", Payload: json.RawMessage(`{"items":[{"title":"a"}]}`)},
			{Type: "choice", Payload: json.RawMessage(`{"text":"a"}`)}, {Type: "dropdown", Payload: json.RawMessage(`{"text":"a"}`)},
		}},
	} {
		if o := kit.Send(handlerstest.Message{Payload: payload, Conversation: phone}); o.Message.Status != client.Sent {
			t.Errorf("%s is %s: %v", payload.MessageType(), o.Message.Status, o.Err)
		}
	}
}

func TestWhatCannotBeSentIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ typ, payload, told string }{
		"an empty text":           {"text", `{"text":" \n "}`, "empty"},
		"an image without either": {"image", `{}`, "mediaId"},
		"an image of no URL":      {"image", `{"imageUrl":"file:///etc/passwd"}`, "no URL"},
		"a place off the earth":   {"location", `{"latitude":91,"longitude":0}`, "no place"},
		"a reaction to nothing":   {"reaction", `{"messageId":""}`, "messageId"},
		"a template without name": {"template", `{"name":"","language":"en"}`, "name and language"},
		"a bloc in a bloc":        {"bloc", `{"items":[{"type":"bloc","payload":{}}]}`, "bloc"},
		"a bloc of strange items": {"bloc", `{"items":[{"type":"text","payload":7}]}`, "no text message"},
		"a card with a bad image": {"card", `{"title":"a","imageUrl":"x","actions":[]}`, "no URL"},
		"a carousel with one":     {"carousel", `{"items":[{"title":"a","imageUrl":"x","actions":[]}]}`, "no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Send(handlerstest.Message{Type: tc.typ, Payload: tc.payload, Conversation: phone})
			if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, tc.told) || len(o.Requests) != 0 {
				t.Errorf("got %+v after %d requests", o.Verdict, len(o.Requests))
			}
		})
	}
	t.Run("a message to nobody", func(t *testing.T) {
		t.Parallel()
		kit := install(t)
		o := kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: client.Tags{"firstMessageId": "x"}})
		if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "userPhone") {
			t.Errorf("got %+v", o.Verdict)
		}
	})
}

func TestAReplyQuotes(t *testing.T) {
	t.Parallel()
	kit := install(t)
	long := strings.Repeat("word ", 1000)
	o := kit.Send(handlerstest.Message{Payload: events.Text{Text: long}, Conversation: phone, Tags: client.Tags{"replyTo": "wamid.ASKED"}})
	got := contents(t, o)
	if len(got) != 2 || got[1]["context"] != nil {
		t.Fatalf("sent %d", len(got))
	}
	same(t, `{"message_id":"wamid.ASKED"}`, got[0]["context"])
}

// tenThousand is a text of 10,000 characters in which every line is another one.
func tenThousand() string {
	var b strings.Builder
	for i := 0; b.Len() < 10_000; i++ {
		fmt.Fprintf(&b, "Line %04d of a long text about locks and bridges.\n", i)
	}
	return b.String()[:9_999] + "!"
}

func TestTenThousandCharactersArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	kit := install(t)
	text := tenThousand()
	o := kit.Send(handlerstest.Message{Payload: events.Text{Text: text}, Conversation: phone})
	parts := []string{}
	for _, one := range contents(t, o) {
		part := one["text"].(map[string]any)["body"].(string)
		if len(part) > 4096 {
			t.Errorf("a part has %d characters", len(part))
		}
		parts = append(parts, part)
	}
	if got := strings.Join(parts, "\n"); got != text || len(parts) != 3 {
		t.Errorf("%d parts: %s", len(parts), cmp.Diff(text, got))
	}
	if o.Message.Status != client.Sent || o.Message.Tags["id"] != "wamid.FAKE00000003" {
		t.Errorf("it is %+v", o.Message)
	}
}

// What was sent before an attempt ended is not sent by the next one.
func TestALongTextGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	kit := install(t)
	text := tenThousand()
	full := kit.Send(handlerstest.Message{Payload: events.Text{Text: text}, Conversation: phone})
	want := contents(t, full)

	send := func() handlerstest.Outcome {
		return kit.Send(handlerstest.Message{Payload: events.Text{Text: text}, Conversation: phone})
	}
	for stop := range 3 {
		kit.Platform.ClearScript()
		// The rules let a number of requests pass and refuse the next one.
		if stop > 0 {
			kit.Script(fake.Rule{Times: stop, Delay: 1})
		}
		kit.Script(withTimes(whatsapp.Refusal(131056, "pair rate limit hit"), 1))
		o := send()
		if o.Verdict.Decision != handlers.Retry || len(o.Requests) != stop+1 || len(o.Acks) != 0 {
			t.Fatalf("stopped at %d: %+v after %d requests", stop, o.Verdict, len(o.Requests))
		}
		taken := o.Requests[:stop]
		o = kit.Retry(o)
		got := contents(t, handlerstest.Outcome{Requests: append(taken, o.Requests...)})
		if diff := cmp.Diff(want, got); diff != "" || o.Message.Status != client.Sent {
			t.Errorf("stopped at %d: it is %s, %s", stop, o.Message.Status, diff)
		}
	}
}

func withTimes(rule fake.Rule, times int) fake.Rule {
	rule.Times = times
	return rule
}

func TestALongCaptionFollows(t *testing.T) {
	t.Parallel()
	kit := install(t)
	caption := strings.Repeat("é", 1025)
	o := kit.Send(handlerstest.Message{Payload: events.Image{ImageURL: "https://x.example/a.png", Caption: caption}, Conversation: phone})
	same(t, `[{"type":"image","image":{"link":"https://x.example/a.png"}},{"type":"text","text":{"body":"`+caption+`"}}]`, contents(t, o))
	o = kit.Send(handlerstest.Message{Payload: events.Image{ImageURL: "https://x.example/a.png", Caption: caption[2:]}, Conversation: phone})
	if len(o.Requests) != 1 || o.Message.Status != client.Sent {
		t.Errorf("%d requests, %v", len(o.Requests), o.Err)
	}
}

func TestTheTemplateActionStartsAConversation(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("sendTemplate", `{"userPhone":"+1 (650) 555-1234","name":"hello_world","language":"en_US"}`)
	same(t, `[{"messaging_product":"whatsapp","recipient_type":"individual","to":"16505551234","type":"template",
		"template":{"name":"hello_world","language":{"code":"en_US"}}}]`, bodies(t, o.Requests))
	var sent whatsapp.TemplateSent
	if err := json.Unmarshal(o.Action.Output, &sent); err != nil || sent.MessageID != "wamid.FAKE00000001" || o.Action.Cost != 1 {
		t.Errorf("gave %s at %v", o.Action.Output, o.Action.Cost)
	}
	heard := kit.Webhook(kit.Sample("message", handlers.SampleArgs{User: "16505551234"}))
	if heard.Messages[0].ConversationID != sent.ConversationID {
		t.Error("the answer is in another conversation")
	}
	o = kit.Action("sendTemplate", `{"userId":"US.1","name":"hello_world","language":"en_US"}`)
	if body := bodies(t, o.Requests)[0]; body["recipient"] != "US.1" || body["to"] != nil {
		t.Errorf("sent %v", body)
	}
	for _, input := range []string{
		`{"name":"a","language":"en"}`, `{"userPhone":"none","name":"a","language":"en"}`, `{"userPhone":"1","name":"","language":"en"}`, `{"userPhone":"1"}`,
	} {
		if o := kit.Action("sendTemplate", input); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 0 {
			t.Errorf("%s got %+v", input, o.Verdict)
		}
	}
}

func TestTheOtherActions(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("markAsRead", `{"messageId":"wamid.A","typing":true}`)
	same(t, `[{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A","typing_indicator":{"type":"text"}}]`, bodies(t, o.Requests))
	o = kit.Action("getMedia", `{"mediaId":"1003383421387256"}`)
	same(t, `{"mediaId":"1003383421387256","url":"`+mediaURL+`","mimeType":"image/jpeg","sha256":"4654+8g=","size":61901}`, o.Action.Output)
	if path := o.Requests[0].Path; path != "/v24.0/1003383421387256?phone_number_id=106540352242922" {
		t.Errorf("asked for %s", path)
	}
}
