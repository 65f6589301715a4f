package slack_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestChallengeIsAnsweredAsPlainText(t *testing.T) {
	t.Parallel()
	i := install(t)
	answer, ok := i.Handshake(i.sample(t, "url_verification", sampleArgs()))
	if !ok {
		t.Fatal("is taken for no handshake")
	}
	if answer.Status != http.StatusOK || string(answer.Body) != "0TEST1" || answer.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("answer is %+v", answer)
	}
	if _, ok := i.Handshake(i.sample(t, "message", sampleArgs())); ok {
		t.Error("a message is taken for a handshake")
	}
}

func TestMessageReachesTheBot(t *testing.T) {
	t.Parallel()
	i := install(t)
	parts, err := i.receive(t.Context(), i.sample(t, "message", sampleArgs()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]handlers.Part{{ID: "T0TOWPATH1:Ev0TEST1", Key: "C0TEST1"}}, parts); diff != "" {
		t.Error(diff)
	}
	want := []call{
		{"getOrCreateConversation", &client.GetOrCreateConversationInput{Channel: "channel", Tags: client.Tags{"channelId": "C0TEST1"}}},
		{"getOrCreateUser", &client.GetOrCreateUserInput{Tags: client.Tags{"slackUserId": "U0TEST1"}}},
		{"createMessage", &client.CreateMessageInput{
			ConversationID: "conv_1", UserID: "user_1", Type: "text", Payload: json.RawMessage(`{"text":"Hi \u003cthere\u003e"}`),
			Tags: client.Tags{"messageId": "1795253400.123456"},
		}},
	}
	if diff := cmp.Diff(want, i.recorder.calls); diff != "" {
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
		"with a file": {`{"subtype":"file_share","user":"U1","text":"look","ts":"1.1","files":[{"title":"x"}]}`, "look", client.Tags{"messageId": "1.1"}},
		"only files": {`{"subtype":"file_share","user":"U1","text":"","ts":"1.1","files":[{"title":"a.png","permalink":"https://x/a"},{"permalink":"https://x/b"}]}`,
			"a.png https://x/a\nhttps://x/b", client.Tags{"messageId": "1.1"}},
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
			i := install(t)
			i.recorder.states = map[string]json.RawMessage{"webhook": json.RawMessage(`{"botUserId":"UBOT"}`)}
			event := tc.event
			if !strings.Contains(event, `"type"`) {
				event = `{"type":"message","channel":"C1",` + event[1:]
			}
			r := post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":`+event+`}`)
			if _, err := i.Webhook(t.Context(), i.base, r); err != nil {
				t.Fatal(err)
			}
			created := i.recorder.asked("createMessage")
			if tc.text == "-" {
				if len(i.recorder.calls) > 0 {
					t.Errorf("asked for %v", i.recorder.calls)
				}
				return
			}
			if len(created) != 1 {
				t.Fatalf("created %d messages", len(created))
			}
			in := created[0].(*client.CreateMessageInput)
			var payload events.Text
			if err := json.Unmarshal(in.Payload, &payload); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.text, payload.Text) + cmp.Diff(tc.tags, in.Tags); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBotDoesNotHearItself(t *testing.T) {
	t.Parallel()
	i := install(t)
	if err := i.Register(t.Context(), i.base, "https://towpath.example/webhooks/w1"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.receive(t.Context(), i.sample(t, "message_bot", sampleArgs())); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"type":"message","channel":"C1","user":"U0TOWPATH1","text":"a","ts":"1.1"}`,
		`{"type":"reaction_added","user":"U0TOWPATH1","reaction":"eyes","item":{"type":"message","channel":"C1","ts":"1.1"}}`,
	} {
		r := post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":`+body+`}`)
		if _, err := i.Webhook(t.Context(), i.base, r); err != nil {
			t.Fatal(err)
		}
	}
	if made := append(i.recorder.asked("createMessage"), i.recorder.asked("createEvent")...); len(made) > 0 {
		t.Errorf("the bot hears itself: %v", made)
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
		"team_join": {"U0TEST1", "memberJoined", slack.Member{EventTS: "1795253400.123456", User: slack.Person{
			ID: "U0TEST1", TeamID: "T0TOWPATH1", Name: "newcomer", RealName: "New Comer", DisplayName: "newcomer",
			Email: "newcomer@example.com", TimeZone: "Europe/Amsterdam",
		}}},
	} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			parts, err := i.receive(t.Context(), i.sample(t, sample, sampleArgs()))
			if err != nil {
				t.Fatal(err)
			}
			if parts[0].Key != tc.key {
				t.Errorf("key is %q, want %q", parts[0].Key, tc.key)
			}
			payload, err := json.Marshal(tc.payload)
			if err != nil {
				t.Fatal(err)
			}
			want := []call{{"createEvent", &client.CreateEventInput{Type: tc.event, Payload: payload}}}
			if diff := cmp.Diff(want, i.recorder.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	for name, tc := range map[string]struct {
		contentType, body string
		want              handlers.Part
		fault             string
	}{
		"a channel that is an object": {"application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"channel_rename","channel":{"id":"C9"}}}`,
			handlers.Part{ID: "T1:Ev1", Key: "C9"}, ""},
		"an event about a person":   {"application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"user":"U9"}}`, handlers.Part{ID: "T1:Ev1", Key: "U9"}, ""},
		"an event about nothing":    {"application/json", `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"channel":7,"item":[]}}`, handlers.Part{ID: "T1:Ev1"}, ""},
		"events that are held back": {"application/json", `{"type":"app_rate_limited","team_id":"T1"}`, handlers.Part{}, ""},
		"an interaction": {form, "payload=%7B%22trigger_id%22%3A%221.2%22%2C%22team%22%3A%7B%22id%22%3A%22T1%22%7D%2C%22channel%22%3A%7B%22id%22%3A%22C1%22%7D%7D",
			handlers.Part{ID: "T1:1.2", Key: "C1"}, ""},
		"no event id":                    {"application/json", `{"type":"event_callback","team_id":"T1","event":{}}`, handlers.Part{}, "event_id is missing"},
		"an unknown type":                {"application/json", `{"type":"surprise"}`, handlers.Part{}, `type "surprise" is not known`},
		"no JSON":                        {"application/json", `surprise`, handlers.Part{}, "decode body"},
		"a form that is none":            {form, "a=%zz", handlers.Part{}, "decode form"},
		"an interaction that is no JSON": {form, "payload=x", handlers.Part{}, "decode payload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts, err := install(t).Split(post(tc.contentType, tc.body))
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Errorf("got %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]handlers.Part{tc.want}, parts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHandlerErrors(t *testing.T) {
	t.Parallel()
	i := install(t)
	if _, err := i.Webhook(t.Context(), i.base, post("application/json", "{")); decision(err) != handlers.GiveUp {
		t.Errorf("what nobody can read: %v", err)
	}
	r := i.sample(t, "message", sampleArgs())
	i.recorder.fail = errStore
	if _, err := i.Webhook(t.Context(), i.base, r); decision(err) != handlers.Retry {
		t.Errorf("a store that is away: %v", err)
	}
}

func TestRateLimitedAppIsTold(t *testing.T) {
	t.Parallel()
	i := install(t)
	if _, err := i.Webhook(t.Context(), i.base, post("application/json", `{"type":"app_rate_limited","team_id":"T1"}`)); err != nil {
		t.Fatal(err)
	}
	if lines := i.log.all(); len(lines) != 1 || !strings.Contains(lines[0], "holds events back") {
		t.Errorf("owner was told %q", lines)
	}
}

func TestRecordedPayloads(t *testing.T) {
	t.Parallel()
	folder := testData(t)
	for file, want := range map[string]struct {
		part  handlers.Part
		calls []string
	}{
		"slack.message.json":                     {handlers.Part{ID: "T111:Ev111", Key: "C111"}, []string{"getOrCreateConversation", "getOrCreateUser", "createMessage"}},
		"slack.message.bot.json":                 {handlers.Part{ID: "T111:Ev222", Key: "C111"}, nil},
		"slack.message.bot_message_subtype.json": {handlers.Part{ID: "T111:Ev333", Key: "C111"}, nil},
		"slack.reaction_added.json":              {handlers.Part{ID: "T111:Ev111", Key: "C111"}, []string{"createEvent"}},
		"slack.team_join.json":                   {handlers.Part{ID: "T111:Ev222", Key: "U222"}, []string{"createEvent"}},
		"slack.app_rate_limited.json":            {handlers.Part{}, nil},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join(folder, "payloads", file))
			if err != nil {
				t.Fatal(err)
			}
			i := install(t)
			r := post("application/json", string(body))
			parts, err := i.Split(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := i.Webhook(t.Context(), i.base, r); err != nil {
				t.Fatal(err)
			}
			var calls []string
			for _, c := range i.recorder.calls {
				calls = append(calls, c.Name)
			}
			if diff := cmp.Diff([]handlers.Part{want.part}, parts) + cmp.Diff(want.calls, calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzWebhook(f *testing.F) {
	i := install(f)
	for name := range slack.Integration.Samples {
		f.Add("application/json", i.sample(f, name, sampleArgs()).Body)
	}
	f.Add("application/x-www-form-urlencoded", slashCommand().Body)
	f.Add("application/x-www-form-urlencoded", []byte("payload=%7B%22trigger_id%22%3A1%7D"))
	f.Add("application/json", []byte(`{"type":"event_callback","event_id":"E","event":{"type":"message","user":{},"ts":1}}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := post(contentType, string(body))
		parts, err := i.Split(r)
		if err == nil && len(parts) != 1 {
			t.Errorf("%d parts", len(parts))
		}
		i.Handshake(r)
		base := i.base
		base.Client = client.New(&recorder{}, base.Client.Caller())
		if _, failed := i.Webhook(t.Context(), base, r); failed != nil && decision(failed) != handlers.GiveUp {
			t.Errorf("would be tried again: %v", failed)
		} else if err != nil && failed == nil {
			t.Errorf("refused by split, taken by the handler: %v", err)
		}
	})
}
