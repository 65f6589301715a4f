package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// Delivery is what is remembered of a delivery: while it is at work, which
// attempts were made at it; and once it is at its end, how it ended.
type Delivery struct {
	Outcome Outcome `json:"outcome,omitempty"` // empty while it is not at its end
	// At is when it ended.
	At time.Time `json:"at,omitzero"`
	// Worker is who made the last attempt.
	Worker string `json:"worker,omitempty"`
	// Attempts is how many attempts have ended, those aside that a drain cut
	// short; Begun is the number of the last one that began. An attempt that
	// began and has not ended is at work, or died with its worker.
	Attempts int `json:"attempts"`
	Begun    int `json:"begun,omitempty"`
	// Runs is how often an attempt began, those too that a drain cut short, and
	// Run tells the last one from every other.
	Runs int    `json:"runs,omitempty"`
	Run  string `json:"run,omitempty"`
	// Errors are those of failed attempts: the first, and the newest.
	Errors []broker.Failure `json:"errors,omitempty"`
	// NotBefore is when the next attempt may begin.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// GivenUp is why there will be no further attempt. It is recorded before
	// the dead letter is stored, so that whoever goes on stores it, and does
	// not try once more.
	GivenUp string `json:"givenUp,omitempty"`
	// Uncertain tells that an attempt may have reached the platform.
	Uncertain bool `json:"uncertain,omitempty"`
	// Stream and Seq are where its message is. Another message of the same
	// delivery is a copy.
	Stream broker.Stream `json:"stream,omitempty"`
	Seq    uint64        `json:"seq,omitempty"`
	// RetryOf is the dead letter whose retry this is.
	RetryOf string  `json:"retryOf,omitempty"`
	Cost    float64 `json:"cost,omitempty"` // of an action
	// Answer is what the handler of a webhook answered its platform, also when
	// that came too late.
	Answer *events.Response `json:"answer,omitempty"`

	revision uint64
}

// maxErrors bounds how many failures are kept.
const maxErrors = 20

// Fail adds the failure of an attempt.
func (d *Delivery) Fail(failure broker.Failure, notBefore time.Time) {
	d.Attempts, d.NotBefore = failure.Attempt, notBefore
	if len(d.Errors) == maxErrors {
		d.Errors = append(d.Errors[:1], d.Errors[2:]...)
	}
	d.Errors = append(d.Errors, failure)
}

// Begin makes it a delivery whose dead letter is sent again: at its beginning,
// but for the errors that there were.
func (d *Delivery) Begin(letter string) {
	*d = Delivery{RetryOf: letter, Errors: d.Errors, Runs: d.Runs, revision: d.revision}
}

// End leaves out what matters only before the end.
func (d *Delivery) End() {
	d.Begun, d.Run, d.NotBefore, d.GivenUp, d.Uncertain = 0, "", time.Time{}, "", false
}

// Replace has this one saved in the place of another.
func (d *Delivery) Replace(other Delivery) { d.revision = other.revision }

// Delivery returns what is remembered of a delivery, the zero value if nothing
// is.
func (s *Store) Delivery(ctx context.Context, id string) (Delivery, error) {
	d, revision, err := load[Delivery](ctx, s.seen, broker.Key(id))
	if errors.Is(err, broker.ErrNoKey) {
		return Delivery{}, nil
	}
	d.revision = revision
	return d, err
}

// SaveDelivery writes down what is to be remembered of a delivery, for as long
// as platforms may send it again. It is [broker.ErrConflict] when somebody
// else wrote since this one was read.
func (s *Store) SaveDelivery(ctx context.Context, id string, d *Delivery) error {
	if d.Outcome != "" {
		d.At = s.now().UTC()
	}
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode delivery %s: %w", id, err)
	}
	var revision uint64
	if d.revision == 0 {
		revision, err = s.seen.Create(ctx, broker.Key(id), value)
	} else {
		revision, err = s.seen.Update(ctx, broker.Key(id), value, d.revision)
	}
	if err != nil {
		return fmt.Errorf("record delivery %s: %w", id, err)
	}
	d.revision = revision
	return nil
}

// AnswerTo returns what a webhook's handler answered; nil when the delivery is
// not at its end, or ended without an answer.
func AnswerTo(ctx context.Context, b *broker.Broker, delivery string) (*events.Response, error) {
	seen, err := b.Bucket(ctx, broker.Seen)
	if err != nil {
		return nil, err
	}
	handled, _, err := load[Delivery](ctx, seen, broker.Key(delivery))
	if errors.Is(err, broker.ErrNoKey) {
		return nil, nil
	}
	return handled.Answer, err
}

// Usage is what an installation's actions cost in one month.
type Usage struct {
	WebhookID string  `json:"webhookId"`
	Month     string  `json:"month"` // "2026-11", in UTC
	Actions   int     `json:"actions"`
	Cost      float64 `json:"cost"`
}

// Charge adds a delivery's cost to its installation's usage. Charged again, a
// delivery costs no more.
func (s *Store) Charge(ctx context.Context, webhookID, delivery string, at time.Time, cost float64) error {
	key := broker.Key(webhookID, at.UTC().Format("2006-01"), delivery)
	err := create(ctx, s.usage, key, cost)
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}

