package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// effect is what a call's effect is known by.
type effect struct {
	ID string
	At time.Time // to the millisecond, in UTC; the same in every attempt
	// Again means that the same call may have been made before.
	Again bool
}

// effectOf names a call's effect. Equal calls of equal identity get the same
// name. A call that follows from a delivery derives it. One that follows from
// nothing, a bot's over HTTP, has no time to derive it from: there the first
// call chooses, and the choice is kept as long as ids of deliveries are.
func (s *Store) effectOf(ctx context.Context, call client.Call, prefix string) (effect, error) {
	now := s.now().UTC().Truncate(time.Millisecond)
	if call.Identity == "" {
		return effect{ID: events.NewID(prefix), At: now}, nil
	}
	identity := scoped(call)
	if at := call.Delivery.Time; !at.IsZero() {
		at = at.UTC().Truncate(time.Millisecond)
		return effect{ID: events.EffectID(prefix, at, identity), At: at, Again: true}, nil
	}
	chosen := effect{ID: events.EffectID(prefix, now, identity), At: now, Again: true}
	key := broker.Key("call", call.Operation.Name, identity)
	for {
		err := create(ctx, s.seen, key, chosen)
		if !errors.Is(err, broker.ErrConflict) {
			return chosen, err
		}
		before, _, err := load[effect](ctx, s.seen, key)
		if !errors.Is(err, broker.ErrNoKey) {
			return before, err
		}
	}
}

// scoped makes an identity one among those of all callers.
func scoped(call client.Call) string {
	if call.Identity == "" {
		return ""
	}
	data, _ := json.Marshal([]string{call.Caller.BotID, call.Caller.Alias, call.Identity})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// commit makes an entity that somebody must be told of: its stream message
// first, then its record. Done again it finds what was done, however far the
// first time got.
type commit struct {
	bucket *broker.Bucket
	record string // key of the entity
	// claim is a key that is written before the message. Whoever finds it
	// without a record knows that the message may be in the stream. Empty when
	// nobody can do this again.
	claim   string
	value   any // of the record
	publish func(context.Context) (broker.Receipt, error)
	// find looks for the message from a time on.
	find func(ctx context.Context, since time.Time) (broker.Message, error)
	// restore makes the record's value from the message.
	restore func(broker.Message) (any, error)
}

// run leaves the record in place. What was committed first stands.
func (c commit) run(ctx context.Context, b *broker.Broker) error {
	committed, err := c.earlier(ctx)
	if errors.Is(err, broker.ErrNoMessage) {
		var receipt broker.Receipt
		if receipt, err = c.publish(ctx); err == nil && receipt.Duplicate {
			committed, err = b.Get(ctx, receipt.Stream, receipt.Seq)
		}
	}
	if err != nil {
		return err
	}
	value := c.value
	if committed.Seq != 0 {
		if value, err = c.restore(committed); err != nil {
			return err
		}
	}
	err = create(ctx, c.bucket, c.record, value)
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}

// earlier returns the message of an earlier attempt, or [broker.ErrNoMessage].
// The stream's own recognition of message ids would do for two minutes; a
// handler may run again much later.
func (c commit) earlier(ctx context.Context) (broker.Message, error) {
	if c.claim == "" {
		return broker.Message{}, broker.ErrNoMessage
	}
	_, err := c.bucket.Create(ctx, c.claim, nil)
	if err == nil {
		return broker.Message{}, broker.ErrNoMessage
	}
	if !errors.Is(err, broker.ErrConflict) {
		return broker.Message{}, err
	}
	entry, err := c.bucket.Get(ctx, c.claim)
	if err != nil {
		return broker.Message{}, err
	}
	return c.find(ctx, entry.Time)
}
