package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// messagesOf leads from tags to the messages of a conversation.
func (s *Store) messagesOf(bot string, conversation record[place]) index {
	return index{
		bucket: s.messages, bot: bot, alias: conversation.Alias, within: conversation.ID,
		tags: func(ctx context.Context, id string) (client.Tags, bool, error) {
			m, _, err := load[storedMessage](ctx, s.messages, broker.Key(bot, id))
			return m.Message.Tags, m.Deleted != nil, err
		},
	}
}

func (s *Store) getOrCreateMessage(ctx context.Context, call client.Call, in *client.GetOrCreateMessageInput) (*client.GetOrCreateMessageOutput, error) {
	if given := bytes.TrimSpace(in.Payload); len(given) == 0 || string(given) == "null" {
		in.Payload = nil
	}
	checked := in.CreateMessageInput
	if in.Payload == nil {
		checked.Payload = []byte("{}")
	}
	if err := checkMessage(&checked); err != nil {
		return nil, err
	}
	_, selected, err := choose(call.Caller, in.Tags, in.DiscriminateByTags)
	if err != nil {
		return nil, err
	}
	p, err := s.messageParts(ctx, call.Caller, in.ConversationID, in.UserID)
	if err != nil {
		return nil, err
	}
	e, err := s.messageEffect(ctx, call, in.Schedule)
	if err != nil {
		return nil, err
	}
	find := s.messagesOf(call.Caller.BotID, p.conversation)
	for {
		m, made, err := s.oneMessage(ctx, call, in, p, e, find, selected)
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &client.GetOrCreateMessageOutput{Message: viewMessage(call.Caller, m), Meta: client.Created{Created: made}}, nil
	}
}

// oneMessage returns [broker.ErrConflict] when somebody else was faster.
func (s *Store) oneMessage(ctx context.Context, call client.Call, in *client.GetOrCreateMessageInput, p parts, e effect, find index, selected client.Tags) (storedMessage, bool, error) {
	by := cmp.Or(scoped(call), events.Nonce())
	fresh := func(e effect) (storedMessage, bool, error) {
		if in.Payload == nil {
			return storedMessage{}, false, client.NewError(client.InvalidPayload, "payload is required, since there is no such message yet")
		}
		m, err := s.makeMessage(ctx, call, &in.CreateMessageInput, p, e, by)
		return m, m.MadeBy == by, err
	}
	if len(selected) == 0 {
		return fresh(e)
	}
	if in.Payload == nil {
		if _, err := s.messages.Get(ctx, find.key(selected)); errors.Is(err, broker.ErrNoKey) {
			return fresh(e)
		}
	}
	entry, err := find.decide(ctx, selected, e.ID)
	if err != nil {
		return storedMessage{}, false, err
	}
	id := string(entry.Value)
	found, _, err := load[storedMessage](ctx, s.messages, broker.Key(call.Caller.BotID, id))
	missing := errors.Is(err, broker.ErrNoKey)
	switch {
	case missing && !abandoned(entry):
		// Whoever decided the id has yet to make the message, or died.
		decided := effect{ID: id, At: e.At, Again: true}
		if at, ok := events.TimeOf(id); ok {
			decided.At = at.UTC()
		}
		return fresh(decided)
	case err != nil && !missing:
		return found, false, err
	case found.Deleted != nil && id == e.ID:
		return fresh(e)
	case !missing && id == e.ID && !holds(found.Message.Tags, selected):
		return found, true, nil // an earlier attempt made it, and it got other tags since
	case missing || found.Deleted != nil || !holds(found.Message.Tags, selected):
		if _, err := s.messages.Update(ctx, entry.Key, []byte(e.ID), entry.Revision); err != nil {
			return found, false, err
		}
		return found, false, broker.ErrConflict
	}
	found, err = s.editMessage(ctx, call, p, id, in.Tags, in.Payload)
	if errors.Is(err, broker.ErrNoKey) { // deleted this moment
		err = broker.ErrConflict
	}
	return found, found.MadeBy == by, err
}

