package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// progress orders the statuses of an outgoing message; it only ever grows, so
// that what is sent never fails, unless the platform says so. A failed one was
// given up, which may be wrong: its ack, however late, shows that the platform
// has it.
var progress = map[client.Status]int{
	client.Scheduled: -1, client.Queued: 0, client.Sending: 1, client.Failed: 2, client.Sent: 3, client.Delivered: 4, client.Read: 5,
}

// Attempt is one attempt to send a message.
type Attempt struct {
	Number int    // from 1, growing with every attempt, whether it counts or not
	Run    string // tells it from every other one
	// Again sends what was given up, because an operator asked for that.
	Again bool
}

// BeginSend marks an outgoing message as being sent, before anything goes to
// the platform. Sender is the installation that sends, message the one of the
// operation's data; its record is made from that when a crash left none.
//
// The answer is the message as it stands, in the sender's view. Status Sending
// means: send it; and when Ambiguous is not 0, that many earlier attempts may
// have reached the platform. Any other status, or a message that is acked,
// means that it was dealt with and must not be sent.
//
// It is [broker.ErrConflict] when a newer attempt has begun, or when this one is
// taken for dead: then it must not send.
func (s *Store) BeginSend(ctx context.Context, sender client.Caller, message client.Message, by Attempt) (client.Message, error) {
	key := broker.Key(sender.BotID, message.ID)
	begin := func(m *storedMessage) (bool, error) {
		if m.Message.AckedAt != nil || m.Message.Direction != client.Outgoing || m.Deleted != nil {
			return false, nil
		}
		switch m.Message.Status {
		case client.Queued, client.Scheduled, client.Sending:
		case client.Failed:
			if !by.Again {
				return false, nil
			}
		default:
			return false, nil
		}
		if m.Attempt >= by.Number {
			if m.Run == by.Run {
				return false, nil // the answer got lost, and this is asked again
			}
			return false, broker.ErrConflict
		}
		m.Attempt, m.Run = by.Number, by.Run
		m.Message.Status, m.Message.FailureReason, m.Message.UpdatedAt = client.Sending, "", s.now().UTC()
		return true, nil
	}
	for {
		m, err := change(ctx, s.messages, key, begin)
		if !errors.Is(err, broker.ErrNoKey) {
			return viewMessage(sender, m), err
		}
		bot := client.Caller{BotID: sender.BotID}
		if _, err := s.conversation(ctx, bot, message.ConversationID); errors.Is(err, broker.ErrNoKey) {
			message.Status = client.Failed // deleted, and the message with it
			return message, nil
		} else if err != nil {
			return client.Message{}, err
		}
		made, err := s.restoreSent(ctx, sender, message)
		if err != nil {
			return client.Message{}, err
		}
		if err := s.keepMessage(ctx, sender.BotID, made); err != nil {
			return client.Message{}, err
		}
	}
}

// restoreSent makes the record of a message whose maker has not written it,
// with its place in the queue.
func (s *Store) restoreSent(ctx context.Context, sender client.Caller, message client.Message) (storedMessage, error) {
	made := restored(sender, message, nil)
	installation, err := s.byAlias(ctx, sender.BotID, sender.Alias)
	if errors.Is(err, broker.ErrNoKey) {
		return made, nil
	}
	if err != nil {
		return made, err
	}
	find := s.findCommand(installation.WebhookID, message.ConversationID, message.ID)
	queued, err := find(ctx, message.CreatedAt)
	if errors.Is(err, broker.ErrNoMessage) {
		return made, nil
	}
	if err != nil {
		return made, err
	}
	made.Seq = queued.Seq
	data, err := decode[MessageData](queued)
	maps.Copy(made.Message.Tags, data.Others)
	return made, err
}

// MarkAmbiguous records that an attempt ended without anybody knowing whether
// the platform took the message, and keeps it from beginning should it not be
// dead after all. It reports whether the platform may have it: not from an
// attempt that had not begun, nor when the ack is known.
func (s *Store) MarkAmbiguous(ctx context.Context, bot, messageID string, attempt int) (bool, error) {
	ambiguous := false
	_, err := change(ctx, s.messages, broker.Key(bot, messageID), func(m *storedMessage) (bool, error) {
		fenced, known := m.Attempt < attempt, m.Unsure >= attempt
		ambiguous = !fenced && m.Message.Status == client.Sending
		switch {
		case known: // the answer got lost, and this is asked again
			return false, nil
		case fenced:
			m.Attempt, m.Run = attempt, ""
		case ambiguous:
			m.Message.Ambiguous++
			m.Unsure = attempt
		}
		return fenced || ambiguous, nil
	})
	if err != nil && !errors.Is(err, broker.ErrNoKey) { // deleted: nobody asks
		return false, fmt.Errorf("mark %s as ambiguous: %w", messageID, err)
	}
	return ambiguous, nil
}

