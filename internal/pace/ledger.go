package pace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/handlers"
)

// ledger is what all workers together know of a destination, kept by the
// generic cell rate algorithm: one time stands for every place that is booked.
type ledger struct {
	// Next is when the next attempt would come if all kept the interval; the
	// algorithm calls it the theoretical arrival time. It is ahead of the clock
	// by one interval for each place that is taken.
	Next time.Time `json:"next,omitzero"`
	// NotBefore is until when the platform wants to be left alone.
	NotBefore time.Time `json:"notBefore,omitzero"`
}

// place returns when the next free place is, and what Next is once it is
// booked. A burst is places that come early by as many intervals; there is none
// right after the platform has asked for a pause.
func (l ledger) place(now time.Time, rate handlers.Rate) (at, next time.Time) {
	interval := rate.Interval()
	if interval <= 0 {
		return later(now, l.NotBefore), l.Next
	}
	early := time.Duration(max(rate.Burst, 1)-1) * interval
	next = later(now, l.Next)
	if l.NotBefore.After(now) {
		next = later(next, l.NotBefore.Add(early))
	}
	return later(now, next.Add(-early)), next.Add(interval)
}

// last is from when on the ledger says nothing any more.
func (l ledger) last() time.Time { return later(l.Next, l.NotBefore) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rateKey names a destination in the bucket. Destinations hold what a platform
// uses as ids, of any length and form, so they are hashed.
func rateKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return broker.Key("rate", hex.EncodeToString(sum[:16]))
}

// change changes a destination's ledger by compare-and-swap until that
// succeeds. Do may be called more than once; nothing is written when it returns
// false. What is not needed any more vanishes by itself.
func (r *Rates) change(ctx context.Context, d *destination, do func(l *ledger, now time.Time) bool) error {
	for apart := time.Millisecond; ; apart = min(2*apart, 16*time.Millisecond) {
		entry, err := r.bucket.Get(ctx, d.key)
		if err != nil && !errors.Is(err, broker.ErrNoKey) {
			return err
		}
		var l ledger
		if entry.Revision != 0 {
			if err := json.Unmarshal(entry.Value, &l); err != nil {
				return fmt.Errorf("decode rate %s: %w", d.key, err)
			}
		}
		now := r.now()
		if do(&l, now) {
			err = r.write(ctx, d.key, l, entry.Revision, l.last().Sub(now))
		} else {
			err = nil
		}
		if err == nil {
			r.mu.Lock()
			d.known = l
			r.mu.Unlock()
			return nil
		}
		if !errors.Is(err, broker.ErrConflict) {
			return err
		}
		select { // apart from the others who lost, so that each is first once
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(apart)):
		}
	}
}

func (r *Rates) write(ctx context.Context, key string, l ledger, revision uint64, needed time.Duration) error {
	value, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = r.bucket.PutFor(ctx, key, value, revision, expiry(needed))
	return err
}

// expiry is a time to live that NATS takes: whole seconds, at least one longer
// than needed.
func expiry(needed time.Duration) time.Duration {
	return max(needed, 0).Truncate(time.Second) + 2*time.Second
}
