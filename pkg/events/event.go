package events

import (
	"context"
	"encoding/json"
	"fmt"
)

// Type is one integration event and the type of its payload.
type Type[P any] struct {
	name   string
	schema json.RawMessage
}

// Declared is a Type without its type parameter, as an integration lists them.
type Declared interface {
	EventName() string
	EventSchema() json.RawMessage
}

// Refs says what an event is about, by the ids of the bot's own entities; each
// may be empty. The events of one conversation reach the bot in order.
type Refs struct {
	ConversationID string
	UserID         string
	MessageID      string
}

// Firer takes events; a client.Client is one.
type Firer interface {
	FireEvent(ctx context.Context, name string, about Refs, payload any) error
}

// Define declares an event. Its JSON Schema is read off P and is open: a field
// that is added later breaks no subscriber. Define panics on a P that has no
// schema, such as one holding a channel, because it runs when a program starts
// and nobody could go on from the error.
func Define[P any](name string) Type[P] {
	schema, err := OpenSchema[P]()
	if err != nil {
		panic(fmt.Sprintf("event %s: %v", name, err))
	}
	return Type[P]{name: name, schema: schema}
}

// EventName is the event's name within its integration, such as
// "newOrderCreated". A bot sees it behind the installation's alias.
func (t Type[P]) EventName() string { return t.name }

// EventSchema is the JSON Schema of the payload.
func (t Type[P]) EventSchema() json.RawMessage { return t.schema }

// Fire sends the event to the bot. It is an effect: fired again by another
// attempt at the same delivery, the bot still gets it once.
func (t Type[P]) Fire(ctx context.Context, firer Firer, payload P) error {
	return t.FireFor(ctx, firer, Refs{}, payload)
}

// FireFor does the same for an event that is about a conversation, a user or a
// message.
func (t Type[P]) FireFor(ctx context.Context, firer Firer, about Refs, payload P) error {
	return firer.FireEvent(ctx, t.name, about, payload)
}
