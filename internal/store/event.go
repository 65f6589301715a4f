package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// clockSkew is how far the clocks of NATS's servers may be apart.
const clockSkew = 10 * time.Second

// storedEvent is an event as it is stored.
type storedEvent struct {
	Alias string       `json:"alias"`
	Event client.Event `json:"event"`
	// Seq is of the stream message that tells of it, 0 until then. Events of
	// one delivery have one time and are listed by it.
	Seq uint64 `json:"seq,omitempty"`
}

func (s *Store) createEvent(ctx context.Context, call client.Call, in *client.CreateEventInput) (*client.EventOutput, error) {
	if !call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only an integration tells a bot of events")
	}
	if err := checkName("type", in.Type); err != nil {
		return nil, err
	}
	if err := checkPayload(in.Payload); err != nil {
		return nil, err
	}
	if err := checkSchedule(in.Schedule); err != nil {
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
		ConversationID: in.ConversationID, UserID: in.UserID, MessageID: in.MessageID, Status: client.EventPending,
	}}
	if in.Schedule != (client.Schedule{}) {
		made.Event.Status = client.EventScheduled
		made, err = s.planEvent(ctx, call, made, dueAt(in.Schedule, identified.At))
		return &client.EventOutput{Event: made.Event}, err
	}
	claim := ""
	if identified.Again {
		claim = eventClaim(call.Caller.BotID, identified.ID)
	}
	made, err = s.commitEvent(ctx, call, made, claim)
	return &client.EventOutput{Event: made.Event}, err
}

func eventClaim(bot, id string) string { return broker.Key(bot, id, "begun") }

// commitEvent tells the bot of an event.
func (s *Store) commitEvent(ctx context.Context, call client.Call, made storedEvent, claim string) (storedEvent, error) {
	e, err := s.cloudEvent(call, made.Event.ID, made.Event.Type, made.Event.ConversationID, made.Event)
	if err != nil {
		return made, err
	}
	c := commit[storedEvent]{
		bucket: s.events, record: broker.Key(call.Caller.BotID, made.Event.ID), value: made, claim: claim,
		restore: func(message broker.Message) (storedEvent, error) {
			stored, err := decode[client.Event](message)
			return storedEvent{Alias: made.Alias, Event: stored}, err
		},
		stamp: func(stored *storedEvent, seq uint64) bool {
			isNew := stored.Seq == 0
			if isNew {
				stored.Seq = seq
			}
			return isNew
		},
	}
	throughEvents(s, &c, call.Caller, strings.TrimPrefix(made.Event.Type, made.Alias+":"), e)
	return c.run(ctx, s.broker)
}

// throughEvents commits by a message in the stream that bots read.
func throughEvents[T any](s *Store, c *commit[T], caller client.Caller, typ string, e event.Event) {
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
		if _, _, err := s.message(ctx, caller, in.MessageID); err != nil {
			return missing("message", in.MessageID, err)
		}
	}
	return nil
}

func (s *Store) getEvent(ctx context.Context, call client.Call, in *client.IDInput) (*client.EventOutput, error) {
	found, _, err := load[storedEvent](ctx, s.events, broker.Key(call.Caller.BotID, in.ID))
	if errors.Is(err, broker.ErrNoKey) && strings.HasPrefix(in.ID, "evt_") {
		found, err = s.eventOfMessage(ctx, call.Caller, in.ID)
	}
	if errors.Is(err, broker.ErrNoKey) || err == nil && hidden(call.Caller, found.Alias) {
		return nil, client.NotFound("Event", in.ID)
	}
	return &client.EventOutput{Event: found.Event}, err
}

// messageOf returns the id of the message that an event tells of. On the wire
// such an event goes by the message's id.
func messageOf(event string) string {
	if rest, ok := strings.CutPrefix(event, "evt_"); ok {
		return "msg_" + rest
	}
	return event
}

// eventOfMessage is the event that told a bot of an incoming message. It has no
// record of its own; what the bot did with it is kept with the message.
func (s *Store) eventOfMessage(ctx context.Context, caller client.Caller, id string) (storedEvent, error) {
	m, p, err := s.message(ctx, caller, messageOf(id))
	if err == nil && (m.Seq == 0 || m.Message.Direction != client.Incoming) {
		err = broker.ErrNoKey
	}
	if err == nil {
		p.user, err = s.user(ctx, caller, m.Message.UserID)
	}
	if err != nil {
		return storedEvent{}, err
	}
	payload, err := json.Marshal(incomingPayload{
		Message: viewMessage(caller, m), User: viewUser(caller, p.user), Conversation: viewConversation(caller, p.conversation),
	})
	return storedEvent{Alias: m.Alias, Event: client.Event{
		ID: id, CreatedAt: m.Message.CreatedAt, Type: string(events.MessageCreated), Payload: payload,
		ConversationID: m.Message.ConversationID, UserID: m.Message.UserID, MessageID: m.Message.ID,
		Status: cmp.Or(m.Handled.Status, client.EventPending), FailureReason: m.Handled.FailureReason,
	}}, err
}

