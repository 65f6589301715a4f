package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// progress orders the statuses of an outgoing message; it only ever grows.
var progress = map[client.Status]int{
	client.Queued: 0, client.Sending: 1, client.Sent: 2, client.Delivered: 3, client.Read: 4, client.Failed: 5,
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
// Attempt is the attempt's number. An attempt that begins a second time died
// the first time, so nobody knows what it sent; one that failed is followed by
// the next number.
func (s *Store) BeginSend(ctx context.Context, sender client.Caller, message client.Message, attempt int) (client.Message, error) {
	key := broker.Key(sender.BotID, message.ID)
	begin := func(m *storedMessage) (bool, error) {
		if m.Message.AckedAt != nil || m.Message.Direction != client.Outgoing {
			return false, nil
		}
		switch m.Message.Status {
		case client.Queued:
			m.Message.Status = client.Sending
		case client.Sending:
			if m.Attempt >= attempt {
				m.Message.Ambiguous++
			}
		default:
			return false, nil
		}
		m.Attempt, m.Message.UpdatedAt = attempt, s.now().UTC()
		return true, nil
	}
	for {
		m, err := change(ctx, s.messages, key, begin)
		if !errors.Is(err, broker.ErrNoKey) {
			return viewMessage(sender, m), err
		}
		if _, err := s.messages.Create(ctx, messageIndex(sender.BotID, message.ConversationID, message.ID), nil); err != nil && !errors.Is(err, broker.ErrConflict) {
			return client.Message{}, err
		}
		err = create(ctx, s.messages, key, restored(sender, message))
		if err != nil && !errors.Is(err, broker.ErrConflict) {
			return client.Message{}, err
		}
	}
}

// MarkAmbiguous records that an attempt ended without anybody knowing whether
// the platform took the message.
func (s *Store) MarkAmbiguous(ctx context.Context, bot, messageID string) error {
	_, err := change(ctx, s.messages, broker.Key(bot, messageID), func(m *storedMessage) (bool, error) {
		if m.Message.Status != client.Sending {
			return false, nil
		}
		m.Message.Ambiguous++
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("mark %s as ambiguous: %w", messageID, err)
	}
	return nil
}

// FinishSend records how a send ended: Sent or Failed. It never takes a
// message back: one that is acked or sent cannot fail any more.
func (s *Store) FinishSend(ctx context.Context, bot, messageID string, status client.Status) error {
	if status != client.Sent && status != client.Failed {
		return fmt.Errorf("finish send of %s: %q is no outcome", messageID, status)
	}
	_, err := change(ctx, s.messages, broker.Key(bot, messageID), func(m *storedMessage) (bool, error) {
		if m.Message.AckedAt != nil || progress[m.Message.Status] >= progress[client.Sent] {
			return false, nil
		}
		m.Message.Status, m.Message.UpdatedAt = status, s.now().UTC()
		if status == client.Sent {
			setOnce(&m.Message.SentAt, m.Message.UpdatedAt)
		}
		return true, nil
	})
	if err != nil {
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

// message returns one within a caller's reach, or [broker.ErrNoKey].
func (s *Store) message(ctx context.Context, caller client.Caller, id string) (storedMessage, error) {
	m, _, err := load[storedMessage](ctx, s.messages, broker.Key(caller.BotID, id))
	if err == nil && hidden(caller, m.Alias) {
		return storedMessage{}, broker.ErrNoKey
	}
	return m, err
}

func (s *Store) getMessage(ctx context.Context, call client.Call, in *client.IDInput) (*client.MessageOutput, error) {
	m, err := s.message(ctx, call.Caller, in.ID)
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
	if len(in.Payload) > 0 {
		if err := checkObject("payload", in.Payload); err != nil {
			return nil, err
		}
	}
	now := s.now().UTC()
	m, err := change(ctx, s.messages, broker.Key(call.Caller.BotID, in.ID), func(m *storedMessage) (bool, error) {
		if hidden(call.Caller, m.Alias) {
			return false, broker.ErrNoKey
		}
		changed := mergeTags(&m.Message.Tags, storedTags(call.Caller, in.Tags))
		if len(in.Payload) > 0 && string(in.Payload) != string(m.Message.Payload) {
			m.Message.Payload, changed = in.Payload, true
		}
		if call.Caller.IsIntegration() && m.Message.Direction == client.Outgoing {
			changed = ack(&m.Message, now) || changed
		}
		if changed {
			m.Message.UpdatedAt = now
		}
		return changed, nil
	})
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Message", in.ID)
	}
	return &client.MessageOutput{Message: viewMessage(call.Caller, m)}, err
}

// ack records that the platform has a message. It reports whether that is new.
func ack(m *client.Message, at time.Time) bool {
	changed := setOnce(&m.AckedAt, at)
	changed = setOnce(&m.SentAt, at) || changed
	if progress[m.Status] < progress[client.Sent] {
		m.Status, changed = client.Sent, true
	}
	return changed
}
