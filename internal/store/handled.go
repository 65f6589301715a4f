package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Outcome is how a delivery ended.
type Outcome string

// The outcomes.
const (
	Finished     Outcome = "done"
	DeadLettered Outcome = "dead_letter"
)

// Handled is what is remembered of a delivery that is at its end.
type Handled struct {
	Outcome  Outcome   `json:"outcome"`
	At       time.Time `json:"at"`
	Worker   string    `json:"worker"`
	Attempts int       `json:"attempts"`
	Cost     float64   `json:"cost,omitempty"` // of an action
	// Answer is what the handler of a webhook answered its platform, also when
	// that came too late.
	Answer *events.Response `json:"answer,omitempty"`
}

// Handled tells whether a delivery is at its end.
func (s *Store) Handled(ctx context.Context, delivery string) (bool, error) {
	_, err := s.seen.Get(ctx, broker.Key(delivery))
	if errors.Is(err, broker.ErrNoKey) {
		return false, nil
	}
	return err == nil, err
}

// AnswerTo returns what a webhook's handler answered; nil when the delivery is
// not at its end, or ended without an answer.
func AnswerTo(ctx context.Context, b *broker.Broker, delivery string) (*events.Response, error) {
	seen, err := b.Bucket(ctx, broker.Seen)
	if err != nil {
		return nil, err
	}
	handled, _, err := load[Handled](ctx, seen, broker.Key(delivery))
	if errors.Is(err, broker.ErrNoKey) {
		return nil, nil
	}
	return handled.Answer, err
}

// Remember writes down that a delivery is at its end, for as long as platforms
// may send it again. What was remembered first stands.
func (s *Store) Remember(ctx context.Context, delivery string, h Handled) error {
	h.At = s.now().UTC()
	err := create(ctx, s.seen, broker.Key(delivery), h)
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}

// WatchHandled calls visit once the delivery is at its end, and returns when
// visit has returned or ctx ends.
func (s *Store) WatchHandled(ctx context.Context, delivery string, visit func(Handled)) error {
	return watchKey(ctx, s.seen, broker.Key(delivery), func(h Handled) bool {
		visit(h)
		return true
	})
}

// WatchMessage calls visit with a message as it is now and after each change,
// in the view of its bot, until visit returns true or ctx ends.
func (s *Store) WatchMessage(ctx context.Context, bot, id string, visit func(client.Message) (enough bool)) error {
	return watchKey(ctx, s.messages, broker.Key(bot, id), func(m storedMessage) bool {
		return visit(viewMessage(client.Caller{BotID: bot}, m))
	})
}

// errEnough ends a watch.
var errEnough = errors.New("seen enough")

func watchKey[T any](ctx context.Context, bucket *broker.Bucket, key string, visit func(T) (enough bool)) error {
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := bucket.Watch(watching, key, func() {}, func(e broker.Entry) {
		var value T
		if e.Deleted || json.Unmarshal(e.Value, &value) != nil {
			return
		}
		if visit(value) {
			stop(errEnough)
		}
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