// importMessages adds messages of the past. They are of the integration when
// their user is, and the bot's when it is the bot's own.
func (s *Store) importMessages(ctx context.Context, call client.Call, in *client.ImportMessagesInput) (*client.ImportMessagesOutput, error) {
	if len(in.Messages) > maxImport {
		return nil, client.NewError(client.InvalidPayload, "messages are %d, more than %d in one call", len(in.Messages), maxImport)
	}
	ready := make([]importing, 0, len(in.Messages))
	for i, one := range in.Messages {
		prepared, err := s.prepareImport(ctx, call, one, i)
		if err != nil {
			if fault, ok := errors.AsType[*client.Error](err); ok {
				return nil, client.NewError(fault.Type, "messages[%d]: %s", i, fault.Message)
			}
			return nil, err
		}
		ready = append(ready, prepared)
	}
	out := &client.ImportMessagesOutput{Messages: make([]client.Message, 0, len(ready))}
	for _, one := range ready {
		m, err := s.importMessage(ctx, call, one)
		if err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, viewMessage(call.Caller, m))
	}
	return out, nil
}

// importing is one message that is ready to be imported.
type importing struct {
	storedMessage
	parts
	given    client.Tags
	selected client.Tags
}

func (s *Store) prepareImport(ctx context.Context, call client.Call, one client.ImportedMessage, number int) (importing, error) {
	err := checkMessage(&client.CreateMessageInput{Type: one.Type, Payload: one.Payload, Tags: one.Tags})
	if err != nil {
		return importing{}, err
	}
	at, err := time.Parse(time.RFC3339, one.CreatedAt)
	if err != nil || at.Before(time.UnixMilli(0)) {
		return importing{}, client.NewError(client.InvalidPayload, "createdAt must be a date of RFC 3339")
	}
	tags, selected, err := choose(call.Caller, one.Tags, one.DiscriminateByTags)
	if err != nil {
		return importing{}, err
	}
	p, err := s.messageParts(ctx, call.Caller, one.ConversationID, one.UserID)
	if err != nil {
		return importing{}, err
	}
	at = at.UTC().Truncate(time.Millisecond)
	m := storedMessage{Alias: p.conversation.Alias, MadeBy: scoped(call), Seq: uint64(number) + 1, Message: client.Message{
		CreatedAt: at, UpdatedAt: at, Type: one.Type, Payload: one.Payload, Tags: tags,
		UserID: p.user.ID, ConversationID: p.conversation.ID, Direction: client.Incoming,
	}}
	if p.user.ID == botUserID(call.Caller.BotID) {
		m.Message.Direction, m.Message.Status = client.Outgoing, client.Sent
	}
	identity := events.NewID("import")
	switch {
	case len(selected) > 0:
		identity = s.messagesOf(call.Caller.BotID, p.conversation).key(selected)
	case call.Identity != "":
		identity = fmt.Sprint(scoped(call), ":", number)
	}
	m.Message.ID = events.EffectID("msg", at, identity)
	return importing{storedMessage: m, parts: p, given: one.Tags, selected: selected}, nil
}

func (s *Store) importMessage(ctx context.Context, call client.Call, one importing) (storedMessage, error) {
	bot, find := call.Caller.BotID, s.messagesOf(call.Caller.BotID, one.conversation)
	id := one.Message.ID
	if len(one.selected) > 0 {
		if err := find.lead(ctx, one.selected, id); err != nil {
			return one.storedMessage, err
		}
		entry, err := s.messages.Get(ctx, find.key(one.selected))
		if err != nil {
			return one.storedMessage, err
		}
		id = string(entry.Value)
	}
	if err := s.takePart(ctx, bot, one.conversation.ID, one.user); err != nil {
		return one.storedMessage, err
	}
	if _, err := s.messages.Create(ctx, messageIndex(bot, one.conversation.ID, id), nil); err != nil && !errors.Is(err, broker.ErrConflict) {
		return one.storedMessage, err
	}
	one.Message.ID = id
	err := create(ctx, s.messages, broker.Key(bot, id), one.storedMessage)
	if errors.Is(err, broker.ErrConflict) {
		stands, err := s.editMessage(ctx, call, one.parts, id, one.given, one.Message.Payload)
		if errors.Is(err, broker.ErrNoKey) { // deleted
			return one.storedMessage, nil
		}
		return stands, err
	}
	if err != nil {
		return one.storedMessage, err
	}
	return one.storedMessage, find.leadAll(ctx, one.Message.Tags, one.Message.Tags, id)
}

