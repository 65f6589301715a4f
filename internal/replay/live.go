package replay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// runKept is how long a run can be gone on with: as long as deliveries are
// remembered, so that none can be run twice by it.
const runKept = broker.SeenFor

// Run is a live replay: each of its deliveries is put into its queue again, at
// the end, as a delivery of its own with the id "<delivery>.r<run>". It is
// interrupted and gone on with as one likes; each is put there once, in order.
type Run struct {
	ID string `json:"id"`
	// Deliveries are what was selected when the run began.
	Deliveries Deliveries `json:"deliveries"`
	Began      time.Time  `json:"began"`
	// Sent is how many are in their queues again, Done that all are.
	Sent int  `json:"sent"`
	Done bool `json:"done,omitempty"`
	// After is how far the queues were read, and Tail is behind what the run put
	// into them.
	After Position `json:"after"`
	Tail  Position `json:"tail"`

	broker   *broker.Broker
	store    *store.Store
	reader   *Reader
	cursors  *broker.Bucket
	revision uint64
	resumed  bool
}

// ErrRunUnknown means that no run has the id, or that it is too old.
var ErrRunUnknown = errors.New("there is no such run")

func runKey(id string) string { return broker.Key("replay", id) }

// Begin makes a run of what is stored by now.
func Begin(ctx context.Context, b *broker.Broker, s *store.Store, d Deliveries) (*Run, error) {
	now := b.Now()
	if d.Until.IsZero() {
		d.Until = now // or it would find what it puts into the queues
	}
	tail, err := Now(ctx, b)
	if err != nil {
		return nil, err
	}
	r := &Run{
		ID: strings.ToLower(rand.Text()[:6]), Deliveries: d, Began: now, After: Position{}, Tail: tail, broker: b, store: s,
	}
	if r.reader, err = NewReader(ctx, b, s); err != nil {
		return nil, err
	}
	if r.cursors, err = b.Bucket(ctx, broker.Cursors); err != nil {
		return nil, err
	}
	return r, nil
}

// Resume finds a run that was begun, or returns [ErrRunUnknown].
func Resume(ctx context.Context, b *broker.Broker, s *store.Store, id string) (*Run, error) {
	cursors, err := b.Bucket(ctx, broker.Cursors)
	if err != nil {
		return nil, err
	}
	entry, err := cursors.Get(ctx, runKey(id))
	if errors.Is(err, broker.ErrNoKey) {
		return nil, fmt.Errorf("run %s: %w: runs are kept for %d days", id, ErrRunUnknown, int(runKept.Hours()/24))
	}
	if err != nil {
		return nil, err
	}
	r := &Run{broker: b, store: s, cursors: cursors, revision: entry.Revision, resumed: true}
	if err := json.Unmarshal(entry.Value, r); err != nil {
		return nil, fmt.Errorf("decode run %s: %w", id, err)
	}
	r.reader, err = NewReader(ctx, b, s)
	return r, err
}

// LeftOut is what a run leaves out, and why.
type LeftOut struct {
	Operation events.Operation
	// State is how far the delivery is, if that is why: it is not done.
	State State
}

// Left counts what the run still has to put into the queues, and what it leaves
// out.
func (r *Run) Left(ctx context.Context) (left map[events.Operation]int, leftOut map[LeftOut]int, err error) {
	left, leftOut = map[events.Operation]int{}, map[LeftOut]int{}
	for found, err := range r.Deliveries.Oldest(ctx, r.broker, r.store, r.After) {
		if err != nil {
			return nil, nil, err
		}
		takes, state, err := r.takes(ctx, found)
		if err != nil {
			return nil, nil, err
		}
		if takes {
			left[found.Operation]++
		} else {
			leftOut[LeftOut{found.Operation, state}]++
		}
	}
	return left, leftOut, nil
}

