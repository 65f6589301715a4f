package replay

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// State is how far a delivery is.
type State string

// The states.
const (
	Waiting    State = "waiting"     // nothing was tried yet
	AtWork     State = "at_work"     // an attempt is under way, or died with its worker
	BackingOff State = "backing_off" // an attempt failed; the next one has its time
	ParkedFor  State = "parked"      // something else has to come first, and Why says what
	Done       State = "done"
	Dead       State = "dead_letter" // it was given up
	SentAgain  State = "sent_again"  // a dead letter that stands in the queue once more, further on
	Duplicate  State = "duplicate"   // the platform sent it before
	Forgotten  State = "forgotten"   // it is older than what is remembered of deliveries
)

// States are all of them.
func States() []State {
	return []State{Waiting, AtWork, BackingOff, ParkedFor, Done, Dead, SentAgain, Duplicate, Forgotten}
}

// Work is a delivery, as a message of a queue, with what became of it.
type Work struct {
	Entry
	Record store.Delivery
	State  State
	// Until is when it is gone on with, if that is known, and Why what it waits
	// for.
	Until time.Time
	Why   string
}

// LastError is what the newest failed attempt failed with.
func (w Work) LastError() string {
	if n := len(w.Record.Errors); n > 0 {
		return w.Record.Errors[n-1].Error
	}
	return w.Record.GivenUp
}

// Reader reads back what happened, and knows who is installed.
type Reader struct {
	Broker    *broker.Broker
	Store     *store.Store
	Installed []store.Installation
}

// NewReader returns a reader that knows who is installed now.
func NewReader(ctx context.Context, b *broker.Broker, s *store.Store) (*Reader, error) {
	installed, err := s.Installations(ctx)
	return &Reader{Broker: b, Store: s, Installed: installed}, err
}

// Installation is the one with a webhook id; of one that is gone, nothing else
// is known.
func (r *Reader) Installation(webhook string) store.Installation {
	for _, i := range r.Installed {
		if i.WebhookID == webhook || broker.Token(i.WebhookID) == webhook {
			return i
		}
	}
	return store.Installation{WebhookID: webhook}
}

// Work yields the selected deliveries, the newest first, each with what became
// of it. An error is the last thing that it yields.
func (r *Reader) Work(ctx context.Context, s Selection) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		for entry, err := range s.Newest(ctx, r.Broker, broker.Queues...) {
			var work Work
			if err == nil {
				work, err = r.WorkOf(ctx, entry)
			}
			if !yield(work, err) || err != nil {
				return
			}
		}
	}
}

// WorkOf finds out what became of a delivery.
func (r *Reader) WorkOf(ctx context.Context, entry Entry) (Work, error) {
	record, err := r.Store.Delivery(ctx, entry.Event.ID())
	if err != nil {
		return Work{}, err
	}
	return r.judge(ctx, Work{Entry: entry, Record: record})
}

// judge says how far a delivery is, by its record and by what is parked.
func (r *Reader) judge(ctx context.Context, w Work) (Work, error) {
	now := r.Broker.Now()
	elsewhere := w.Record.Seq != 0 && (w.Record.Seq != w.Seq || w.Record.Stream != w.Stream)
	switch {
	case elsewhere && w.Record.RetryOf != "" && w.Seq < w.Record.Seq:
		w.State, w.Record = SentAgain, store.Delivery{Errors: w.Record.Errors}
		return w, nil
	case elsewhere:
		w.State, w.Record = Duplicate, store.Delivery{}
		return w, nil
	case w.Record.Outcome == store.Finished:
		w.State = Done
		return w, nil
	case w.Record.Outcome == store.DeadLettered:
		w.State = Dead
		return w, nil
	case w.Record.GivenUp != "":
		w.State, w.Why = AtWork, "being given up"
		return w, nil
	case w.Record.Begun > w.Record.Attempts:
		w.State = AtWork
		return w, nil
	case r.stopped(w.Entry):
		w.State, w.Why = ParkedFor, r.reason("blocked", w.Webhook())
		return w, nil
	case w.Record.NotBefore.After(now):
		w.State, w.Until = BackingOff, w.Record.NotBefore
		return w, nil
	}
	parked, is, err := r.Broker.ParkedFor(ctx, w.Lane().Place(w.Seq))
	switch {
	case err != nil:
		return w, err
	case is && parked.Why != "backlog":
		w.State, w.Until, w.Why = ParkedFor, parked.Until, r.reason(parked.Why, w.Webhook())
	case w.Record.Runs == 0 && now.Sub(w.Stored) > broker.SeenFor && !is:
		w.State = Forgotten
	default:
		w.State = Waiting
	}
	return w, nil
}

// stopped tells whether an installation was stopped for this, as workers do: an
// end of it is put in the way of nothing, and a beginning may mend its
// credentials.
func (r *Reader) stopped(e Entry) bool {
	i := r.Installation(e.Webhook())
	switch e.Operation {
	case events.Unregister:
		return false
	case events.Register:
		return i.Disabled
	default:
		return i.Disabled || i.Paused != nil
	}
}

// reason says what a word of the worker's means.
func (r *Reader) reason(word, webhook string) string {
	i := r.Installation(webhook)
	switch {
	case word == "blocked" && i.Disabled:
		return "its installation is disabled"
	case word == "blocked" && i.Paused != nil:
		return "its installation is paused: " + i.Paused.Reason
	case word == "blocked":
		return "its installation takes nothing at the moment"
	case word == "backoff":
		return "what comes before it failed, and is tried again"
	case word == "limited":
		return "the platform takes no more at the moment"
	case word == "busy":
		return "its last worker is about to finish it"
	}
	return word
}

// FollowWork hands over each selected delivery whenever an attempt at it begins
// or ends, until ctx ends or visit returns an error.
func (r *Reader) FollowWork(ctx context.Context, s Selection, visit func(Work) error) error {
	seen, err := r.Broker.Bucket(ctx, broker.Seen)
	if err != nil {
		return err
	}
	meant := map[broker.Stream]func(string) bool{}
	for _, queue := range broker.Queues {
		reading, fits := s.subjects(queue)
		meant[queue] = func(subject string) bool {
			for _, pattern := range reading {
				if covers(pattern, subject) {
					return fits(subject)
				}
			}
			return false
		}
	}
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return seen.Changes(following, "*", func(changed broker.Entry) { // what has more tokens are calls
		if following.Err() != nil {
			return
		}
		var work Work
		if changed.Deleted || json.Unmarshal(changed.Value, &work.Record) != nil || work.Record.Seq == 0 {
			return
		}
		message, err := r.Broker.Get(ctx, work.Record.Stream, work.Record.Seq)
		if errors.Is(err, broker.ErrNoMessage) {
			return
		}
		if work.Entry = entryOf(message); err == nil && (!meant[message.Stream](message.Subject) || !s.match(work.Entry)) {
			return
		}
		if err == nil {
			work, err = r.judge(ctx, work)
		}
		if err == nil {
			err = visit(work)
		}
		if err != nil {
			stop(err)
		}
	})
}
