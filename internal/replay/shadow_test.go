package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type nookConfig struct {
	Token handlers.Secret `json:"token"`
}

type nookProps = handlers.WebhookProps[nookConfig]

// nook is a NATS with an installation whose handler a test gives.
type nook struct {
	*testing.T
	*replay.Shadow
	do func(context.Context, nookProps) error
}

func newNook(t *testing.T) *nook {
	t.Helper()
	n := &nook{T: t}
	registry, err := handlers.NewRegistry(handlers.Integration[nookConfig]{
		Name: "nook", Version: "1.0.0", Unverified: true, Events: []events.Declared{events.Define[map[string]any]("happened")},
		Channels: handlers.Channels[nookConfig]{"chat": {}}, UserTags: []string{"id"},
		Handler: func(ctx context.Context, p nookProps) (*events.Response, error) { return nil, n.do(ctx, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b := brokertest.Start(t).Connect(t)
	s, err := store.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), store.Desired{
		WebhookBase: "https://towpath.example/webhooks/", Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{
			{Bot: "demo", Integration: "nook", Alias: "nook", WebhookID: "w1", Configuration: json.RawMessage(`{"token":"s3cret-token"}`)},
			{Bot: "demo", Integration: "elsewhere", Alias: "elsewhere", WebhookID: "w2", Configuration: json.RawMessage(`{}`)},
		},
	}, nil); err != nil {
		t.Fatal(err)
	}
	n.Shadow = &replay.Shadow{Broker: b, Store: s, Registry: registry}
	return n
}

// enqueue stores a webhook and, unless it is nil, what an attempt at it did.
func (n *nook) enqueue(installation, id string, then *dispatch.Recording) {
	n.Helper()
	e := events.New(id, "/webhooks/"+installation, events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(`{"req":{"method":"POST","body":"x"}}`))
	if _, err := n.Broker.Enqueue(n.Context(), broker.Webhooks, installation, "", e); err != nil {
		n.Fatal(err)
	}
	if then == nil {
		return
	}
	then.Delivery = id
	data, err := json.Marshal(then)
	if err != nil {
		n.Fatal(err)
	}
	if err := n.Broker.Record(installation, id, "", thenBegan, data); err != nil {
		n.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		last, err := n.Broker.Next(n.Context(), broker.Recordings, broker.RecordingSubject(installation, id), 0)
		if err == nil && len(last.Data) > 0 {
			return
		}
		if time.Now().After(deadline) {
			n.Fatal(err)
		}
	}
}

// replay runs one delivery again.
func (n *nook) replay(id string) replay.Shadowed {
	n.Helper()
	var all []replay.Shadowed
	for found, err := range (replay.Deliveries{IDs: []string{id}}).Oldest(n.Context(), n.Broker, n.Store, nil) {
		if err != nil {
			n.Fatal(err)
		}
		shadowed, err := n.Shadow.Run(n.Context(), found)
		if err != nil {
			n.Fatal(err)
		}
		all = append(all, shadowed)
	}
	if len(all) != 1 {
		n.Fatalf("%s names %d deliveries", id, len(all))
	}
	return all[0]
}

// text is how people see it.
func text(t *testing.T, s replay.Shadowed) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func TestReadsAreAnsweredFromTheRecording(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	then := ran(thenBegan,
		`getUser {"id":"user_1"} => {"user":{"id":"user_1","name":"Ada"}}`,
		`getUser {"id":"user_1"} => {"user":{"id":"user_1","name":"Ada L."}}`,
		`getUser {"id":"user_2"} => {"user":{"id":"user_2","name":"Bob"}}`)
	n.enqueue("w1", "dlv_1", &then)
	var names []string
	n.do = func(ctx context.Context, p nookProps) error {
		for _, id := range []string{"user_2", "user_1", "user_1", "user_1", "user_9"} {
			found, err := p.Client.GetUser(ctx, id)
			if err != nil {
				return err
			}
			names = append(names, found.User.Name)
		}
		return nil
	}
	shown := text(t, n.replay("dlv_1"))
	if got := strings.Join(names, ","); got != "Bob,Ada,Ada L.,Ada L." {
		t.Errorf("the handler read %s", got)
	}
	want(t, shown, "not recorded then: the replay has no answer to {\"id\":\"user_9\"}", "now       retry: getUser: Internal", "shadow_test.go:")
}

func TestAReadOfItsKindAnswersOneThatWasNotAskedThen(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	then := ran(thenBegan, `getUser {"id":"user_1"} => {"user":{"id":"user_1","name":"Ada"}}`)
	n.enqueue("w1", "dlv_1", &then)
	n.do = func(ctx context.Context, p nookProps) error {
		found, err := p.Client.GetUser(ctx, "user_7")
		if err == nil && found.User.Name != "Ada" {
			err = errors.New("it is " + found.User.Name)
		}
		return err
	}
	want(t, text(t, n.replay("dlv_1")), "!  "+string(replay.Similar), "now       done")
}

func TestAnotherVersionReadsTheStatesOfThen(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	then := ran(thenBegan,
		`getState {"type":"integration","id":"intver_00000000000000000000000000","name":"a"} => {"state":{"payload":1}}`,
		`getState {"type":"integration","id":"intver_00000000000000000000000000","name":"b"} => {"state":{"payload":2}}`)
	n.enqueue("w1", "dlv_1", &then)
	n.do = func(ctx context.Context, p nookProps) error {
		state, err := p.Client.GetState(ctx, client.StateInput{Type: client.IntegrationState, ID: p.Ctx.IntegrationID, Name: "b"})
		if err == nil && string(state.State.Payload) != "2" {
			t.Errorf("it reads %s", state.State.Payload)
		}
		return err
	}
	if shown := text(t, n.replay("dlv_1")); strings.Contains(shown, "!") {
		t.Errorf("shown as\n%s", shown)
	}
}

func TestEffectsAreHeldBackAndAnsweredAsIfTheyWereNot(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	n.enqueue("w1", "dlv_1", &dispatch.Recording{Decision: handlers.Done, Began: thenBegan})
	n.do = func(ctx context.Context, p nookProps) error {
		user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "1"}, Name: "Ada"})
		if err != nil || !user.Meta.Created || user.User.Tags["id"] != "1" || !strings.HasPrefix(user.User.ID, "user_") {
			t.Errorf("user %+v, %v", user, err)
		}
		again, err := p.Client.GetUser(ctx, user.User.ID)
		if err != nil || again.User.Name != "Ada" {
			t.Errorf("read back as %+v, %v", again, err)
		}
		talk, err := p.Client.CreateConversation(ctx, client.CreateConversationInput{Channel: "chat"})
		if err != nil || talk.Conversation.Channel != "chat" {
			t.Errorf("conversation %+v, %v", talk, err)
		}
		message, err := p.Client.CreateMessage(ctx, client.CreateMessageInput{
			ConversationID: talk.Conversation.ID, UserID: user.User.ID, Type: "text", Payload: json.RawMessage(`{"text":"hi"}`),
		})
		if err != nil || message.Message.ConversationID != talk.Conversation.ID || message.Message.Direction != client.Incoming || message.Message.CreatedAt.IsZero() {
			t.Errorf("message %+v, %v", message, err)
		}
		event, err := p.Client.CreateEvent(ctx, client.CreateEventInput{Type: "happened", Payload: json.RawMessage(`{"a":1}`)})
		if err != nil || event.Event.Type != "nook:happened" || string(event.Event.Payload) != `{"a":1}` || event.Event.Status != client.EventPending {
			t.Errorf("event %+v, %v", event, err)
		}
		state, err := p.Client.SetState(ctx, client.SetStateInput{Type: client.UserState, ID: user.User.ID, Name: "s", Payload: json.RawMessage(`{"n":1}`)})
		if err != nil || !strings.HasPrefix(state.State.ID, "state_") || state.State.Name != "s" || string(state.State.Payload) != `{"n":1}` {
			t.Errorf("state %+v, %v", state, err)
		}
		changed, err := p.Client.UpdateMessage(ctx, client.UpdateMessageInput{ID: "msg_7", Tags: client.Tags{"id": "7"}})
		if err != nil || changed.Message.ID != "msg_7" || changed.Message.Tags["id"] != "7" {
			t.Errorf("changed %+v, %v", changed, err)
		}
		return p.Client.DeleteMessage(ctx, "msg_7")
	}
	shadowed := n.replay("dlv_1")
	shown := text(t, shadowed)
	want(t, shown, "!  "+string(replay.MadeUp), "now       done")
	if got := len(shadowed.Compare()); got != 7 {
		t.Errorf("%d effects are new, want 7:\n%s", got, shown)
	}
	for _, bucket := range []broker.Stream{"KV_users", "KV_conversations", "KV_messages", "KV_events", "KV_states", broker.Events} {
		if last, err := n.Broker.LastSeq(t.Context(), bucket); err != nil || last != 0 {
			t.Errorf("%s holds %d, %v", bucket, last, err)
		}
	}
}

