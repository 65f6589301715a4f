package cli_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// What a bot changes of its message and of a conversation reaches the channel,
// with what it was before.
func TestABotsChangesReachTheChannel(t *testing.T) {
	t.Parallel()
	messages, conversations := make(chan handlers.MessageUpdate, 1), make(chan handlers.ConversationUpdate, 1)
	integration := acme(nil)
	integration.Channels = handlers.Channels[acmeConfig]{"chat": {
		ConversationTags: []string{"room", "topic"},
		Messages: handlers.Messages[acmeConfig]{"text": handlers.NewMessage(
			func(ctx context.Context, p handlers.MessageProps[acmeConfig, events.Text]) error {
				return p.Ack(ctx, client.Tags{"id": "1"})
			})},
		Updated: handlers.Updates[acmeConfig]{
			Message: func(_ context.Context, p handlers.MessageUpdatedProps[acmeConfig]) error {
				messages <- p.MessageUpdate
				return nil
			},
			Conversation: func(_ context.Context, p handlers.ConversationUpdatedProps[acmeConfig]) error {
				conversations <- p.ConversationUpdate
				return nil
			},
		},
	}}
	integration.Handler = func(ctx context.Context, p handlers.WebhookProps[acmeConfig]) (*events.Response, error) {
		_, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{Channel: "chat", Tags: client.Tags{"room": "r1"}})
		return nil, err
	}
	o := startOwn(t, twoTeams, integration)
	bot := client.New(&client.HTTP{BaseURL: o.api, Token: "demo-token-of-the-test"}, client.Caller{BotID: "demo"})
	if status, answer := o.post("/webhooks/red", "hello", "X-Key", "k1", "X-Id", "1"); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	var conversation client.Conversation
	until(t, "the conversation", func() bool {
		found, err := bot.ListConversations(t.Context(), client.ListConversationsInput{Channel: "chat"})
		if err != nil || len(found.Conversations) == 0 {
			return false
		}
		conversation = found.Conversations[0]
		return true
	})
	sent, err := bot.CreateMessage(t.Context(), client.CreateMessageInput{
		ConversationID: conversation.ID, UserID: "demo", Type: "text", Payload: json.RawMessage(`{"text":"first"}`), Tags: client.Tags{},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the ack", func() bool {
		got, err := bot.GetMessage(t.Context(), sent.Message.ID)
		return err == nil && got.Message.AckedAt != nil
	})
	if _, err := bot.UpdateMessage(t.Context(), client.UpdateMessageInput{ID: sent.Message.ID, Payload: json.RawMessage(`{"text":"second"}`)}); err != nil {
		t.Fatal(err)
	}
	if update := <-messages; string(update.Previous.Payload) != `{"text":"first"}` || string(update.Current.Payload) != `{"text":"second"}` ||
		update.Current.ID != sent.Message.ID || update.Conversation.Tags["room"] != "r1" {
		t.Errorf("the channel was told %+v", update)
	}
	if _, err := bot.UpdateConversation(t.Context(), client.UpdateConversationInput{ID: conversation.ID, Tags: client.Tags{"red:topic": "news"}}); err != nil {
		t.Fatal(err)
	}
	if update := <-conversations; update.Previous.Tags["topic"] != "" || update.Current.Tags["topic"] != "news" {
		t.Errorf("the channel was told %+v", update)
	}
}