// FinishSend records how a send ended: Sent or Failed. It never takes a
// message back: one that is acked or sent cannot fail any more.
func (s *Store) FinishSend(ctx context.Context, bot, messageID string, status client.Status) error {
	if status != client.Sent && status != client.Failed {
		return fmt.Errorf("finish send of %s: %q is no outcome", messageID, status)
	}
	_, err := change(ctx, s.messages, broker.Key(bot, messageID), func(m *storedMessage) (bool, error) {
		if m.Message.AckedAt != nil || progress[m.Message.Status] >= progress[client.Failed] {
			return false, nil
		}
		m.Message.Status, m.Message.UpdatedAt = status, s.now().UTC()
		if status == client.Sent {
			setOnce(&m.Message.SentAt, m.Message.UpdatedAt)
		}
		return true, nil
	})
	if err != nil && !errors.Is(err, broker.ErrNoKey) { // deleted: nobody asks
		return fmt.Errorf("finish send of %s: %w", messageID, err)
	}
	return nil
}

// setOnce sets a time that is not set yet and reports whether it did.
func setOnce(field **time.Time, at time.Time) bool {
	if *field != nil {
		return false
	}
	*field = &at
	return true
}

// message returns one within a caller's reach, or [broker.ErrNoKey]. What is
// left of a deleted conversation is out of everybody's.
func (s *Store) message(ctx context.Context, caller client.Caller, id string) (storedMessage, parts, error) {
	if id == "" {
		return storedMessage{}, parts{}, broker.ErrNoKey
	}
	m, _, err := load[storedMessage](ctx, s.messages, broker.Key(caller.BotID, id))
	if err == nil && (hidden(caller, m.Alias) || m.Deleted != nil) {
		err = broker.ErrNoKey
	}
	if err != nil {
		return storedMessage{}, parts{}, err
	}
	conversation, err := s.conversation(ctx, caller, m.Message.ConversationID)
	return m, parts{conversation: conversation}, err
}

func (s *Store) getMessage(ctx context.Context, call client.Call, in *client.IDInput) (*client.MessageOutput, error) {
	m, _, err := s.message(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Message", in.ID)
	}
	return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
}

// updateMessage changes tags and payload. From the integration that sends an
// outgoing message it is the ack: the platform has it.
func (s *Store) updateMessage(ctx context.Context, call client.Call, in *client.UpdateMessageInput) (*client.MessageOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	payload := in.Payload
	if given := string(bytes.TrimSpace(payload)); given == "" || given == "null" {
		payload = nil
	} else if err := checkPayload(payload); err != nil {
		return nil, err
	}
	if err := checkReceiptTag(call.Caller, in); err != nil {
		return nil, err
	}
	m, p, err := s.message(ctx, call.Caller, in.ID)
	if err == nil && in.Receipt != "" && m.Message.Direction == client.Outgoing {
		err = s.awaitReceipts(ctx, call.Caller, in)
	}
	if err == nil && !call.Caller.IsIntegration() {
		p.user, err = s.user(ctx, call.Caller, m.Message.UserID)
		if errors.Is(err, broker.ErrNoKey) { // deleted; the message stays
			p.user, err = record[person]{ID: m.Message.UserID}, nil
		}
	}
	if err == nil {
		m, err = s.editMessage(ctx, call, p, in.ID, in.Tags, payload)
	}
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Message", in.ID)
	}
	return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
}

// ack records that the platform has a message. It reports whether that is new.
func ack(m *storedMessage, at time.Time) bool {
	changed := setOnce(&m.Message.AckedAt, at)
	changed = setOnce(&m.Message.SentAt, at) || changed
	if progress[m.Message.Status] < progress[client.Sent] && !m.Refused {
		m.Message.Status, m.Message.FailureReason, changed = client.Sent, "", true
	}
	return changed
}

func (s *Store) listMessages(ctx context.Context, call client.Call, in *client.ListMessagesInput) (*client.ListMessagesOutput, error) {
	inTime, err := between(in.AfterDate, in.BeforeDate)
	if err != nil {
		return nil, err
	}
	bot := call.Caller.BotID
	pattern := broker.Key(bot) + ".*"
	if in.ConversationID != "" {
		pattern = broker.Key(bot, in.ConversationID) + ".*"
	}
	tags, stands := storedTags(call.Caller, in.Tags), map[string]bool{}
	place := func(m storedMessage) position {
		at, _ := events.TimeOf(m.Message.ID)
		return position{At: at.UnixMilli(), Seq: m.Seq, ID: m.Message.ID}
	}
	page, err := byTime(ctx, s.messages, bot, pattern, in.NextToken, place, func(m storedMessage) (bool, error) {
		if hidden(call.Caller, m.Alias) || m.Deleted != nil || !holds(m.Message.Tags, tags) || !inTime(m.Message.CreatedAt) {
			return false, nil
		}
		id := m.Message.ConversationID
		if _, known := stands[id]; !known {
			_, err := s.conversation(ctx, call.Caller, id)
			if err != nil && !errors.Is(err, broker.ErrNoKey) {
				return false, err
			}
			stands[id] = err == nil
		}
		return stands[id], nil
	})
	if err != nil {
		return nil, err
	}
	out := &client.ListMessagesOutput{Messages: make([]client.Message, 0, len(page.items)), Meta: client.Meta{NextToken: page.next}}
	for _, m := range page.items {
		out.Messages = append(out.Messages, viewMessage(call.Caller, m))
	}
	return out, nil
}
