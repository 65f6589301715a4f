package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// WakeupType is the ce-type of the wake-ups that [Store.Wake] handles.
const WakeupType = "towpath.wakeup"

// planned is what a wake-up carries: the whole of what is to be done, so that
// it alone commits it. One of the fields after At is set.
type planned struct {
	Bot      string         `json:"bot"`
	At       time.Time      `json:"at"`
	Event    *storedEvent   `json:"event,omitempty"`
	Message  *storedMessage `json:"message,omitempty"`
	Register string         `json:"register,omitempty"` // webhook id
}

// latest is how far ahead anything can be scheduled: records of events are not
// kept longer, and a canceled one must not be forgotten.
const latest = 30 * 24 * time.Hour

func checkSchedule(s client.Schedule) error {
	switch {
	case s == client.Schedule{}:
		return nil
	case s.DateTime != "" && s.Delay != 0:
		return client.NewError(client.InvalidPayload, "schedule takes dateTime or delay, not both")
	case s.Delay < 0 || s.Delay > latest.Milliseconds():
		return client.NewError(client.InvalidPayload, "schedule.delay must be from 1 to %d milliseconds", latest.Milliseconds())
	case s.DateTime == "":
		return nil
	}
	at, err := time.Parse(time.RFC3339, s.DateTime)
	if err != nil {
		return client.NewError(client.InvalidPayload, "schedule.dateTime must be a date of RFC 3339")
	}
	if time.Until(at) > latest {
		return client.NewError(client.InvalidPayload, "schedule.dateTime must not be more than %s ahead", latest)
	}
	return nil
}

// dueAt returns when something is due that is asked for at a time, which is
// the same in every attempt; so is the answer.
func dueAt(s client.Schedule, asked time.Time) time.Time {
	if at, err := time.Parse(time.RFC3339, s.DateTime); err == nil {
		return at.UTC().Truncate(time.Millisecond)
	}
	return asked.Add(time.Duration(s.Delay) * time.Millisecond)
}

func (s *Store) plan(ctx context.Context, call client.Call, id string, p planned) error {
	p.Bot = call.Caller.BotID
	e, err := s.cloudEvent(call, id, WakeupType, "", p)
	if err != nil {
		return err
	}
	return s.broker.Schedule(ctx, id, p.At, e)
}

// planEvent puts an event off. The wake-up comes first and carries all; made
// again, it is the same one.
func (s *Store) planEvent(ctx context.Context, call client.Call, made storedEvent, at time.Time) (storedEvent, error) {
	if err := s.plan(ctx, call, made.Event.ID, planned{At: at, Event: &made}); err != nil {
		return made, err
	}
	return keepFirst(ctx, s.events, broker.Key(call.Caller.BotID, made.Event.ID), made)
}

// planMessage puts a message off.
func (s *Store) planMessage(ctx context.Context, call client.Call, made storedMessage, at time.Time) (storedMessage, error) {
	if err := s.plan(ctx, call, made.Message.ID, planned{At: at, Message: &made}); err != nil {
		return made, err
	}
	_, err := s.messages.Create(ctx, messageIndex(call.Caller.BotID, made.Message.ConversationID, made.Message.ID), nil)
	if err != nil && !errors.Is(err, broker.ErrConflict) {
		return made, err
	}
	return keepFirst(ctx, s.messages, broker.Key(call.Caller.BotID, made.Message.ID), made)
}

// keepFirst writes a value unless there is one, and returns the one that
// stands.
func keepFirst[T any](ctx context.Context, bucket *broker.Bucket, key string, value T) (T, error) {
	err := create(ctx, bucket, key, value)
	if errors.Is(err, broker.ErrConflict) {
		value, _, err = load[T](ctx, bucket, key)
	}
	return value, err
}

// cancelScheduledEvent decides by the record: whatever the wake-up does from
// then on, it finds the event canceled.
func (s *Store) cancelScheduledEvent(ctx context.Context, call client.Call, in *client.IDInput) (*client.NoOutput, error) {
	_, err := change(ctx, s.events, broker.Key(call.Caller.BotID, in.ID), func(e *storedEvent) (bool, error) {
		switch {
		case hidden(call.Caller, e.Alias):
			return false, broker.ErrNoKey
		case e.Event.Status == client.EventCanceled:
			return false, nil
		case e.Event.Status != client.EventScheduled:
			return false, broker.ErrNoKey
		}
		e.Event.Status = client.EventCanceled
		return true, nil
	})
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Scheduled event", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &client.NoOutput{}, s.broker.Cancel(ctx, in.ID)
}

