package store

import (
	"context"
	"errors"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// statusPending is the status of every event: whether a bot has processed it,
// the bot knows.
const statusPending = "pending"

// clockSkew is how far the clocks of NATS's servers may be apart.
const clockSkew = 10 * time.Second

// storedEvent is an event as it is stored.
type storedEvent struct {
	Alias string       `json:"alias"`
	Event client.Event `json:"event"`
}

func (s *Store) createEvent(ctx context.Context, call client.Call, in *client.CreateEventInput) (*client.EventOutput, error) {
	if !call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only an integration tells a bot of events")
	}
	if err := checkName("type", in.Type); err != nil {
		return nil, err
	}
	if err := checkObject("payload", in.Payload); err != nil {
		return nil, err
	}
	if err := s.checkReferences(ctx, call.Caller, in); err != nil {
		return nil, err
	}
	identified, err := s.effectOf(ctx, call, "evt")
	if err != nil {
		return nil, err
	}
	key := broker.Key(call.Caller.BotID, identified.ID)
	if found, _, err := load[storedEvent](ctx, s.events, key); !errors.Is(err, broker.ErrNoKey) {
		return &client.EventOutput{Event: found.Event}, err
	}
	made := storedEvent{Alias: call.Caller.Alias, Event: client.Event{
		ID: identified.ID, CreatedAt: identified.At, Type: call.Caller.Alias + ":" + in.Type, Payload: in.Payload,
		ConversationID: in.ConversationID, UserID: in.UserID, MessageID: in.MessageID, Status: statusPending,
	}}
	e, err := s.cloudEvent(call, identified.ID, made.Event.Type, in.ConversationID, made.Event)
	if err != nil {
		return nil, err
	}
	c := commit{bucket: s.events, record: key, value: made, restore: func(message broker.Message) (any, error) {
		stored, err := decode[client.Event](message)
		return storedEvent{Alias: made.Alias, Event: stored}, err
	}}
	if identified.Again {
		c.claim = broker.Key(call.Caller.BotID, identified.ID, "begun")
	}
	s.throughEvents(&c, call.Caller, in.Type, e)
	if err := c.run(ctx, s.broker); err != nil {
		return nil, err
	}
	stored, _, err := load[storedEvent](ctx, s.events, key)
	return &client.EventOutput{Event: stored.Event}, err
}

// throughEvents commits by a message in the stream that bots read.
func (s *Store) throughEvents(c *commit, caller client.Caller, typ string, e event.Event) {
	c.publish = func(ctx context.Context) (broker.Receipt, error) {
		return s.broker.PublishEvent(ctx, caller.BotID, caller.Alias, typ, e)
	}
	c.find = func(ctx context.Context, since time.Time) (broker.Message, error) {
		return s.broker.FindEvent(ctx, caller.BotID, caller.Alias, typ, e.ID(), since.Add(-clockSkew))
	}
}

func (s *Store) findCommand(installation, orderingKey, id string) func(context.Context, time.Time) (broker.Message, error) {
	return func(ctx context.Context, since time.Time) (broker.Message, error) {
		return s.broker.FindEnqueued(ctx, broker.Commands, installation, orderingKey, id, since.Add(-clockSkew))
	}
}

func (s *Store) checkReferences(ctx context.Context, caller client.Caller, in *client.CreateEventInput) error {
	missing := func(what, id string, err error) error {
		if errors.Is(err, broker.ErrNoKey) {
			return client.NewError(client.ReferenceNotFound, "%s %q not found", what, id)
		}
		return err
	}
	if in.ConversationID != "" {
		if _, err := s.conversation(ctx, caller, in.ConversationID); err != nil {
			return missing("conversation", in.ConversationID, err)
		}
	}
	if in.UserID != "" {
		if _, err := s.user(ctx, caller, in.UserID); err != nil {
			return missing("user", in.UserID, err)
		}
	}
	if in.MessageID != "" {
		if _, err := s.message(ctx, caller, in.MessageID); err != nil {
			return missing("message", in.MessageID, err)
		}
	}
	return nil
}

func (s *Store) getEvent(ctx context.Context, call client.Call, in *client.IDInput) (*client.EventOutput, error) {
	found, _, err := load[storedEvent](ctx, s.events, broker.Key(call.Caller.BotID, in.ID))
	if errors.Is(err, broker.ErrNoKey) || err == nil && hidden(call.Caller, found.Alias) {
		return nil, client.NotFound("Event", in.ID)
	}
	return &client.EventOutput{Event: found.Event}, err
}