// initializeIncomingMessage is three calls in one, each with an identity of
// its own.
func (s *Store) initializeIncomingMessage(ctx context.Context, call client.Call, in *client.InitializeIncomingMessageInput) (*client.InitializeIncomingMessageOutput, error) {
	if !call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only an integration has incoming messages")
	}
	part := func(name string) client.Call {
		its := call
		if call.Identity != "" {
			its.Identity = strings.Join([]string{call.Identity, name}, "/")
		}
		return its
	}
	out := &client.InitializeIncomingMessageOutput{}
	if in.UserID != "" {
		found, err := s.getUser(ctx, call, &client.IDInput{ID: in.UserID})
		if err != nil {
			return nil, err
		}
		out.User = found.User
	} else {
		found, err := s.getOrCreateUser(ctx, part("user"), &in.User)
		if err != nil {
			return nil, err
		}
		out.User = found.User
	}
	if in.ConversationID != "" {
		found, err := s.getConversation(ctx, call, &client.IDInput{ID: in.ConversationID})
		if err != nil {
			return nil, err
		}
		out.Conversation = found.Conversation
	} else {
		found, err := s.getOrCreateConversation(ctx, part("conversation"), &in.Conversation)
		if err != nil {
			return nil, err
		}
		out.Conversation = found.Conversation
	}
	if in.Message.Type == "" {
		return out, nil
	}
	m, err := s.getOrCreateMessage(ctx, part("message"), &client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: out.Conversation.ID, UserID: out.User.ID, Type: in.Message.Type, Payload: in.Message.Payload,
			Tags: in.Message.Tags, Origin: in.Message.Origin,
		},
		DiscriminateByTags: in.Message.DiscriminateByTags,
	})
	if err != nil {
		return nil, err
	}
	out.Message = &m.Message
	return out, nil
}

// editMessage changes a message's tags and, unless it is nil, its payload. The
// integration of an outgoing message acks it that way, and is told of what the
// bot changes.
func (s *Store) editMessage(ctx context.Context, call client.Call, p parts, id string, tags client.Tags, payload []byte) (storedMessage, error) {
	now := s.now().UTC()
	sender := client.Caller{BotID: call.Caller.BotID, Alias: p.conversation.Alias}
	given := storedTags(call.Caller, tags)
	to := addressee{call.Caller.BotID, p.conversation.Alias, p.conversation.ID}
	m, err := changeAndTell(ctx, s, s.messages, broker.Key(call.Caller.BotID, id), to, func(m *storedMessage) (bool, error) {
		if hidden(call.Caller, m.Alias) || m.Deleted != nil {
			return false, broker.ErrNoKey
		}
		previous := viewMessage(sender, *m)
		changed := mergeTags(&m.Message.Tags, given)
		if payload != nil && string(payload) != string(m.Message.Payload) {
			m.Message.Payload, changed = payload, true
		}
		if call.Caller.IsIntegration() && m.Message.Direction == client.Outgoing {
			changed = ack(m, now) || changed
		}
		if !changed {
			return false, nil
		}
		m.Message.UpdatedAt = now
		current := viewMessage(sender, *m)
		if call.Caller.IsIntegration() || m.Message.Direction != client.Outgoing || m.Message.Status == client.Scheduled ||
			maps.Equal(previous.Tags, current.Tags) && string(previous.Payload) == string(current.Payload) {
			return true, nil
		}
		one, err := newsOf(call, events.MessageUpdated, now, MessageUpdateData{
			Type: current.Type, Payload: current.Payload, Conversation: viewConversation(sender, p.conversation),
			User: viewUser(sender, p.user), Current: current, Previous: previous,
		})
		m.Untold = append(m.Untold, one)
		return true, err
	})
	if err != nil {
		return m, err
	}
	return m, s.messagesOf(call.Caller.BotID, p.conversation).leadAll(ctx, m.Message.Tags, given, id)
}

// MessageUpdateData is the data of a message_updated operation, in the view of
// the integration.
type MessageUpdateData struct {
	Type         string              `json:"type"`
	Payload      json.RawMessage     `json:"payload"`
	Conversation client.Conversation `json:"conversation"`
	User         client.User         `json:"user"`
	Current      client.Message      `json:"currentMessage"`
	Previous     client.Message      `json:"previousMessage"`
}
