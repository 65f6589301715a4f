package whatsapp_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

const mediaURL = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1003383421387256&hash=00000001"

func TestMessagesOfEveryTypeComeIn(t *testing.T) {
	t.Parallel()
	for sample, tc := range map[string]struct{ typ, payload string }{
		"message":  {"text", `{"text":"hello"}`},
		"image":    {"image", `{"imageUrl":"` + mediaURL + `","mediaId":"1003383421387256","mimeType":"image/jpeg","caption":"hello","title":"hello"}`},
		"sticker":  {"image", `{"imageUrl":"` + mediaURL + `","mediaId":"1003383421387256","mimeType":"image/webp"}`},
		"audio":    {"audio", `{"audioUrl":"` + mediaURL + `","mediaId":"1003383421387256","mimeType":"audio/ogg; codecs=opus"}`},
		"video":    {"video", `{"videoUrl":"` + mediaURL + `","mediaId":"1003383421387256","mimeType":"video/mp4","caption":"hello","title":"hello"}`},
		"document": {"file", `{"fileUrl":"` + mediaURL + `","mediaId":"1003383421387256","mimeType":"application/pdf","filename":"invoice.pdf","caption":"hello","title":"hello"}`},
		"location": {"location", `{"latitude":52.3676,"longitude":4.9041,"title":"hello","address":"Prinsengracht 1, Amsterdam"}`},
		"contacts": {"text", `{"text":"hello +1 650-555-1234","contacts":[{"name":{"first_name":"hello","formatted_name":"hello"},"phones":[{"phone":"+1 650-555-1234","wa_id":"16505551234","type":"CELL"}]}]}`},
		"button":   {"text", `{"text":"hello","value":"payload-1"}`}, "button_reply": {"text", `{"text":"hello","value":"value-1"}`},
		"list_reply": {"text", `{"text":"hello","value":"value-1"}`},
		"order":      {"text", `{"text":"hello\n2 × di9ozbzfi4 30 USD","order":{"catalog_id":"194836987003835","text":"hello","product_items":[{"product_retailer_id":"di9ozbzfi4","quantity":2,"item_price":30,"currency":"USD"}]}}`},
		"reaction":   {"reaction", `{"messageId":"wamid.REACTED","emoji":"👍"}`},
		"username":   {"text", `{"text":"hello"}`},
	} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Webhook(kit.Sample(sample, handlers.SampleArgs{User: "16505551234"}))
			if o.Err != nil || len(o.Messages) != 1 {
				t.Fatalf("got %v, %d messages, %v", o.Err, len(o.Messages), o.Refused)
			}
			m := o.Messages[0]
			if m.Type != tc.typ || !strings.HasPrefix(m.Tags["id"], "wamid.0SAMPLE1") || m.Direction != client.Incoming {
				t.Errorf("made %+v", m)
			}
			same(t, tc.payload, m.Payload)
			// The handler runs again: nothing is doubled, though a picture has
			// another URL by now.
			again := kit.Retry(o)
			all, err := kit.Client.ListMessages(t.Context(), client.ListMessagesInput{ConversationID: m.ConversationID})
			if err != nil || len(all.Messages) != 1 || again.Err != nil {
				t.Errorf("%d messages after a second attempt, %v, %v", len(all.Messages), err, again.Err)
			}
			if len(again.Events) != 1 || again.Events[0].ID != o.Events[0].ID {
				t.Errorf("the second attempt fired %+v after %+v", again.Events, o.Events)
			}
		})
	}
}

func TestFormsAndReplies(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Unsigned(said(`"type":"interactive","context":{"from":"15550783881","id":"wamid.ASKED"},
		"interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{\"a\":1}"}}`))
	if len(o.Messages) != 1 || o.Messages[0].Tags["replyTo"] != "wamid.ASKED" {
		t.Fatalf("made %+v, %v", o.Messages, o.Err)
	}
	same(t, `{"text":"Sent","value":"{\"a\":1}"}`, o.Messages[0].Payload)
}

