package handlers_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func configure(t *testing.T, i handlers.Integration[config]) handlers.Installed {
	t.Helper()
	installed, err := i.Configure(json.RawMessage(`{"token":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	return installed
}

func TestUpdatesReachTheirChannel(t *testing.T) {
	t.Parallel()
	var seen []string
	i := acme()
	i.Channels["hall"] = handlers.Channel[config]{Updated: handlers.Updates[config]{
		Message: func(_ context.Context, p handlers.MessageUpdatedProps[config]) error {
			seen = append(seen, "message "+p.Previous.ID+" → "+p.Current.ID+" with "+p.Ctx.Configuration.Token.Reveal())
			return nil
		},
		Conversation: func(_ context.Context, p handlers.ConversationUpdatedProps[config]) error {
			seen = append(seen, "conversation "+p.Previous.ID+" → "+p.Current.ID)
			return nil
		},
	}}
	installed := configure(t, i)
	var errs error
	for _, channel := range []string{"hall", "room", "nowhere"} { // room has no handlers, nowhere does not exist
		errs = errors.Join(errs,
			installed.MessageUpdated(t.Context(), handlers.Base{}, handlers.MessageUpdate{
				Conversation: client.Conversation{Channel: channel},
				Previous:     client.Message{ID: "a"}, Current: client.Message{ID: "b"},
			}),
			installed.ConversationUpdated(t.Context(), handlers.Base{}, handlers.ConversationUpdate{
				Previous: client.Conversation{ID: "c"}, Current: client.Conversation{ID: "d", Channel: channel},
			}))
	}
	if errs != nil {
		t.Error(errs)
	}
	if diff := cmp.Diff([]string{"message a → b with t", "conversation c → d"}, seen); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
}

func TestUpdatesAreReadAsBotpressWritesThem(t *testing.T) {
	t.Parallel()
	var message handlers.MessageUpdate
	if err := json.Unmarshal([]byte(`{"type":"text","payload":{"text":"new"},"conversation":{"id":"c","channel":"hall"},
		"user":{"id":"u"},"currentMessage":{"id":"now"},"previousMessage":{"id":"then"}}`), &message); err != nil {
		t.Fatal(err)
	}
	if message.Type != "text" || string(message.Payload) != `{"text":"new"}` || message.Conversation.Channel != "hall" ||
		message.User.ID != "u" || message.Current.ID != "now" || message.Previous.ID != "then" {
		t.Errorf("read as %+v", message)
	}
	var conversation handlers.ConversationUpdate
	if err := json.Unmarshal([]byte(`{"currentConversation":{"id":"now"},"previousConversation":{"id":"then"}}`), &conversation); err != nil {
		t.Fatal(err)
	}
	if conversation.Current.ID != "now" || conversation.Previous.ID != "then" {
		t.Errorf("read as %+v", conversation)
	}
}

func TestPingFailsOnlyIfTheIntegrationSaysSo(t *testing.T) {
	t.Parallel()
	i := acme()
	if err := configure(t, i).Ping(t.Context(), handlers.Base{}); err != nil {
		t.Errorf("without a Ping: %v", err)
	}
	i.Ping = func(context.Context, handlers.Props[config]) error { return handlers.NewRuntimeError("no", nil) }
	wantError(t, configure(t, i).Ping(t.Context(), handlers.Base{}), []string{"no"}, nil)
}

func TestOnlyWhatIsAwaitedIsAnsweredByTheHandler(t *testing.T) {
	t.Parallel()
	i := acme()
	if configure(t, i).Awaits(&events.Request{Path: "/command"}) != nil {
		t.Error("awaited without Answers")
	}
	i.Answers = &handlers.Answers{Within: time.Second, Awaited: func(r *events.Request) bool { return r.Path == "/command" }}
	installed := configure(t, i)
	if installed.Awaits(&events.Request{Path: "/command"}) != i.Answers || installed.Awaits(&events.Request{Path: "/"}) != nil {
		t.Error("the wrong requests are awaited")
	}
}

func TestHandlersFindTheIntegrationsSecrets(t *testing.T) {
	t.Parallel()
	i := acme()
	var got string
	i.Register = func(_ context.Context, p handlers.RegisterProps[config]) error {
		secret, ok := p.Secret("CLIENT_ID")
		if _, other := p.Secret("OTHER"); ok && !other {
			got = secret.Reveal() + " at " + p.WebhookURL
		}
		return nil
	}
	base := handlers.Base{Secret: func(name string) (handlers.Secret, bool) {
		return handlers.NewSecret("id"), name == "CLIENT_ID"
	}}
	if err := configure(t, i).Register(t.Context(), base, "https://here"); err != nil || got != "id at https://here" {
		t.Errorf("found %q, %v", got, err)
	}
}
