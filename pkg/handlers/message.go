package handlers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Channels are an integration's channels by name.
type Channels[C any] map[string]Channel[C]

// Channel is one way to talk: which messages it can deliver, and which tags
// its conversations and messages carry.
type Channel[C any] struct {
	Title            string
	ConversationTags []string
	MessageTags      []string
	// Receipt is the one of MessageTags by which the platform's receipts name a
	// message; see ReportReceipt of
	// client.Client. Empty if it sends none.
	Receipt  string
	Messages Messages[C]
	Updated  Updates[C]
	// Rate is how much the platform takes in each conversation of the channel.
	Rate Rate
}

// Messages are a channel's message handlers by message type.
type Messages[C any] map[string]Message[C]

// Message delivers one type of message, made by [NewMessage].
type Message[C any] struct {
	schema json.RawMessage
	fault  error
	run    func(ctx context.Context, p Props[C], m Outgoing, receipt string) error
}

// Outgoing is a message on its way to a platform.
type Outgoing struct {
	Conversation client.Conversation `json:"conversation"`
	Message      client.Message      `json:"message"`
	User         client.User         `json:"user"`
}

// NewMessage makes a message handler of a function. M is the payload, such as
// events.Text: a field that it requires must be there, one that it does not
// have is ignored.
func NewMessage[C, M any](fn func(context.Context, MessageProps[C, M]) error) Message[C] {
	message := Message[C]{}
	var valid *jsonschema.Resolved
	message.schema, message.fault = events.OpenSchema[M]()
	if message.fault == nil {
		valid, message.fault = resolve(message.schema)
	}
	message.run = func(ctx context.Context, p Props[C], m Outgoing, receipt string) error {
		var payload M
		if err := decodeValid(m.Message.Payload, valid, &payload); err != nil {
			return Permanent(NewRuntimeError(fmt.Sprintf("the payload is no %s message: %v", m.Message.Type, err), nil))
		}
		return fn(ctx, MessageProps[C, M]{
			Props: p, Payload: payload, Conversation: m.Conversation, Message: m.Message, User: m.User,
			receipt: receipt,
		})
	}
	return message
}