// said is a message with these fields beside those that all have.
func said(fields string) *events.Request {
	return post(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{
		"metadata":{"phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"Sam"},"wa_id":"16505551234"}],
		"messages":[{"from":"16505551234","id":"wamid.SAID","timestamp":"1700000000",` + fields + `}]}}]}]}`)
}

func TestMediaThatCannotBeGot(t *testing.T) {
	t.Parallel()
	t.Run("for now are tried again", func(t *testing.T) {
		t.Parallel()
		kit := install(t)
		kit.Script(fake.Rule{Method: "GET", Status: 503, Times: 1})
		o := kit.Webhook(kit.Sample("image", handlers.SampleArgs{}))
		if o.Verdict.Decision != handlers.Retry || len(o.Messages) != 0 {
			t.Errorf("got %+v", o.Verdict)
		}
		if o = kit.Retry(o); len(o.Messages) != 1 {
			t.Errorf("made %d messages, %v", len(o.Messages), o.Err)
		}
	})
	t.Run("any more come without URL", func(t *testing.T) {
		t.Parallel()
		kit := install(t)
		kit.Script(whatsapp.Refusal(100, "Unsupported get request. Object does not exist"))
		o := kit.Webhook(kit.Sample("audio", handlers.SampleArgs{}))
		if len(o.Messages) != 1 || len(o.Told) != 1 {
			t.Fatalf("made %d messages, told %v, %v", len(o.Messages), o.Told, o.Err)
		}
		same(t, `{"audioUrl":"","mediaId":"1003383421387256","mimeType":"audio/ogg; codecs=opus"}`, o.Messages[0].Payload)
	})
	t.Run("with a URL in the webhook need no call", func(t *testing.T) {
		t.Parallel()
		kit := install(t)
		o := kit.Unsigned(said(`"type":"image","image":{"id":"1","mime_type":"image/png","url":"https://x/1"}`))
		if len(o.Requests) != 0 || len(o.Messages) != 1 || !strings.Contains(string(o.Messages[0].Payload), "https://x/1") {
			t.Errorf("asked %v, made %+v", o.Requests, o.Messages)
		}
	})
}

func TestOpeningTheChatIsAnEvent(t *testing.T) {
	t.Parallel()
	kit := install(t)
	args := handlers.SampleArgs{User: "16505551234"}
	opened := kit.Webhook(kit.Sample("request_welcome", args))
	want := []whatsapp.Conversation{{PhoneNumber: "16505551234", Name: "16505551234", MessageID: "wamid.0SAMPLE1.request_welcome", Time: handlerstest.Now.Truncate(time.Second)}}
	if diff := cmp.Diff(want, handlerstest.Fired(opened, whatsapp.ConversationOpened)); diff != "" || len(opened.Messages) != 0 {
		t.Errorf("%d messages, %s", len(opened.Messages), diff)
	}
	if again := kit.Retry(opened); len(again.Events) != 1 || again.Events[0].ID != opened.Events[0].ID {
		t.Errorf("the second attempt fired %+v", again.Events)
	}
	// What they write then starts the conversation that was opened.
	args.ID = "FIRST"
	started := kit.Webhook(kit.Sample("message", args))
	if n := len(handlerstest.Fired(started, whatsapp.ConversationStarted)); n != 1 || started.Events[0].ConversationID != opened.Events[0].ConversationID {
		t.Errorf("fired %d, %+v", n, started.Events)
	}
}

func TestAConversationStartsOnce(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Send(handlerstest.Message{Payload: events.Text{Text: "first"}, Conversation: phone}) // the bot may be first
	first := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "1", User: "16505551234"}))
	second := kit.Webhook(kit.Sample("image", handlers.SampleArgs{ID: "2", User: "16505551234"}))
	other := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "3", User: "16505559999"}))
	for i, o := range []handlerstest.Outcome{first, second, other} {
		if got, want := len(handlerstest.Fired(o, whatsapp.ConversationStarted)), []int{1, 0, 1}[i]; got != want {
			t.Errorf("message %d fired %d events, want %d: %v", i, got, want, o.Err)
		}
	}
	if again := kit.Retry(first); len(again.Events) != 1 || again.Events[0].ID != first.Events[0].ID {
		t.Errorf("the second attempt fired %+v", again.Events)
	}
	if first.Messages[0].ConversationID != kit.Conversation("", phone).ID {
		t.Error("the answer is in another conversation")
	}
}

func TestAConversationStartsAlsoWhenTheStoreFailsMidway(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.StoreFails(errors.New("away"))
	o := kit.Webhook(kit.Sample("message", handlers.SampleArgs{}))
	if o.Verdict.Decision != handlers.Retry {
		t.Fatalf("got %+v", o.Verdict)
	}
	kit.StoreFails(nil)
	if o = kit.Retry(o); len(o.Events) != 1 || len(o.Messages) != 1 {
		t.Errorf("fired %v, made %v", o.Events, o.Messages)
	}
}

func TestAnEditedMessageChanges(t *testing.T) {
	t.Parallel()
	kit := install(t)
	made := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "EDITED"}))
	o := kit.Webhook(kit.Sample("edit", handlers.SampleArgs{ID: "2", Text: "better"}))
	kit.Retry(o)
	got, err := kit.Client.GetMessage(t.Context(), made.Messages[0].ID)
	if err != nil || o.Err != nil {
		t.Fatal(err, o.Err)
	}
	same(t, `{"text":"better"}`, got.Message.Payload)
	unknown := kit.Webhook(kit.Sample("edit", handlers.SampleArgs{ID: "3", User: "16505559999", Text: "late"}))
	if len(unknown.Messages) != 1 || unknown.Messages[0].Tags["id"] != "wamid.EDITED" {
		t.Errorf("made %+v, %v", unknown.Messages, unknown.Err)
	}
}

func TestARevokedMessageIsMarked(t *testing.T) {
	t.Parallel()
	kit := install(t)
	unknown := kit.Webhook(kit.Sample("revoke", handlers.SampleArgs{ID: "0"}))
	made := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "REVOKED"}))
	o := kit.Webhook(kit.Sample("revoke", handlers.SampleArgs{ID: "2"}))
	got, err := kit.Client.GetMessage(t.Context(), made.Messages[0].ID)
	if err != nil || o.Err != nil || unknown.Err != nil {
		t.Fatal(err, o.Err, unknown.Err)
	}
	if got.Message.Tags["revokedAt"] != "2026-11-21T09:30:00Z" {
		t.Errorf("tags are %v", got.Message.Tags)
	}
}

func TestTheOwnerIsToldOfWhatIsNotPassedOn(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("unsupported", handlers.SampleArgs{}))
	if len(o.Told) != 1 || !strings.Contains(o.Told[0], "not supported. (131051)") || len(o.Calls) != 0 {
		t.Errorf("told %v, asked %d times", o.Told, len(o.Calls))
	}
}

func TestReceiptsMoveAMessageOn(t *testing.T) {
	t.Parallel()
	kit := install(t)
	status := func(word, id string) client.Message {
		t.Helper()
		o := kit.Webhook(kit.Sample(word, handlers.SampleArgs{ID: word, Text: id}))
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		return client.Message{}
	}
	stands := func(id string) client.Message {
		t.Helper()
		got, err := kit.Client.GetMessage(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return got.Message
	}
	sent := kit.Send(handlerstest.Message{Payload: events.Text{Text: "hi"}, Conversation: phone})
	wamid := sent.Message.Tags["id"]
	if sent.Message.Status != client.Sent || !strings.HasPrefix(wamid, "wamid.") {
		t.Fatalf("sent %+v", sent.Message)
	}
	for _, step := range []struct {
		word string
		want client.Status
	}{{"read", client.Read}, {"sent", client.Read}, {"delivered", client.Read}, {"failed", client.Read}} {
		status(step.word, wamid)
		if got := stands(sent.Message.ID); got.Status != step.want {
			t.Errorf("after %s it is %s", step.word, got.Status)
		}
	}
	failing := kit.Send(handlerstest.Message{Payload: events.Text{Text: "again"}, Conversation: phone})
	status("failed", failing.Message.Tags["id"])
	got := stands(failing.Message.ID)
	if got.Status != client.Failed || !strings.Contains(got.FailureReason, "(131047)") || !strings.Contains(got.FailureReason, "use a message of type template") {
		t.Errorf("it is %s: %s", got.Status, got.FailureReason)
	}
	status("delivered", "wamid.NOBODYS") // of what another program sent
}
