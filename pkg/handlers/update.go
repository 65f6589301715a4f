package handlers

import (
	"context"
	"encoding/json"

	"github.com/towpath/towpath/pkg/client"
)

// MessageUpdate is a message that a bot changed.
type MessageUpdate struct {
	Type         string              `json:"type"`
	Payload      json.RawMessage     `json:"payload"`
	Conversation client.Conversation `json:"conversation"`
	User         client.User         `json:"user"`
	Current      client.Message      `json:"currentMessage"`
	Previous     client.Message      `json:"previousMessage"`
}

// MessageUpdatedProps is what a channel's handler of changed messages is given.
type MessageUpdatedProps[C any] struct {
	Props[C]
	MessageUpdate
}

// ConversationUpdate is a conversation that a bot changed.
type ConversationUpdate struct {
	Current  client.Conversation `json:"currentConversation"`
	Previous client.Conversation `json:"previousConversation"`
}

// ConversationUpdatedProps is what a channel's handler of changed conversations
// is given.
type ConversationUpdatedProps[C any] struct {
	Props[C]
	ConversationUpdate
}

// Updates are what a channel does about changes that a bot makes. A channel
// without a handler lets them pass.
type Updates[C any] struct {
	Message      func(ctx context.Context, p MessageUpdatedProps[C]) error
	Conversation func(ctx context.Context, p ConversationUpdatedProps[C]) error
}

func (i *installed[C]) MessageUpdated(ctx context.Context, base Base, update MessageUpdate) error {
	handle := i.Channels[update.Conversation.Channel].Updated.Message
	if handle == nil {
		return nil
	}
	return handle(ctx, MessageUpdatedProps[C]{Props: i.props(base), MessageUpdate: update})
}

func (i *installed[C]) ConversationUpdated(ctx context.Context, base Base, update ConversationUpdate) error {
	handle := i.Channels[update.Current.Channel].Updated.Conversation
	if handle == nil {
		return nil
	}
	return handle(ctx, ConversationUpdatedProps[C]{Props: i.props(base), ConversationUpdate: update})
}