// Wake does what a wake-up of [WakeupType] is for. It may be called again with
// the same one, also by several workers at once: it is done once. An error that
// is [events.ErrNotCloudEvent] or ErrHopeless does not go away by trying again.
func (s *Store) Wake(ctx context.Context, message broker.Message) error {
	e, err := message.Event()
	if err != nil {
		return err
	}
	var p planned
	if err := json.Unmarshal(e.Data(), &p); err != nil {
		return fmt.Errorf("%w: %w", ErrHopeless, err)
	}
	switch {
	case p.Event != nil:
		return s.wakeEvent(ctx, callOf(e, p.Bot, p.Event.Alias), *p.Event)
	case p.Message != nil:
		alias := p.Message.Alias
		if p.Message.Message.Direction == client.Outgoing {
			alias = "" // the bot's
		}
		return s.wakeMessage(ctx, callOf(e, p.Bot, alias), *p.Message)
	case p.Register != "":
		return s.wakeRegistration(ctx, p)
	}
	return fmt.Errorf("%w: it asks for nothing that is known", ErrHopeless)
}

// ErrHopeless is the cause when a wake-up can never be understood.
var ErrHopeless = errors.New("wake-up cannot be understood")

// callOf makes up for the call that scheduled something.
func callOf(e event.Event, bot, alias string) client.Call {
	return client.Call{
		Caller:   client.Caller{BotID: bot, Alias: alias},
		Delivery: client.Delivery{ID: events.Extension(e, deliveryExtension), TraceParent: events.TraceParentOf(e)},
	}
}

func (s *Store) wakeEvent(ctx context.Context, call client.Call, made storedEvent) error {
	made.Event.Status = client.EventPending
	stands, err := change(ctx, s.events, broker.Key(call.Caller.BotID, made.Event.ID), func(e *storedEvent) (bool, error) {
		if e.Event.Status != client.EventScheduled {
			return false, nil
		}
		e.Event.Status = client.EventPending
		return true, nil
	})
	if errors.Is(err, broker.ErrNoKey) { // its maker died before the record
		stands, err = made, nil
	}
	if err != nil || stands.Event.Status != client.EventPending || stands.Seq != 0 {
		return err
	}
	_, err = s.commitEvent(ctx, call, made, eventClaim(call.Caller.BotID, made.Event.ID))
	return err
}

// dueClaim is the claim of a message that is told later than it is listed.
func dueClaim(index string) string { return index + ".due" }

func (s *Store) wakeMessage(ctx context.Context, call client.Call, made storedMessage) error {
	bot := call.Caller.BotID
	begun := client.Status("")
	if made.Message.Direction == client.Outgoing {
		begun = client.Queued
	}
	made.Message.Status = begun
	stands, err := change(ctx, s.messages, broker.Key(bot, made.Message.ID), func(m *storedMessage) (bool, error) {
		if m.Message.Status != client.Scheduled {
			return false, nil
		}
		m.Message.Status = begun
		return true, nil
	})
	if errors.Is(err, broker.ErrNoKey) {
		stands, err = made, nil
	}
	if err != nil || stands.Deleted != nil || stands.Message.Status != begun || stands.Seq != 0 {
		return err
	}
	parts, err := s.messageParts(ctx, call.Caller, made.Message.ConversationID, made.Message.UserID)
	if err == nil && made.Message.Direction == client.Outgoing {
		parts.installation, err = s.standing(ctx, bot, made.Alias)
	}
	if err == nil {
		made.Message.Payload, made.Message.Tags = stands.Message.Payload, stands.Message.Tags // may be changed since
		_, err = s.commitMessage(ctx, call, made, parts, dueClaim(messageIndex(bot, made.Message.ConversationID, made.Message.ID)))
	}
	if refused, ok := errors.AsType[*client.Error](err); ok && parts.conversation.ID != "" {
		// User or installation is gone. It would be refused again.
		return s.failPlanned(ctx, bot, made, refused.Message)
	} else if ok {
		return nil // its conversation was deleted, and the message with it
	}
	return err
}

// failPlanned ends a scheduled message that nobody can take any more, and keeps
// the reason with it for the bot to see.
func (s *Store) failPlanned(ctx context.Context, bot string, made storedMessage, reason string) error {
	from, now := made.Message.Status, s.now().UTC()
	fail := func(m *storedMessage) (bool, error) {
		if m.Deleted != nil || m.Seq != 0 || m.Message.Status != from && m.Message.Status != client.Scheduled {
			return false, nil
		}
		m.Message.Status, m.Message.FailureReason, m.Message.UpdatedAt = client.Failed, reason, now
		return true, nil
	}
	_, err := change(ctx, s.messages, broker.Key(bot, made.Message.ID), fail)
	if !errors.Is(err, broker.ErrNoKey) {
		return err
	}
	// Its maker died before the record.
	if _, err := fail(&made); err != nil {
		return err
	}
	return s.keepMessage(ctx, bot, made)
}

// keepMessage lists a message and writes its record, unless there is one.
func (s *Store) keepMessage(ctx context.Context, bot string, made storedMessage) error {
	_, err := s.messages.Create(ctx, messageIndex(bot, made.Message.ConversationID, made.Message.ID), nil)
	if err == nil || errors.Is(err, broker.ErrConflict) {
		err = create(ctx, s.messages, broker.Key(bot, made.Message.ID), made)
	}
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}
