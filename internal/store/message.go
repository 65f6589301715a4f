package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

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
	// Attempt is the number of the newest attempt to send it that began or
	// died, Run what tells that one from all others.
	Attempt int    `json:"attempt,omitempty"`
	Run     string `json:"run,omitempty"`
	// Unsure is the number of the newest attempt that is marked as ambiguous.
	Unsure int `json:"unsure,omitempty"`
	// Refused tells that it failed by a receipt of the platform, which no ack
	// takes back.
	Refused bool `json:"refused,omitempty"`
	// Seq is of the stream message that hands it on, 0 until then. Messages of
	// one delivery have one time and are listed by it.
	Seq     uint64    `json:"seq,omitempty"`
	MadeBy  string    `json:"madeBy,omitempty"` // identity of the effect that made it, or of the call
	Handled handling  `json:"handled,omitzero"` // by the bot that is told of it
	Deleted *deletion `json:"deleted,omitempty"`
	Untold  []news    `json:"untold,omitempty"`
}

// MessageData is the data of a message_created operation: an outgoing message
// with what belongs to it, in the view of the integration that sends it.
type MessageData struct {
	Type         string              `json:"type"`
	Payload      json.RawMessage     `json:"payload"`
	Conversation client.Conversation `json:"conversation"`
	Message      client.Message      `json:"message"`
	User         client.User         `json:"user"`
	// Others are the message's tags that the integration does not see, as bots
	// see them. They are here for the record only: no handler gets them.
	Others client.Tags `json:"others,omitempty"`
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

// messageEffect names the effect of making a message. A scheduled one takes
// its place in the conversation when it is due.
func (s *Store) messageEffect(ctx context.Context, call client.Call, schedule client.Schedule) (effect, error) {
	e, err := s.effectOf(ctx, call, "msg")
	if err != nil || schedule == (client.Schedule{}) {
		return e, err
	}
	e.At = dueAt(schedule, e.At)
	e.ID = events.EffectID("msg", e.At, e.ID)
	return e, nil
}

func (s *Store) createMessage(ctx context.Context, call client.Call, in *client.CreateMessageInput) (*client.MessageOutput, error) {
	if err := checkMessage(in); err != nil {
		return nil, err
	}
	parts, err := s.messageParts(ctx, call.Caller, in.ConversationID, in.UserID)
	if err != nil {
		return nil, err
	}
	e, err := s.messageEffect(ctx, call, in.Schedule)
	if err != nil {
		return nil, err
	}
	m, err := s.makeMessage(ctx, call, in, parts, e, scoped(call))
	return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
}

// parts are what a message belongs to.
type parts struct {
	conversation record[place]
	user         record[person]
	installation Installation // that sends it, when it is outgoing
}

func (s *Store) messageParts(ctx context.Context, caller client.Caller, conversation, user string) (p parts, err error) {
	p.conversation, err = s.conversation(ctx, caller, conversation)
	if errors.Is(err, broker.ErrNoKey) {
		return p, client.NewError(client.ReferenceNotFound, "conversation %q not found", conversation)
	}
	if err != nil {
		return p, err
	}
	p.user, err = s.user(ctx, caller, user)
	if errors.Is(err, broker.ErrNoKey) {
		return p, client.NewError(client.ReferenceNotFound, "user %q not found", user)
	}
	return p, err
}

// makeMessage makes the message that an effect is known by, once. The message
// that stands tells whether it was made by this caller.
func (s *Store) makeMessage(ctx context.Context, call client.Call, in *client.CreateMessageInput, p parts, e effect, by string) (storedMessage, error) {
	made := storedMessage{Alias: p.conversation.Alias, MadeBy: by, Message: client.Message{
		ID: e.ID, CreatedAt: e.At, UpdatedAt: e.At, Type: in.Type, Payload: in.Payload, Tags: client.Tags{},
		UserID: p.user.ID, ConversationID: p.conversation.ID, Origin: in.Origin,
		Direction: client.Incoming,
	}}
	mergeTags(&made.Message.Tags, storedTags(call.Caller, in.Tags))
	if !call.Caller.IsIntegration() {
		made.Message.Direction, made.Message.Status = client.Outgoing, client.Queued
	}
	find := s.messagesOf(call.Caller.BotID, p.conversation)
	found, _, err := load[storedMessage](ctx, s.messages, broker.Key(call.Caller.BotID, e.ID))
	if err == nil && found.Deleted != nil {
		return made, nil // by an earlier attempt, which made it too
	}
	if err == nil && len(found.Message.Tags) > 0 {
		err = find.lead(ctx, found.Message.Tags, e.ID) // which the earlier attempt may not have come to
	}
	if !errors.Is(err, broker.ErrNoKey) {
		return found, err
	}
	if call.Caller.IsIntegration() {
		if err := s.takePart(ctx, call.Caller.BotID, p.conversation.ID, p.user); err != nil {
			return made, err
		}
	}
	if in.Schedule == (client.Schedule{}) && made.Message.Direction == client.Outgoing {
		if p.installation, err = s.active(ctx, call.Caller.BotID, made.Alias); err != nil {
			return made, err
		}
	}
	if in.Schedule == (client.Schedule{}) {
		made, err = s.commitMessage(ctx, call, made, p, messageIndex(call.Caller.BotID, p.conversation.ID, e.ID))
	} else {
		made.Message.Status = client.Scheduled
		made, err = s.planMessage(ctx, call, made, e.At)
	}
	if err != nil || len(made.Message.Tags) == 0 {
		return made, err
	}
	return made, find.lead(ctx, made.Message.Tags, e.ID)
}

// commitMessage hands a message on.
func (s *Store) commitMessage(ctx context.Context, call client.Call, made storedMessage, p parts, claim string) (storedMessage, error) {
	c := commit[storedMessage]{
		bucket: s.messages, record: broker.Key(call.Caller.BotID, made.Message.ID), value: made, claim: claim,
		stamp: func(m *storedMessage, seq uint64) bool {
			before := [2]any{m.Seq, m.MadeBy}
			if m.Deleted == nil {
				m.Seq, m.MadeBy = cmp.Or(m.Seq, seq), cmp.Or(m.MadeBy, made.MadeBy)
			}
			return before != [2]any{m.Seq, m.MadeBy}
		},
	}
	tell := s.outgoing
	if made.Message.Direction == client.Incoming {
		tell = s.incoming
	}
	if err := tell(&c, call, p); err != nil {
		return made, err
	}
	return c.run(ctx, s.broker)
}

func checkMessage(in *client.CreateMessageInput) error {
	if err := checkName("type", in.Type); err != nil {
		return err
	}
	if err := checkPayload(in.Payload); err != nil {
		return err
	}
	if in.Origin != "" && in.Origin != originSynthetic {
		return client.NewError(client.InvalidPayload, "origin is %q or left out", originSynthetic)
	}
	return errors.Join(checkSchedule(in.Schedule), checkTags(in.Tags))
}

// originSynthetic marks what no person wrote.
const originSynthetic = "synthetic"

// messageIndex is the key by which a message is listed in its conversation.
func messageIndex(bot, conversation, id string) string { return broker.Key(bot, conversation, id) }

// incoming tells the bot of an integration's message, as an event.
func (s *Store) incoming(c *commit[storedMessage], call client.Call, p parts) error {
	bot, m := client.Caller{BotID: call.Caller.BotID}, c.value
	payload, err := json.Marshal(incomingPayload{
		Message: m.Message, User: viewUser(bot, p.user), Conversation: viewConversation(bot, p.conversation),
	})
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	typ := string(events.MessageCreated)
	e, err := s.cloudEvent(call, m.Message.ID, typ, p.conversation.ID, client.Event{
		ID: "evt" + m.Message.ID[len("msg"):], CreatedAt: m.Message.CreatedAt, Type: typ, Payload: payload,
		ConversationID: p.conversation.ID, UserID: p.user.ID, MessageID: m.Message.ID, Status: client.EventPending,
	})
	if err != nil {
		return err
	}
	throughEvents(s, c, call.Caller, typ, e)
	c.restore = func(message broker.Message) (storedMessage, error) {
		stored, err := decode[client.Event](message)
		if err != nil {
			return m, err
		}
		var payload incomingPayload
		if err := json.Unmarshal(stored.Payload, &payload); err != nil {
			return m, fmt.Errorf("decode message: %w", err)
		}
		return storedMessage{Alias: m.Alias, Message: payload.Message}, nil
	}
	return nil
}

// outgoing asks the worker to send a bot's message.
func (s *Store) outgoing(c *commit[storedMessage], call client.Call, p parts) error {
	m, installation := c.value, p.installation.WebhookID
	sender := client.Caller{BotID: call.Caller.BotID, Alias: p.conversation.Alias}
	e, err := s.cloudEvent(call, m.Message.ID, events.MessageCreated.CloudEventType(), p.conversation.ID, MessageData{
		Type: m.Message.Type, Payload: m.Message.Payload, Conversation: viewConversation(sender, p.conversation),
		Message: viewMessage(sender, m), User: viewUser(sender, p.user), Others: otherTags(sender, m.Message.Tags),
	})
	if err != nil {
		return err
	}
	c.publish = func(ctx context.Context) (broker.Receipt, error) {
		return s.broker.Enqueue(ctx, broker.Commands, installation, p.conversation.ID, e)
	}
	c.find = s.findCommand(installation, p.conversation.ID, e.ID())
	c.restore = func(message broker.Message) (storedMessage, error) {
		data, err := decode[MessageData](message)
		return restored(sender, data.Message, data.Others), err
	}
	return nil
}

// restored makes the record of a message from the view of its integration and
// the tags that are not in it.
func restored(sender client.Caller, m client.Message, others client.Tags) storedMessage {
	m.Tags = storedTags(sender, m.Tags)
	maps.Copy(m.Tags, others)
	return storedMessage{Alias: sender.Alias, Message: m}
}

// cloudEvent wraps what a call made.
func (s *Store) cloudEvent(call client.Call, id, typ, subject string, data any) (event.Event, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return event.Event{}, fmt.Errorf("encode %s: %w", typ, err)
	}
	e := events.New(id, "/bots/"+call.Caller.BotID, typ, subject, s.now(), encoded)
	follow(&e, call.Delivery)
	return e, nil
}

// follow writes down what an event follows from.
func follow(e *event.Event, d client.Delivery) {
	if d.ID != "" {
		e.SetExtension(deliveryExtension, d.ID)
	}
	if d.TraceParent != "" {
		e.SetExtension("traceparent", d.TraceParent)
	}
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
