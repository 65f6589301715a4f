package pace

import (
	"context"
	"sync"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/handlers"
)

// Rates keep all workers together within what each destination takes. A
// destination is whatever the platform counts together: a channel of an
// installation, the installation as a whole. Its places are one queue over all
// workers, in which each one is booked by compare-and-swap, so no two attempts
// ever get the same place, and none is left empty while somebody waits.
//
// Those who ask for the same destination at the same time in one worker are
// booked by one write, up to bookAhead worth of places, after which other
// workers have their chance. So a write is never a rate's limit, and nothing is
// booked that nobody has asked for: the rate holds exactly, in every window of
// length w at most Burst + w × Limit / Per places. What may still be inexact is
// a caller that uses its place later than it was told to.
type Rates struct {
	bucket *broker.Bucket
	now    func() time.Time

	mu           sync.Mutex
	destinations map[string]*destination // by key, while in use or booked ahead
	sweepAt      int
}

// destination is what one worker knows of a destination. All but lead is
// guarded by the mutex of Rates.
type destination struct {
	key     string
	users   int
	pending []*request
	// known is what this worker has seen last. Others may have booked more
	// since, but never less.
	known ledger
	// lead is held by the one who asks NATS on behalf of all that are pending.
	lead chan struct{}
}

// request is one caller that wants a place.
type request struct {
	ctx  context.Context
	rate handlers.Rate
	most time.Duration

	answered chan struct{} // closed once the rest is set
	at       time.Time
	booked   bool
	err      error
}

// bookAhead is how much of a rate one worker books by one write.
const bookAhead = 100 * time.Millisecond

// NewRates returns rates that are kept in the [broker.Pace] bucket. All workers
// must take now from the same clock.
func NewRates(bucket *broker.Bucket, now func() time.Time) *Rates {
	return &Rates{bucket: bucket, now: now, destinations: map[string]*destination{}}
}

// Reserve books the next free place at a destination and returns how long to
// wait until then, 0 when that is now. It is called once for each attempt. When
// the wait would be longer than most, nothing is booked, and wait is how long
// it takes at least until a place is free: ask again then.
//
// A destination without a rate has places at any time but those that were
// postponed; they are free, so nothing is written. Who has two rates to keep
// asks for the second one when the place at the first has come. A place whose
// ctx ends meanwhile may be lost. [broker.ErrUnavailable] means that NATS did
// not confirm: a place may have been booked, and the caller has none.
func (r *Rates) Reserve(ctx context.Context, name string, rate handlers.Rate, most time.Duration) (wait time.Duration, booked bool, err error) {
	d := r.use(name)
	defer r.release(d)
	q := &request{ctx: ctx, rate: rate, most: most, answered: make(chan struct{})}
	if !r.join(d, q) {
		return q.at.Sub(r.now()), false, nil
	}
	for {
		select {
		case <-q.answered:
			return max(0, q.at.Sub(r.now())), q.booked, q.err
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		case d.lead <- struct{}{}:
			r.serve(ctx, d)
			<-d.lead
		}
	}
}

// Postpone keeps everybody from getting a place at a destination before until,
// as a platform asks for that answers 429 with Retry-After. Places that were
// booked before stay booked. After that the rate begins anew without a burst,
// for those who ask in the meantime.
func (r *Rates) Postpone(ctx context.Context, name string, until time.Time) error {
	d := r.use(name)
	defer r.release(d)
	select {
	case d.lead <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-d.lead }()
	return r.change(ctx, d, func(l *ledger, now time.Time) bool {
		if !until.After(now) || !until.After(l.NotBefore) {
			return false
		}
		l.NotBefore = until
		return true
	})
}

// join queues a request, unless it is known already that the wait would be too
// long: many ask for a place at a destination that is full, so that must cost
// nothing.
func (r *Rates) join(d *destination, q *request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if at, _ := d.known.place(now, q.rate); at.Sub(now) > q.most {
		q.at = at
		return false
	}
	d.pending = append(d.pending, q)
	return true
}

// serve answers those that are pending; the caller holds the lead. One whose
// turn has not come stays pending, and so do all when ctx ends.
func (r *Rates) serve(ctx context.Context, d *destination) {
	batch := r.take(d)
	if len(batch) == 0 {
		return
	}
	var left []*request
	err := r.change(ctx, d, func(l *ledger, now time.Time) (changed bool) {
		left = nil
		ahead := bookAhead
		for i, q := range batch {
			interval := q.rate.Interval()
			if changed && interval > ahead {
				left = batch[i:]
				break
			}
			at, next := l.place(now, q.rate)
			q.at, q.booked = at, at.Sub(now) <= q.most
			if q.booked && interval > 0 {
				l.Next, changed = next, true
				ahead -= interval
			}
		}
		return changed
	})
	if err != nil && ctx.Err() != nil {
		r.giveBack(d, batch)
		return
	}
	r.giveBack(d, left)
	for _, q := range batch[:len(batch)-len(left)] {
		if err != nil {
			q.booked, q.err = false, err
		}
		close(q.answered)
	}
}

// take returns the pending requests that somebody still waits for.
func (r *Rates) take(d *destination) []*request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []*request
	for _, q := range d.pending {
		if q.ctx.Err() == nil {
			batch = append(batch, q)
		}
	}
	d.pending = nil
	return batch
}

func (r *Rates) giveBack(d *destination, batch []*request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.pending = append(batch, d.pending...)
}

func (r *Rates) use(name string) *destination {
	key := rateKey(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.destinations[key]
	if d == nil {
		d = &destination{key: key, lead: make(chan struct{}, 1)}
		r.destinations[key] = d
	}
	d.users++
	return d
}

// release also forgets destinations that are as good as new, once there are
// twice as many as there were left the last time.
func (r *Rates) release(d *destination) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.users--
	if len(r.destinations) <= r.sweepAt {
		return
	}
	now := r.now()
	for key, d := range r.destinations {
		if d.users == 0 && !d.known.last().After(now) {
			delete(r.destinations, key)
		}
	}
	r.sweepAt = 2*len(r.destinations) + 64
}
