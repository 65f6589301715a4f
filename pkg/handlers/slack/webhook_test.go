package slack_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestChallengeIsAnsweredAsPlainText(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("url_verification", sampleArgs()))
	if !o.Handshake {
		t.Fatalf("is taken for no handshake: %+v", o)
	}
	if answer := o.Response; answer.Status != http.StatusOK || string(answer.Body) != "0TEST1" || answer.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("answer is %+v", answer)
	}
	if o := kit.Webhook(kit.Sample("message", sampleArgs())); o.Handshake {
		t.Error("a message is taken for a handshake")
	}
}

func TestMessageReachesTheBot(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("message", sampleArgs()))
	if o.Err != nil || len(o.Parts) != 1 || len(o.Messages) != 1 {
		t.Fatalf("outcome is %+v", o)
	}
	if diff := cmp.Diff(handlers.Part{ID: "T0TOWPATH1:Ev0TEST1", Key: "C0TEST1"}, o.Parts[0].Part); diff != "" {
		t.Error(diff)
	}
	m := o.Messages[0]
	if diff := cmp.Diff(client.Tags{"messageId": "1795253400.123456"}, m.Tags) +
		cmp.Diff(`{"text":"Hi \u003cthere\u003e"}`, string(m.Payload)) + cmp.Diff("text", m.Type); diff != "" {
		t.Error(diff)
	}
	if in := kit.Conversation("channel", client.Tags{"channelId": "C0TEST1"}); in.ID != m.ConversationID {
		t.Errorf("the conversation is not %+v", in)
	}
	by, err := kit.Client.GetUser(t.Context(), m.UserID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(client.Tags{"slackUserId": "U0TEST1"}, by.User.Tags); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsAMessage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		event string
		text  string // of the message created; "-" for none
		tags  client.Tags
	}{
		"plain":       {`{"user":"U1","text":"a","ts":"1.1"}`, "a", client.Tags{"messageId": "1.1"}},
		"in a thread": {`{"user":"U1","text":"a","ts":"1.2","thread_ts":"1.1"}`, "a", client.Tags{"messageId": "1.2", "threadId": "1.1"}},
		"sent to the channel too": {`{"subtype":"thread_broadcast","user":"U1","text":"a","ts":"1.2","thread_ts":"1.1"}`, "a",
			client.Tags{"messageId": "1.2", "threadId": "1.1"}},
		"changed":             {`{"subtype":"message_changed","hidden":true,"ts":"1.1","message":{"user":"U1","text":"b"}}`, "-", nil},
		"deleted":             {`{"subtype":"message_deleted","hidden":true,"ts":"1.1"}`, "-", nil},
		"somebody came":       {`{"subtype":"channel_join","user":"U1","text":"joined","ts":"1.1"}`, "-", nil},
		"of a bot":            {`{"bot_id":"B1","user":"U1","text":"a","ts":"1.1"}`, "-", nil},
		"of a classic bot":    {`{"subtype":"bot_message","bot_id":"B1","text":"a","ts":"1.1"}`, "-", nil},
		"of the bot's user":   {`{"user":"UBOT","text":"a","ts":"1.1"}`, "-", nil},
		"of nobody":           {`{"text":"a","ts":"1.1"}`, "-", nil},
		"an event of no kind": {`{"type":"channel_archive","user":"U1"}`, "-", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.SetState("webhook", slack.Webhook{BotUserID: "UBOT"})
			event := tc.event
			if !strings.Contains(event, `"type"`) {
				event = `{"type":"message","channel":"C1",` + event[1:]
			}
			o := kit.Unsigned(post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":`+event+`}`))
			if o.Err != nil || o.Refused != nil {
				t.Fatal(o.Err, o.Refused)
			}
			if tc.text == "-" {
				if len(o.Effects()) > 0 {
					t.Errorf("asked for %v", o.Effects())
				}
				return
			}
			if len(o.Messages) != 1 {
				t.Fatalf("created %d messages", len(o.Messages))
			}
			var payload events.Text
			if err := json.Unmarshal(o.Messages[0].Payload, &payload); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.text, payload.Text) + cmp.Diff(tc.tags, o.Messages[0].Tags); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBotDoesNotHearItself(t *testing.T) {
	t.Parallel()
	kit := install(t)
	if o := kit.Register(); o.Err != nil {
		t.Fatal(o.Err)
	}
	heard := []handlerstest.Outcome{kit.Webhook(kit.Sample("message_bot", sampleArgs()))}
	for _, body := range []string{
		`{"type":"message","channel":"C1","user":"U0TOWPATH1","text":"a","ts":"1.1"}`,
		`{"type":"app_mention","channel":"C1","user":"U0TOWPATH1","text":"<@U0TOWPATH1>","ts":"1.1"}`,
		`{"type":"reaction_removed","user":"U0TOWPATH1","reaction":"eyes","item":{"type":"message","channel":"C1","ts":"1.1"}}`,
		`{"type":"reaction_added","user":"U0TOWPATH1","reaction":"eyes","item":{"type":"message","channel":"C1","ts":"1.1"}}`,
	} {
		heard = append(heard, kit.Unsigned(post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":`+body+`}`)))
	}
	for _, o := range heard {
		if o.Err != nil || o.Refused != nil || len(o.Messages)+len(o.Events) > 0 {
			t.Errorf("the bot hears itself: %+v", o)
		}
	}
}

func TestEventsAreFired(t *testing.T) {
	t.Parallel()
	for sample, tc := range map[string]struct {
		key, event string
		payload    any
	}{
		"reaction_added": {"C0TEST1", "reactionAdded", slack.Reaction{
			Reaction: "eyes", User: "U0TEST1", ItemUser: "U0TOWPATH1", EventTS: "1795253400.123456",
			Item: slack.Item{Type: "message", Channel: "C0TEST1", TS: "1795253340.123456"},
		}},
		"reaction_removed": {"C0TEST1", "reactionRemoved", slack.Reaction{
			Reaction: "eyes", User: "U0TEST1", ItemUser: "U0TOWPATH1", EventTS: "1795253400.123456",
			Item: slack.Item{Type: "message", Channel: "C0TEST1", TS: "1795253340.123456"},
		}},
		"team_join": {"U0TEST1", "memberJoined", slack.Member{EventTS: "1795253400.123456", User: slack.Person{
			ID: "U0TEST1", TeamID: "T0TOWPATH1", Name: "newcomer", RealName: "New Comer", DisplayName: "newcomer",
			Email: "newcomer@example.com", TimeZone: "Europe/Amsterdam",
		}}},
	} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Webhook(kit.Sample(sample, sampleArgs()))
			if o.Err != nil || len(o.Events) != 1 {
				t.Fatalf("outcome is %+v", o)
			}
			if o.Parts[0].Key != tc.key {
				t.Errorf("key is %q, want %q", o.Parts[0].Key, tc.key)
			}
			payload, err := json.Marshal(tc.payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("slack:"+tc.event, o.Events[0].Type) + cmp.Diff(string(payload), string(o.Events[0].Payload)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	about := func(event string) *events.Request {
		return post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":`+event+`}`)
	}
	form := func(body string) *events.Request {
		return post("application/x-www-form-urlencoded; charset=utf-8", body)
	}
	handlerstest.Splits(t, install(t), map[string]handlerstest.Splitting{
		"a channel that is an object": {Request: about(`{"type":"channel_rename","channel":{"id":"C9"}}`), Want: []handlers.Part{{ID: "T1:Ev1", Key: "C9"}}},
		"an event about a person":     {Request: about(`{"user":"U9"}`), Want: []handlers.Part{{ID: "T1:Ev1", Key: "U9"}}},
		"an event about nothing":      {Request: about(`{"channel":7,"item":[]}`), Want: []handlers.Part{{ID: "T1:Ev1"}}},
		"events that are held back":   {Request: post("application/json", `{"type":"app_rate_limited","team_id":"T1"}`), Want: []handlers.Part{{}}},
		"an interaction": {Want: []handlers.Part{{ID: "T1:1.2", Key: "C1"}},
			Request: form("payload=%7B%22trigger_id%22%3A%221.2%22%2C%22team%22%3A%7B%22id%22%3A%22T1%22%7D%2C%22channel%22%3A%7B%22id%22%3A%22C1%22%7D%7D")},
		"no event id":                    {Request: post("application/json", `{"type":"event_callback","team_id":"T1","event":{}}`), Fault: "event_id is missing"},
		"an unknown type":                {Request: post("application/json", `{"type":"surprise"}`), Fault: `type "surprise" is not known`},
		"no JSON":                        {Request: post("application/json", `surprise`), Fault: "decode body"},
		"a form that is none":            {Request: form("a=%zz"), Fault: "decode form"},
		"an interaction that is no JSON": {Request: form("payload=x"), Fault: "decode payload"},
		"a form of something else":       {Request: form("a=b"), Fault: "neither a slash command nor an interaction"},
		"a modal": {Want: []handlers.Part{{ID: "T1:1.2", Key: "U1"}},
			Request: form("payload=" + url.QueryEscape(`{"type":"view_submission","trigger_id":"1.2","team":{"id":"T1"},"user":{"id":"U1"}}`))},
		"a modal that was closed": {Want: []handlers.Part{{Key: "U1"}},
			Request: form("payload=" + url.QueryEscape(`{"type":"view_closed","team":{"id":"T1"},"user":{"id":"U1"}}`))},
	})
}

func TestHandlerErrors(t *testing.T) {
	t.Parallel()
	kit := install(t)
	if o := handled(kit, post("application/json", "{")); o.Verdict.Decision != handlers.GiveUp {
		t.Errorf("what nobody can read: %v", o.Err)
	}
	kit.StoreFails(errStore)
	if o := kit.Webhook(kit.Sample("message", sampleArgs())); o.Verdict.Decision != handlers.Retry {
		t.Errorf("a store that is away: %v", o.Err)
	}
}

// handled hands a request to the handler, whatever Split thinks of it.
func handled(kit *handlerstest.Kit, r *events.Request) handlerstest.Outcome {
	return kit.Run(events.WebhookReceived, events.Webhook{Req: r})
}

func TestRateLimitedAppIsTold(t *testing.T) {
	t.Parallel()
	o := install(t).Unsigned(post("application/json", `{"type":"app_rate_limited","team_id":"T1"}`))
	if o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "holds events back") {
		t.Errorf("%v, owner was told %q", o.Err, o.Told)
	}
}

func TestRecordedPayloads(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct {
		part  handlers.Part
		calls []string
	}{
		"slack.message.json":                     {handlers.Part{ID: "T111:Ev111", Key: "C111"}, []string{"getOrCreateConversation", "getOrCreateUser", "getOrCreateMessage"}},
		"slack.message.bot.json":                 {handlers.Part{ID: "T111:Ev222", Key: "C111"}, nil},
		"slack.message.bot_message_subtype.json": {handlers.Part{ID: "T111:Ev333", Key: "C111"}, nil},
		"slack.reaction_added.json":              {handlers.Part{ID: "T111:Ev111", Key: "C111"}, []string{"createEvent"}},
		"slack.team_join.json":                   {handlers.Part{ID: "T111:Ev222", Key: "U222"}, []string{"createEvent"}},
		"slack.app_rate_limited.json":            {handlers.Part{}, nil},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			o := install(t).Unsigned(post("application/json", string(handlerstest.Payload(t, file))))
			if o.Err != nil || o.Refused != nil {
				t.Fatal(o.Err, o.Refused)
			}
			if diff := cmp.Diff(want.part, o.Parts[0].Part) + cmp.Diff(want.calls, o.Effects(), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: slack.Integration, Configuration: configuration, Forgetful: true})
	for name := range slack.Integration.Samples {
		f.Add("application/json", kit.Sample(name, sampleArgs()).Body)
	}
	for _, form := range []string{"slash_command", "block_actions", "view_submission", "message_action"} {
		f.Add("application/x-www-form-urlencoded", kit.Sample(form, sampleArgs()).Body)
	}
	f.Add("application/x-www-form-urlencoded", slashCommand().Body)
	f.Add("application/x-www-form-urlencoded", []byte("payload=%7B%22trigger_id%22%3A1%7D"))
	f.Add("application/json", []byte(`{"type":"event_callback","event_id":"E","event":{"type":"message","user":{},"ts":1}}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := post(contentType, string(body))
		parts, err := kit.Installed.Split(r)
		if err == nil && len(parts) != 1 {
			t.Errorf("%d parts", len(parts))
		}
		kit.Installed.Handshake(r)
		o := handled(kit.With(t), r)
		if o.Err != nil && o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("would be tried again: %v", o.Err)
		} else if err != nil && o.Err == nil {
			t.Errorf("refused by split, taken by the handler: %v", err)
		}
	})
}
