package handlerstest

import (
	"cmp"
	"slices"

	"maps"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Message is what a bot sends.
type Message struct {
	// Payload is an events.Text, events.Image and so on, or anything else that
	// is it in JSON, such as the JSON itself in a string; required.
	Payload any
	// Type is the message's type; needed only where Payload does not tell it.
	Type string
	// Conversation are the tags of the conversation that it goes to, without
	// prefix. The same tags are the same conversation.
	Conversation client.Tags
	// Channel is the conversation's; the integration's only one when empty.
	Channel string
	// Tags are the message's own, such as the thread that it answers in.
	Tags client.Tags
}

// Send lets the bot send a message, and the integration deliver it.
func (k *Kit) Send(m Message) Outcome {
	k.tb.Helper()
	if k.config.Forgetful {
		k.tb.Fatal("a forgetful kit sends nothing")
	}
	conversation := k.Conversation(m.Channel, m.Conversation)
	if payload, ok := m.Payload.(events.Payload); ok {
		m.Type = cmp.Or(m.Type, payload.MessageType())
	}
	tags := client.Tags{}
	for name, value := range m.Tags {
		tags[k.target.Alias+":"+name] = value
	}
	ctx := k.tb.Context()
	made, err := k.Bot.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: conversation.ID, UserID: k.target.BotID, Type: m.Type, Payload: k.encode(m.Payload), Tags: tags,
	})
	if err != nil {
		k.tb.Fatal(err)
	}
	message, err := k.Client.GetMessage(ctx, made.Message.ID)
	if err != nil {
		k.tb.Fatal(err)
	}
	user, err := k.Client.GetUser(ctx, k.target.BotID)
	if err != nil {
		k.tb.Fatal(err)
	}
	return k.attempt(k.job(made.Message.ID, events.MessageCreated, "/bots/"+k.target.BotID, conversation.ID,
		k.encode(handlers.Outgoing{Conversation: conversation, Message: message.Message, User: user.User})))
}

// Conversation finds or makes the conversation with these tags, as the
// integration does when somebody writes. Channel is the integration's only one
// when empty.
func (k *Kit) Conversation(channel string, tags client.Tags) client.Conversation {
	k.tb.Helper()
	if channel == "" {
		all := slices.Collect(maps.Keys(k.Definition.Channels))
		if len(all) != 1 {
			k.tb.Fatalf("%s has %d channels: say which one", k.Definition.Name, len(all))
		}
		channel = all[0]
	}
	if tags == nil {
		tags = client.Tags{}
	}
	found, err := k.Client.GetOrCreateConversation(k.tb.Context(), client.GetOrCreateConversationInput{Channel: channel, Tags: tags})
	if err != nil {
		k.tb.Fatal(err)
	}
	return found.Conversation
}