// takes tells what a run may do again. A message that was acked is never sent
// again, and one that failed has a dead letter to be retried; registrations
// have a verb of their own. What is a replay already is taken when it is named.
// What is not done, as its state says, runs by itself or is retried: done by a
// run besides, it would be done twice.
func (r *Run) takes(ctx context.Context, found Entry) (takes bool, state State, err error) {
	switch found.Operation {
	case events.MessageCreated, events.Register, events.Unregister, events.Ping:
		return false, "", nil
	}
	if len(r.Deliveries.IDs) == 0 && events.Extension(found.Event, broker.Replayed) != "" {
		return false, "", nil
	}
	work, err := r.reader.WorkOf(ctx, found)
	if err == nil && (work.State == SentAgain || work.State == Duplicate) { // what counts is elsewhere
		elsewhere, failed := r.reader.recorded(ctx, found.Event.ID(), broker.Queues)
		switch {
		case failed == nil:
			work, err = r.reader.WorkOf(ctx, elsewhere)
		case !errors.Is(failed, ErrNotKept):
			err = failed
		}
	}
	if err != nil {
		return false, "", err
	}
	switch work.State {
	case Waiting, AtWork, BackingOff, ParkedFor, Dead:
		return false, work.State, nil
	default:
		return true, "", nil
	}
}

// Put puts what is left into the queues, and calls each after every delivery.
// It ends with ctx between two deliveries. An error that is [broker.ErrConflict]
// means that somebody else is at the same run.
func (r *Run) Put(ctx context.Context, pause func(context.Context) error, each func(Entry, broker.Receipt) error) error {
	for found, err := range r.Deliveries.Oldest(ctx, r.broker, r.store, r.After) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		takes, _, err := r.takes(ctx, found)
		if err != nil {
			return err
		}
		if !takes {
			continue
		}
		if err := pause(ctx); err != nil {
			return err
		}
		receipt, err := r.put(context.WithoutCancel(ctx), found)
		if err != nil {
			return err
		}
		if err := each(found, receipt); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.Done = true
	return r.save(ctx)
}

// put puts one delivery into its queue and notes that it is there.
func (r *Run) put(ctx context.Context, found Entry) (broker.Receipt, error) {
	if r.revision == 0 { // before the first, so that it can be gone on with
		if err := r.save(ctx); err != nil {
			return broker.Receipt{}, err
		}
	}
	e := r.again(found)
	receipt, err := r.earlier(ctx, found, e.ID())
	if errors.Is(err, broker.ErrNoMessage) {
		receipt, err = r.broker.EnqueueAgain(ctx, found.Message, e)
	}
	if err != nil {
		return receipt, err
	}
	stream := found.Stream
	r.After[stream], r.Tail[stream], r.Sent = found.Seq, receipt.Seq, r.Sent+1
	return receipt, r.save(ctx)
}

// again is a delivery as one of its own.
func (r *Run) again(found Entry) event.Event {
	e := found.Event.Clone()
	e.SetID(found.Event.ID() + ".r" + r.ID)
	e.SetTime(r.broker.Now())
	e.SetExtension(broker.Replayed, r.ID)
	e.SetExtension(broker.RetryOf, nil)
	return e
}

// earlier finds what was put into the queue and not noted, because the process
// died in between. Only the first one after a resumption can be that.
func (r *Run) earlier(ctx context.Context, found Entry, id string) (broker.Receipt, error) {
	if !r.resumed {
		return broker.Receipt{}, broker.ErrNoMessage
	}
	r.resumed = false
	stream := found.Stream
	for after := r.Tail[stream]; ; {
		m, err := r.broker.Next(ctx, stream, found.Subject, after)
		if err != nil {
			return broker.Receipt{}, err
		}
		if ids := m.Header["ce-id"]; len(ids) == 1 && ids[0] == id {
			return broker.Receipt{Stream: stream, Seq: m.Seq, Duplicate: true}, nil
		}
		after = m.Seq
	}
}

func (r *Run) save(ctx context.Context) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.revision, err = r.cursors.PutFor(ctx, runKey(r.ID), value, r.revision, runKept); err != nil {
		return fmt.Errorf("note how far run %s is: %w", r.ID, err)
	}
	return nil
}