func TestAnEffectThatWasRefusedThenIsRefusedAgain(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	then := ran(thenBegan, `createEvent {"type":"happened","payload":{"a":1}}`)
	then.Calls[0].Error = client.NewError(client.ReferenceNotFound, "user not found")
	n.enqueue("w1", "dlv_1", &then)
	n.do = func(ctx context.Context, p nookProps) error {
		err := p.Client.FireEvent(ctx, "happened", events.Refs{}, map[string]int{"a": 1})
		if !errors.Is(err, &client.Error{Type: client.ReferenceNotFound}) {
			t.Errorf("it is %v", err)
		}
		return p.Client.FireEvent(ctx, "happened", events.Refs{}, map[string]int{"a": 2}) // which might have been taken
	}
	want(t, text(t, n.replay("dlv_1")), "→  ReferenceNotFound: user not found", "!  "+string(replay.MadeUp), "now       done")
}

func TestThePlatformAnswersAsItDid(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	then := ran(thenBegan,
		`POST http://127.0.0.1:1/send?token=[secret] {"text":"one","nonce":"a"}`, `POST http://127.0.0.1:1/send?token=[secret] {"text":"two"}`,
		`GET http://127.0.0.1:1/file`, `GET http://127.0.0.1:1/long`, `POST http://127.0.0.1:1/down`)
	then.Exchanges[0].Answer, then.Exchanges[1].Answer = "first", "second s3cret? no, [secret]"
	then.Exchanges[1].Status, then.Exchanges[1].Header = 429, http.Header{"Retry-After": {"7"}, "Content-Length": {"1"}}
	then.Exchanges[2].Binary = true
	then.Exchanges[3].Partial, then.Exchanges[3].Answer = true, "beginning"
	then.Exchanges[4].Status, then.Exchanges[4].Error = 0, "connection reset by peer"
	n.enqueue("w1", "dlv_1", &then)
	n.do = func(ctx context.Context, p nookProps) error {
		for _, test := range []struct{ method, path, body, want string }{
			{"POST", "/send?token=" + p.Ctx.Configuration.Token.Reveal(), `{"text":"two"}`, "429 7 second s3cret? no, [secret] <nil>"},
			{"POST", "/send?token=" + p.Ctx.Configuration.Token.Reveal(), `{"nonce":"b","text":"one"}`, "200  first <nil>"},
			{"GET", "/file", "", "200   the platform's answer was no text, and is not recorded"},
			{"GET", "/long", "", "200  beginning the platform's answer is recorded only up to here"},
			{"POST", "/down", "", "connection reset by peer"},
			{"POST", "/elsewhere", "", "not recorded then, and a replay sends nothing"},
		} {
			request, err := http.NewRequestWithContext(ctx, test.method, "http://127.0.0.1:1"+test.path, strings.NewReader(test.body))
			if err != nil {
				return err
			}
			response, err := p.HTTP.Do(request)
			if err != nil {
				if !strings.HasSuffix(err.Error(), test.want) {
					t.Errorf("%s %s fails with %v, want %s", test.method, test.path, err, test.want)
				}
				continue
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			fault := "<nil>"
			if err != nil {
				fault = err.Error()
			}
			got := strings.Join([]string{response.Status[:3], response.Header.Get("Retry-After"), string(body), fault}, " ")
			if got != test.want {
				t.Errorf("%s %s answers %q, want %q", test.method, test.path, got, test.want)
			}
		}
		p.Logger.WithField("token", p.Ctx.Configuration.Token.Reveal()).Info("asked all")
		return nil
	}
	shadowed := n.replay("dlv_1")
	shown := text(t, shadowed)
	want(t, shown, "→  429 second", "!  "+string(replay.Similar), "!  "+string(replay.NotRecorded), "→  connection reset by peer", "log       INFO asked all token=[secret]  at ")
	if data, err := json.Marshal(shadowed); err != nil || bytes.Contains(data, []byte("s3cret-token")) || strings.Contains(shown, "s3cret-token") {
		t.Errorf("the token is shown, or %v:\n%s", err, shown)
	}
}

func TestWithoutARecordingOnlyLiveReadsAreAnswered(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	user, err := client.New(n.Store, client.Caller{BotID: "demo", IntegrationID: "intver_1", Alias: "nook"}).CreateUser(t.Context(), client.CreateUserInput{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	n.enqueue("w1", "dlv_1", nil)
	n.do = func(ctx context.Context, p nookProps) error {
		if _, err := p.Client.GetUser(ctx, user.User.ID); err != nil {
			return err
		}
		_, err := p.Client.UpdateUser(ctx, client.UpdateUserInput{ID: user.User.ID, Name: client.To("Bob")})
		return err
	}
	want(t, text(t, n.replay("dlv_1")), "then      no recording of it is kept", "now       retry", string(replay.NotRecorded))
	n.LiveReads = true
	want(t, text(t, n.replay("dlv_1")), string(replay.Live), string(replay.MadeUp), "now       done")
	if now, err := client.New(n.Store, client.Caller{BotID: "demo"}).GetUser(t.Context(), user.User.ID); err != nil || now.User.Name != "Ada" {
		t.Errorf("the user is %+v, %v", now, err)
	}
}

func TestWhatCannotBeRunSaysWhyAndAPanicWhere(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	n.enqueue("w1", "dlv_1", nil)
	n.enqueue("w2", "dlv_2", nil)
	n.enqueue("w3", "dlv_3", nil)
	n.do = func(context.Context, nookProps) error { panic("oh no") }
	want(t, text(t, n.replay("dlv_1")), "now       retry", "oh no", "shadow_test.go:")
	want(t, text(t, n.replay("dlv_2")), "not run ", `"elsewhere"`)
	want(t, text(t, n.replay("dlv_3")), "not run   its installation w3 was removed")
}
