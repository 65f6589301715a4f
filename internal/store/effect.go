package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
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
		stands, err := keepFirst(ctx, s.seen, key, chosen)
		if !errors.Is(err, broker.ErrNoKey) { // expired this moment
			return stands, err
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
type commit[T any] struct {
	bucket *broker.Bucket
	record string // key of the entity
	// claim is a key that is written before the message. Whoever finds it
	// without a record knows that the message may be in the stream. Empty when
	// nobody can do this again.
	claim   string
	value   T // of the record
	publish func(context.Context) (broker.Receipt, error)
	// find looks for the message from a time on.
	find func(ctx context.Context, since time.Time) (broker.Message, error)
	// restore makes the record's value from the message.
	restore func(broker.Message) (T, error)
	// stamp writes the message's sequence into the record, and reports whether
	// it was not there yet.
	stamp func(*T, uint64) bool
}

// run leaves the record in place and returns it. What was committed first
// stands.
func (c commit[T]) run(ctx context.Context, b *broker.Broker) (T, error) {
	value := c.value
	committed, err := c.earlier(ctx)
	if errors.Is(err, broker.ErrNoMessage) {
		var receipt broker.Receipt
		receipt, err = c.publish(ctx)
		committed.Seq = receipt.Seq
		if err == nil && receipt.Duplicate {
			committed, err = b.Get(ctx, receipt.Stream, receipt.Seq)
		}
	}
	if err == nil && committed.Data != nil {
		value, err = c.restore(committed)
	}
	if err != nil {
		return value, err
	}
	c.stamp(&value, committed.Seq)
	err = create(ctx, c.bucket, c.record, value)
	if errors.Is(err, broker.ErrConflict) {
		return change(ctx, c.bucket, c.record, func(stands *T) (bool, error) { return c.stamp(stands, committed.Seq), nil })
	}
	return value, err
}

// earlier returns the message of an earlier attempt, or [broker.ErrNoMessage].
// The stream's own recognition of message ids would do for two minutes; a
// handler may run again much later.
func (c commit[T]) earlier(ctx context.Context) (broker.Message, error) {
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
	if errors.Is(err, broker.ErrNoKey) { // deleted meanwhile, with what it was for
		return broker.Message{}, broker.ErrNoMessage
	}
	if err != nil {
		return broker.Message{}, err
	}
	return c.find(ctx, entry.Time)
}

// news is a change that an integration has yet to be told of. It is written
// with the change itself, by the same compare-and-swap, so that a crash cannot
// come between; whoever changes the entity next tells what is left.
type news struct {
	ID          string           `json:"id"` // of the delivery
	At          time.Time        `json:"at"`
	Operation   events.Operation `json:"operation"`
	Data        json.RawMessage  `json:"data"`
	Delivery    string           `json:"delivery,omitempty"` // that it follows from
	TraceParent string           `json:"traceparent,omitempty"`
}

// maxUntold bounds the news of one entity; each holds it twice over.
const maxUntold = 16

// errUntold asks to tell what is left before more is changed.
var errUntold = errors.New("too much is untold")

func newsOf(call client.Call, operation events.Operation, at time.Time, data any) (news, error) {
	encoded, err := json.Marshal(data)
	return news{
		ID: events.NewID("upd"), At: at, Operation: operation, Data: encoded,
		Delivery: call.Delivery.ID, TraceParent: call.Delivery.TraceParent,
	}, err
}

// teller is what news are written into.
type teller interface{ untold() *[]news }

func (r *record[Body]) untold() *[]news  { return &r.Untold }
func (m *storedMessage) untold() *[]news { return &m.Untold }

// changeAndTell is [change] for what may write news, which it hands to the
// worker in the order of the changes.
func changeAndTell[T any, P interface {
	*T
	teller
}](ctx context.Context, s *Store, bucket *broker.Bucket, key string, to addressee, edit func(*T) (bool, error)) (T, error) {
	for {
		stands, err := change(ctx, bucket, key, func(value *T) (bool, error) {
			if len(*P(value).untold()) >= maxUntold {
				return false, errUntold
			}
			return edit(value)
		})
		if err != nil && !errors.Is(err, errUntold) {
			return stands, err
		}
		if left := *P(&stands).untold(); len(left) > 0 {
			if telling := s.tell(ctx, to, left); telling != nil {
				return stands, telling
			}
			_, forgetting := change(ctx, bucket, key, func(value *T) (bool, error) {
				return forgetTold(P(value).untold(), left), nil
			})
			if forgetting != nil && !errors.Is(forgetting, broker.ErrNoKey) {
				return stands, forgetting
			}
		}
		if err == nil {
			return stands, nil
		}
	}
}

// addressee is the conversation whose installation is told.
type addressee struct{ bot, alias, conversation string }

// tell enqueues news. Told twice, they are recognised by their ids. When the
// installation is gone, there is nobody to tell; a disabled one is told when it
// goes on.
func (s *Store) tell(ctx context.Context, to addressee, all []news) error {
	installation, err := s.standing(ctx, to.bot, to.alias)
	if _, refused := errors.AsType[*client.Error](err); refused {
		return nil
	}
	if err != nil {
		return err
	}
	for _, one := range all {
		e := events.New(one.ID, "/bots/"+to.bot, one.Operation.CloudEventType(), to.conversation, one.At, one.Data)
		follow(&e, client.Delivery{ID: one.Delivery, TraceParent: one.TraceParent})
		if _, err := s.broker.Enqueue(ctx, broker.Commands, installation.WebhookID, to.conversation, e); err != nil {
			return err
		}
	}
	return nil
}

func forgetTold(untold *[]news, told []news) bool {
	before := len(*untold)
	*untold = slices.DeleteFunc(*untold, func(n news) bool {
		return slices.ContainsFunc(told, func(t news) bool { return t.ID == n.ID })
	})
	return len(*untold) != before
}