// Usage returns what each month's actions of an installation cost, the latest
// month first.
func (s *Store) Usage(ctx context.Context, webhookID string) ([]Usage, error) {
	keys, err := s.usage.Keys(ctx, broker.Key(webhookID)+".*.*")
	if err != nil {
		return nil, err
	}
	months := map[string]Usage{}
	for _, key := range keys {
		cost, _, err := load[float64](ctx, s.usage, key)
		if err != nil {
			return nil, err
		}
		month := strings.Split(key, ".")[1]
		sum := months[month]
		months[month] = Usage{WebhookID: webhookID, Month: month, Actions: sum.Actions + 1, Cost: sum.Cost + cost}
	}
	all := slices.Collect(maps.Values(months))
	slices.SortFunc(all, func(a, b Usage) int { return strings.Compare(b.Month, a.Month) })
	return all, nil
}

// WatchEnd calls visit once the delivery is at its end, and returns when visit
// has returned or ctx ends.
func (s *Store) WatchEnd(ctx context.Context, delivery string, visit func(Delivery)) error {
	return watchKey(ctx, s.seen, broker.Key(delivery), func(d Delivery) bool {
		if d.Outcome == "" {
			return false
		}
		visit(d)
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

// ActionTimeout is how long a caller waits for an action, as with Botpress.
const ActionTimeout = 60 * time.Second

// ActionAnswer is how an action ended: with an output or with an error.
type ActionAnswer struct {
	Output json.RawMessage `json:"output,omitempty"`
	Error  *client.Error   `json:"error,omitempty"`
}

// answerKey is where the answer to an action is kept, for a caller that asks
// again under the same identity.
func answerKey(delivery string) string { return broker.Key("answer", delivery) }

// FinishAction keeps the answer to an action and hands it to whoever waits.
// The first answer to a delivery stands.
func (s *Store) FinishAction(ctx context.Context, delivery string, answer ActionAnswer) error {
	stands, err := keepFirst(ctx, s.seen, answerKey(delivery), answer)
	if err != nil {
		return err
	}
	data, err := json.Marshal(stands)
	if err != nil {
		return fmt.Errorf("encode answer to %s: %w", delivery, err)
	}
	return s.broker.Answer(delivery, data)
}

func (s *Store) callAction(ctx context.Context, call client.Call, in *client.CallActionInput) (*client.CallActionOutput, error) {
	if call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only a bot calls actions")
	}
	if err := checkLength("type", in.Type, maxName); err != nil {
		return nil, err
	}
	alias, action, ok := strings.Cut(in.Type, ":")
	if !ok || alias == "" || action == "" {
		return nil, client.NewError(client.InvalidPayload, `type must be "alias:action", such as "slack:sendMessage"`)
	}
	input := in.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	installation, err := s.active(ctx, call.Caller.BotID, alias)
	if err != nil {
		return nil, err
	}
	identified, err := s.effectOf(ctx, call, "act")
	if err != nil {
		return nil, err
	}
	e, err := s.cloudEvent(call, identified.ID, events.ActionTriggered.CloudEventType(), "", events.ActionCall{Type: action, Input: input})
	if err != nil {
		return nil, err
	}
	awaited, err := s.broker.Await(identified.ID)
	if err != nil {
		return nil, err
	}
	defer awaited.Close()
	if identified.Again {
		if answer, _, err := load[ActionAnswer](ctx, s.seen, answerKey(identified.ID)); !errors.Is(err, broker.ErrNoKey) {
			return actionOutput(answer, err)
		}
	}
	if _, err := s.broker.Enqueue(ctx, broker.Commands, installation.WebhookID, "", e); err != nil {
		return nil, err
	}
	answer, err := s.answer(ctx, awaited, identified.ID)
	if errors.Is(err, errUnanswered) {
		return nil, client.NewError(client.OperationTimeout, "action %s did not answer in time; it may still run", in.Type)
	}
	return actionOutput(answer, err)
}

// errUnanswered ends a wait of [ActionTimeout].
var errUnanswered = errors.New("nobody answered")

// lookAgain is how often a caller that waits looks for the answer where it is
// kept, in case it was not listening when the answer was sent.
const lookAgain = 5 * time.Second

// answer waits for the answer to an action. That it is sent is only the quick
// way, and may be missed; that it is kept is what counts.
func (s *Store) answer(ctx context.Context, awaited *broker.Awaited, delivery string) (ActionAnswer, error) {
	waiting, cancel := context.WithTimeout(ctx, ActionTimeout)
	defer cancel()
	for {
		listening, stop := context.WithTimeout(waiting, lookAgain)
		data, err := awaited.Wait(listening)
		interrupted := err != nil && listening.Err() == nil
		stop()
		if err == nil {
			var answer ActionAnswer
			if err := json.Unmarshal(data, &answer); err != nil {
				return answer, fmt.Errorf("decode answer to %s: %w", delivery, err)
			}
			return answer, nil
		}
		answer, _, missing := load[ActionAnswer](ctx, s.seen, answerKey(delivery))
		switch {
		case missing == nil:
			return answer, nil
		case ctx.Err() != nil:
			return answer, context.Cause(ctx)
		case interrupted:
			return answer, fmt.Errorf("await %s: %w", delivery, errors.Join(err, missing))
		case waiting.Err() == nil:
			continue // NATS may be back by then
		case errors.Is(missing, broker.ErrNoKey):
			return answer, errUnanswered
		default:
			return answer, missing
		}
	}
}

func actionOutput(answer ActionAnswer, err error) (*client.CallActionOutput, error) {
	if err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	return &client.CallActionOutput{Output: answer.Output}, nil
}
