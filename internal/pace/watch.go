package pace

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

const watchAgainAfter = 500 * time.Millisecond

// Run keeps the breaker up to date with what other workers find out, until ctx
// ends, whose cause it returns. It goes on by itself after an outage of NATS.
func (b *Breaker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		watching, stop := b.Broker.UntilReconnected(ctx)
		b.begin()
		err := b.Bucket.Watch(watching, everyBreaker, b.complete, b.see)
		stop()
		if ctx.Err() != nil || errors.Is(err, broker.ErrReconnected) {
			continue
		}
		b.Logger.WithError(err).Debug("circuits stay as they are known until NATS is back")
		select {
		case <-ctx.Done():
		case <-time.After(watchAgainAfter):
		}
	}
	return context.Cause(ctx)
}

// begin starts over with revisions, in case that NATS has lost its files.
func (b *Breaker) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session++
	for _, v := range b.views {
		v.revision = 0
	}
}

// complete is called when all there is has been seen: what was not is closed.
func (b *Breaker) complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, v := range b.views {
		if v.session != b.session {
			b.shut(key, v)
		}
	}
}

// see takes in a change. What is older than what this worker knows, because it
// has made a change itself, is nothing new.
func (b *Breaker) see(entry broker.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.views[entry.Key]
	switch {
	case v == nil && entry.Deleted || v != nil && entry.Revision <= v.revision:
		return
	case entry.Deleted:
		b.shut(entry.Key, v)
		return
	}
	var c circuit
	if err := json.Unmarshal(entry.Value, &c); err != nil {
		b.Logger.WithError(err).WithField("key", entry.Key).Error("circuit cannot be decoded, it stays as it is known")
		return
	}
	b.learn(b.view(entry.Key), c, entry.Revision)
}

// view returns what is known under a key; the mutex is held, here and below.
func (b *Breaker) view(key string) *view {
	v := b.views[key]
	if v == nil {
		v = &view{changed: make(chan struct{})}
		b.views[key] = v
	}
	return v
}

// learn takes in a circuit. Who waits is told, but not of a probe that begins.
func (b *Breaker) learn(v *view, c circuit, revision uint64) {
	quiet := v.open && c.onlyClaimed(v.circuit)
	v.circuit, v.revision, v.open, v.session = c, revision, true, b.session
	v.failures, v.keys = 0, nil
	if !quiet {
		v.tell()
	}
}

// closed takes in that this worker has closed a circuit. What is known of it is
// kept until the watch has come so far, or old news would open it again.
func (b *Breaker) closed(installation string, revision uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.view(breakerKey(installation))
	v.revision, v.session = revision, b.session
	v.close()
}

// shut takes in that a circuit is no more.
func (b *Breaker) shut(key string, v *view) {
	v.revision = 0
	v.close()
	b.tidy(key, v)
}

// tidy forgets what is as if it had never been seen.
func (b *Breaker) tidy(key string, v *view) {
	if !v.open && !v.writing && v.failures == 0 && v.revision == 0 {
		delete(b.views, key)
	}
}

func (v *view) close() {
	if v.open {
		v.open = false
		v.tell()
	}
}

// tell wakes whoever waits.
func (v *view) tell() {
	close(v.changed)
	v.changed = make(chan struct{})
}