// maxReason is how long the reason of a failure may be, in characters.
const maxReason = 2000

// handling is what a bot said that it did with an event.
type handling struct {
	Status        client.EventStatus `json:"status,omitempty"`
	FailureReason *string            `json:"failureReason,omitempty"`
}

// open tells whether a status may still change.
func open(status client.EventStatus) bool {
	return status == "" || status == client.EventPending || status == client.EventFailed
}

// SetEventStatus writes down what a bot did with an event: processed, ignored
// or failed, for a reason. What failed may still be processed; what is
// processed or ignored stays so. The id is that of the event, or of the message
// that it tells of; [client.ErrNotFound] when there is none.
func (s *Store) SetEventStatus(ctx context.Context, bot, id string, status client.EventStatus, reason string) error {
	if status != client.EventProcessed && status != client.EventIgnored && status != client.EventFailed {
		return client.NewError(client.InvalidPayload, "a bot does not set an event's status to %q", status)
	}
	done := handling{Status: status}
	if status == client.EventFailed {
		cut := []rune(reason)
		reason := string(cut[:min(len(cut), maxReason)])
		done.FailureReason = &reason
	}
	_, err := change(ctx, s.events, broker.Key(bot, id), func(stored *storedEvent) (bool, error) {
		if !open(stored.Event.Status) {
			return false, nil
		}
		stored.Event.Status, stored.Event.FailureReason = done.Status, done.FailureReason
		return true, nil
	})
	if errors.Is(err, broker.ErrNoKey) {
		_, err = change(ctx, s.messages, broker.Key(bot, messageOf(id)), func(m *storedMessage) (bool, error) {
			if m.Deleted != nil || m.Message.Direction != client.Incoming {
				return false, broker.ErrNoKey
			}
			if !open(m.Handled.Status) {
				return false, nil
			}
			m.Handled = done
			return true, nil
		})
	}
	if errors.Is(err, broker.ErrNoKey) {
		return client.NotFound("Event", id)
	}
	return err
}

// Reporting makes a handler for [broker.Broker.Subscribe] out of one that says
// what it did with an event: processed, ignored, or nothing. An error makes the
// event failed, with the error's text as the reason, and it comes again.
func (s *Store) Reporting(bot string, handle func(context.Context, broker.Message) (client.EventStatus, error)) func(context.Context, broker.Message) error {
	return func(ctx context.Context, message broker.Message) error {
		status, failure := handle(ctx, message)
		reason := ""
		if failure != nil {
			status, reason = client.EventFailed, failure.Error()
		}
		e, err := message.Event()
		if status == "" || err != nil || ctx.Err() != nil {
			return failure
		}
		if err := s.SetEventStatus(ctx, bot, e.ID(), status, reason); err != nil && !errors.Is(err, client.ErrNotFound) {
			return errors.Join(failure, err)
		}
		return failure
	}
}

func (s *Store) listEvents(ctx context.Context, call client.Call, in *client.ListEventsInput) (*client.ListEventsOutput, error) {
	bot := call.Caller.BotID
	place := func(e storedEvent) position {
		return position{At: e.Event.CreatedAt.UnixMilli(), Seq: e.Seq, ID: e.Event.ID}
	}
	page, err := byTime(ctx, s.events, bot, broker.Key(bot)+".*", in.NextToken, place, func(e storedEvent) (bool, error) {
		return !hidden(call.Caller, e.Alias) && matches(in.Type, e.Event.Type) &&
			matches(in.ConversationID, e.Event.ConversationID) && matches(in.UserID, e.Event.UserID) &&
			matches(in.MessageID, e.Event.MessageID) && matches(in.Status, e.Event.Status), nil
	})
	if err != nil {
		return nil, err
	}
	out := &client.ListEventsOutput{Events: make([]client.Event, 0, len(page.items)), Meta: client.Meta{NextToken: page.next}}
	for _, e := range page.items {
		out.Events = append(out.Events, e.Event)
	}
	return out, nil
}
