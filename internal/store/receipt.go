package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// How long a receipt waits for the ack of its message, and how long after the
// ack receipts find it.
const (
	receiptWaits = 7 * 24 * time.Hour
	receiptFinds = 30 * 24 * time.Hour
)

// tracking is what is known under the tag that a platform's receipts name a
// message by. Ack and receipts meet in this one key and change it by
// compare-and-swap only, so that the second sees what the first one wrote,
// whichever it is, and however old a read may be.
type tracking struct {
	Message string `json:"message,omitempty"` // its id, from the ack on
	// Told are the receipts that came before the ack. They stay, so that an ack
	// that died on the way finds them when it runs again.
	Told []told `json:"told,omitempty"`
}

// told is one receipt.
type told struct {
	Status client.Status `json:"status"`
	At     time.Time     `json:"at"`
	Reason string        `json:"reason,omitempty"`
}

func trackingKey(caller client.Caller, tag, value string) string {
	data, _ := json.Marshal([]string{caller.Alias, tag, value})
	sum := sha256.Sum256(data)
	return broker.Key(caller.BotID, "receipt", hex.EncodeToString(sum[:]))
}

// track changes a tracking and returns it as it stands. Edit may run more than
// once and reports whether it changed anything.
func (s *Store) track(ctx context.Context, key string, edit func(*tracking) bool) (tracking, error) {
	for {
		t, revision, err := load[tracking](ctx, s.messages, key)
		if err != nil && !errors.Is(err, broker.ErrNoKey) {
			return t, err
		}
		if !edit(&t) {
			return t, nil
		}
		data, err := json.Marshal(t)
		if err != nil {
			return t, fmt.Errorf("encode %s: %w", key, err)
		}
		stays := receiptWaits
		if t.Message != "" {
			stays = receiptFinds
		}
		if _, err = s.messages.PutFor(ctx, key, data, revision, stays); !errors.Is(err, broker.ErrConflict) {
			return t, err
		}
	}
}

// reportReceipt applies a receipt to its message, or lets it wait for the ack.
func (s *Store) reportReceipt(ctx context.Context, call client.Call, in *client.Receipt) (*client.NoOutput, error) {
	if !call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only an integration reports receipts")
	}
	if err := errors.Join(checkName("tag", in.Tag), checkLength("value", in.Value, maxTagValue)); err != nil {
		return nil, err
	}
	if in.Value == "" {
		return nil, client.NewError(client.InvalidPayload, "value is required")
	}
	if progress[in.Status] < progress[client.Failed] {
		return nil, client.NewError(client.InvalidPayload, "status must be sent, delivered, read or failed")
	}
	one := told{Status: in.Status, At: in.At.UTC()}
	if in.At.IsZero() {
		one.At = s.now().UTC()
	}
	if in.Status == client.Failed {
		one.Reason = cut(in.Reason, maxTagValue)
	}
	known, err := s.track(ctx, trackingKey(call.Caller, in.Tag, in.Value), func(t *tracking) bool {
		if t.Message != "" || slices.ContainsFunc(t.Told, func(o told) bool { return o.Status == one.Status }) {
			return false
		}
		t.Told = append(t.Told, one)
		return true
	})
	if err != nil || known.Message == "" {
		return &client.NoOutput{}, err
	}
	return &client.NoOutput{}, s.applyReceipts(ctx, call.Caller.BotID, known.Message, append(known.Told, one))
}

// checkReceiptTag refuses a receipt tag that is none.
func checkReceiptTag(caller client.Caller, in *client.UpdateMessageInput) error {
	switch {
	case in.Receipt == "":
		return nil
	case !caller.IsIntegration():
		return client.NewError(client.Forbidden, "only an integration says what receipts name a message by")
	case in.Tags[in.Receipt] == "":
		return client.NewError(client.InvalidPayload, "receipt is %q, which tags do not give", in.Receipt)
	}
	return nil
}

// awaitReceipts lets receipts find the message that is being acked, and applies
// those that were here before. It comes before the ack itself, since a message
// that is acked is not handled again.
func (s *Store) awaitReceipts(ctx context.Context, caller client.Caller, in *client.UpdateMessageInput) error {
	known, err := s.track(ctx, trackingKey(caller, in.Receipt, in.Tags[in.Receipt]), func(t *tracking) bool {
		if t.Message == in.ID {
			return false
		}
		if t.Message != "" {
			t.Told = nil // of another message that had this tag
		}
		t.Message = in.ID
		return true
	})
	if err != nil {
		return err
	}
	return s.applyReceipts(ctx, caller.BotID, in.ID, known.Told)
}

func (s *Store) applyReceipts(ctx context.Context, bot, id string, all []told) error {
	if len(all) == 0 {
		return nil
	}
	_, err := change(ctx, s.messages, broker.Key(bot, id), func(m *storedMessage) (bool, error) {
		if m.Deleted != nil {
			return false, nil
		}
		changed := false
		for _, one := range all {
			changed = one.apply(m) || changed
		}
		if changed {
			m.Message.UpdatedAt = s.now().UTC()
		}
		return changed, nil
	})
	if err != nil && !errors.Is(err, broker.ErrNoKey) { // deleted: nobody asks
		return fmt.Errorf("apply receipts to %s: %w", id, err)
	}
	return nil
}

// apply moves a message on and reports whether that changed it. In whatever
// order receipts and the ack come, its status ends the same.
func (t told) apply(m *storedMessage) bool {
	changed := false
	switch t.Status {
	case client.Sent:
		changed = setOnce(&m.Message.SentAt, t.At)
	case client.Delivered:
		changed = setOnce(&m.Message.DeliveredAt, t.At)
	case client.Read:
		changed = setOnce(&m.Message.ReadAt, t.At)
	}
	arrived := progress[t.Status] >= progress[client.Delivered]
	switch {
	case t.Status == client.Failed && progress[m.Message.Status] < progress[client.Delivered] && !m.Refused,
		t.Status != client.Failed && progress[m.Message.Status] < progress[t.Status] && (arrived || !m.Refused):
		m.Refused = t.Status == client.Failed
		m.Message.Status, m.Message.FailureReason = t.Status, t.Reason
		return true
	}
	return changed
}

// cut shortens a text to at most n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n])
}
