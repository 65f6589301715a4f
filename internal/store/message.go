package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// deliveryExtension is the CloudEvent attribute that names the delivery which
// something follows from.
const deliveryExtension = "delivery"

// storedMessage is a message as it is stored; its tags are as bots see them.
type storedMessage struct {
	Alias   string         `json:"alias"`
	Message client.Message `json:"message"`
	// Attempt is the number of the last attempt to send it.
	Attempt int `json:"attempt,omitempty"`
}

// MessageData is the data of a message_created operation: an outgoing message
// with what belongs to it, in the view of the integration that sends it.
type MessageData struct {
	Type         string              `json:"type"`
	Payload      json.RawMessage     `json:"payload"`
	Conversation client.Conversation `json:"conversation"`
	Message      client.Message      `json:"message"`
	User         client.User         `json:"user"`
}

// incomingPayload is the payload of the event that tells a bot of a message.
type incomingPayload struct {
	Message      client.Message      `json:"message"`
	User         client.User         `json:"user"`
	Conversation client.Conversation `json:"conversation"`
}

func viewMessage(caller client.Caller, m storedMessage) client.Message {
	view := m.Message
	view.Tags = viewTags(caller, m.Message.Tags)
	return view
}

func (s *Store) createMessage(ctx context.Context, call client.Call, in *client.CreateMessageInput) (*client.MessageOutput, error) {
	if err := checkMessage(in); err != nil {
		return nil, err
	}
	conversation, err := s.conversation(ctx, call.Caller, in.ConversationID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NewError(client.ReferenceNotFound, "conversation %q not found", in.ConversationID)
	}
	if err != nil {
		return nil, err
	}
	user, err := s.user(ctx, call.Caller, in.UserID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NewError(client.ReferenceNotFound, "user %q not found", in.UserID)
	}
	if err != nil {
		return nil, err
	}
	e, err := s.effectOf(ctx, call, "msg")
	if err != nil {
		return nil, err
	}
	key := broker.Key(call.Caller.BotID, e.ID)
	if m, _, err := load[storedMessage](ctx, s.messages, key); !errors.Is(err, broker.ErrNoKey) {
		return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
	}
	tags := client.Tags{}
	mergeTags(&tags, storedTags(call.Caller, in.Tags))
	stored := storedMessage{Alias: conversation.Alias, Message: client.Message{
		ID: e.ID, CreatedAt: e.At, UpdatedAt: e.At, Type: in.Type, Payload: in.Payload, Tags: tags,
		UserID: user.ID, ConversationID: conversation.ID, Origin: in.Origin,
	}}
	c := commit{bucket: s.messages, record: key, claim: messageIndex(call.Caller.BotID, in.ConversationID, e.ID)}
	if call.Caller.IsIntegration() {
		stored.Message.Direction = client.Incoming
		err = s.incoming(&c, call, stored, conversation, user)
	} else {
		stored.Message.Direction, stored.Message.Status = client.Outgoing, client.Queued
		err = s.outgoing(ctx, &c, call, stored, conversation, user)
	}
	if err != nil {
		return nil, err
	}
	c.value = stored
	if err := c.run(ctx, s.broker); err != nil {
		return nil, err
	}
	m, _, err := load[storedMessage](ctx, s.messages, key)
	return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
}

func checkMessage(in *client.CreateMessageInput) error {
	if err := checkName("type", in.Type); err != nil {
		return err
	}
	if err := checkObject("payload", in.Payload); err != nil {
		return err
	}
	return checkTags(in.Tags)
}

// messageIndex is the key by which a message is listed in its conversation.
func messageIndex(bot, conversation, id string) string { return broker.Key(bot, conversation, id) }

// incoming tells the bot of an integration's message, as an event.
func (s *Store) incoming(c *commit, call client.Call, m storedMessage, conversation record[place], user record[person]) error {
	bot := client.Caller{BotID: call.Caller.BotID}
	payload, err := json.Marshal(incomingPayload{
		Message: m.Message, User: viewUser(bot, user), Conversation: viewConversation(bot, conversation),
	})
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	typ := string(events.MessageCreated)
	e, err := s.cloudEvent(call, m.Message.ID, typ, conversation.ID, client.Event{
		ID: "evt" + m.Message.ID[len("msg"):], CreatedAt: m.Message.CreatedAt, Type: typ, Payload: payload,
		ConversationID: conversation.ID, UserID: user.ID, MessageID: m.Message.ID, Status: statusPending,
	})
	if err != nil {
		return err
	}
	s.throughEvents(c, call.Caller, typ, e)
	c.restore = func(message broker.Message) (any, error) {
		stored, err := decode[client.Event](message)
		if err != nil {
			return nil, err
		}
		var payload incomingPayload
		if err := json.Unmarshal(stored.Payload, &payload); err != nil {
			return nil, fmt.Errorf("decode message: %w", err)
		}
		return storedMessage{Alias: m.Alias, Message: payload.Message}, nil
	}
	return nil
}

// outgoing asks the worker to send a bot's message.
func (s *Store) outgoing(ctx context.Context, c *commit, call client.Call, m storedMessage, conversation record[place], user record[person]) error {
	installation, err := s.active(ctx, call.Caller.BotID, conversation.Alias)
	if err != nil {
		return err
	}
	sender := client.Caller{BotID: call.Caller.BotID, Alias: conversation.Alias}
	e, err := s.cloudEvent(call, m.Message.ID, events.MessageCreated.CloudEventType(), conversation.ID, MessageData{
		Type: m.Message.Type, Payload: m.Message.Payload, Conversation: viewConversation(sender, conversation),
		Message: viewMessage(sender, m), User: viewUser(sender, user),
	})
	if err != nil {
		return err
	}
	c.publish = func(ctx context.Context) (broker.Receipt, error) {
		return s.broker.Enqueue(ctx, broker.Commands, installation.WebhookID, conversation.ID, e)
	}
	c.find = s.findCommand(installation.WebhookID, conversation.ID, e.ID())
	c.restore = func(message broker.Message) (any, error) {
		data, err := decode[MessageData](message)
		if err != nil {
			return nil, err
		}
		return restored(sender, data.Message), nil
	}
	return nil
}

// restored makes the record of a message from the view of its integration.
func restored(sender client.Caller, m client.Message) storedMessage {
	m.Tags = storedTags(sender, m.Tags)
	return storedMessage{Alias: sender.Alias, Message: m}
}

// cloudEvent wraps what a call made.
func (s *Store) cloudEvent(call client.Call, id, typ, subject string, data any) (event.Event, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return event.Event{}, fmt.Errorf("encode %s: %w", typ, err)
	}
	e := events.New(id, "/bots/"+call.Caller.BotID, typ, subject, s.now(), encoded)
	if call.Delivery.ID != "" {
		e.SetExtension(deliveryExtension, call.Delivery.ID)
	}
	if call.Delivery.TraceParent != "" {
		e.SetExtension("traceparent", call.Delivery.TraceParent)
	}
	return e, nil
}

// decode reads the data of a stored CloudEvent.
func decode[T any](message broker.Message) (data T, err error) {
	e, err := message.Event()
	if err != nil {
		return data, err
	}
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return data, fmt.Errorf("decode %s: %w", e.Type(), err)
	}
	return data, nil
}
