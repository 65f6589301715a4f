package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of buckets.
var (
	ErrNoKey = errors.New("no such key")
	// ErrConflict means that a key is no longer, or not yet, what the caller
	// believed: somebody else was first.
	ErrConflict = errors.New("key was changed by somebody else")
)

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // for Update and Delete
	Time     time.Time
	Deleted  bool // only from Watch: the key is gone
}

// Bucket is a key-value bucket. Every write can be conditional, and whoever
// decides something on what was read must make it so: reads may be a moment
// old on a cluster.
type Bucket struct {
	broker *Broker
	name   BucketName
	kv     jetstream.KeyValue
}

// Bucket opens a bucket; [ErrNotProvisioned] when there is none.
func (b *Broker) Bucket(ctx context.Context, name BucketName) (*Bucket, error) {
	b.mu.Lock()
	open, ok := b.buckets[name]
	b.mu.Unlock()
	if ok {
		return open, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	kv, err := b.js.KeyValue(ctx, string(name))
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s: %w", name, ErrNotProvisioned)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, mapError(err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buckets[name] = &Bucket{broker: b, name: name, kv: kv}
	return b.buckets[name], nil
}

func (k *Bucket) fail(what, key string, err error) error {
	return fmt.Errorf("%s %s in %s: %w", what, key, k.name, mapError(err))
}

func (k *Bucket) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, k.broker.timeout)
}

// Get returns a key's entry, or [ErrNoKey].
func (k *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	entry, err := k.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Entry{}, ErrNoKey
	}
	if err != nil {
		return Entry{}, k.fail("read", key, err)
	}
	return Entry{Key: key, Value: entry.Value(), Revision: entry.Revision(), Time: entry.Created()}, nil
}

// Create sets a key that is not there, or returns [ErrConflict].
func (k *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return k.write(ctx, "create", key, func(ctx context.Context) (uint64, error) { return k.kv.Create(ctx, key, value) })
}

// Update replaces a key whose revision is still the given one, or returns
// [ErrConflict].
func (k *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return k.write(ctx, "update", key, func(ctx context.Context) (uint64, error) {
		return k.kv.Update(ctx, key, value, revision)
	})
}

// Put sets a key, whatever it was.
func (k *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return k.write(ctx, "write", key, func(ctx context.Context) (uint64, error) { return k.kv.Put(ctx, key, value) })
}

// PutFor sets a key that vanishes after ttl, at least a second. A revision of
// 0 demands that the key is not there, any other that it is still at that
// revision; [ErrConflict] otherwise. The bucket must be one whose keys expire
// one by one.
func (k *Bucket) PutFor(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if revision == 0 {
		return k.write(ctx, "create", key, func(ctx context.Context) (uint64, error) {
			return k.kv.Create(ctx, key, value, jetstream.KeyTTL(ttl))
		})
	}
	return k.write(ctx, "renew", key, func(ctx context.Context) (uint64, error) {
		ack, err := k.broker.js.PublishMsg(ctx, &nats.Msg{Subject: "$KV." + string(k.name) + "." + key, Data: value},
			jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	})
}

// goneFor is how long a bucket whose keys expire tells that a key was removed.
// Whoever watches it was away for longer sees that it is not there.
const goneFor = time.Minute

// Delete removes a key whose revision is still the given one, or returns
// [ErrConflict]; 0 removes it whatever it is. Removing a key that is not there
// is then no error.
func (k *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	var options []jetstream.KVDeleteOpt
	if expiring[k.name] { // nothing is to be left of keys that come and go
		options = append(options, jetstream.PurgeTTL(goneFor))
	}
	if revision != 0 {
		options = append(options, jetstream.LastRevision(revision))
	}
	_, err := k.write(ctx, "delete", key, func(ctx context.Context) (uint64, error) {
		if expiring[k.name] {
			return 0, k.kv.Purge(ctx, key, options...)
		}
		return 0, k.kv.Delete(ctx, key, options...)
	})
	return err
}

func (k *Bucket) write(ctx context.Context, what, key string, do func(context.Context) (uint64, error)) (uint64, error) {
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	revision, err := do(ctx)
	if err == nil {
		return revision, nil
	}
	if isConflict(err) {
		return 0, ErrConflict
	}
	return 0, k.fail(what, key, err)
}

// isConflict tells a lost race. A replicated stream says so in a way of its
// own while the winner's write is still under way.
func isConflict(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Modify changes a key by compare-and-swap until it succeeds. Change gets the
// value, nil when there is none, and may be called more than once; returning
// nil leaves the key as it is. Modify returns the value that stands at the
// end.
func (k *Bucket) Modify(ctx context.Context, key string, change func(value []byte) ([]byte, error)) ([]byte, error) {
	for lost := 0; ; lost++ {
		if lost > 2 { // a replica that lags behind shows the same value again
			pause(ctx, rand.N(10*time.Millisecond))
		}
		entry, err := k.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNoKey) {
			return nil, err
		}
		changed, err := change(entry.Value)
		if err != nil || changed == nil {
			return entry.Value, err
		}
		if entry.Revision == 0 {
			_, err = k.Create(ctx, key, changed)
		} else {
			_, err = k.Update(ctx, key, changed, entry.Revision)
		}
		if !errors.Is(err, ErrConflict) {
			return changed, err
		}
	}
}

// Keys lists the keys that match a pattern, in no order. A pattern has whole
// tokens as wildcards: "demo.*", "demo.>".
func (k *Bucket) Keys(ctx context.Context, pattern string) ([]string, error) {
	var keys []string
	err := k.scan(ctx, pattern, func(entry Entry) { keys = append(keys, entry.Key) }, jetstream.MetaOnly())
	return keys, err
}

// Scan hands over every entry that matches a pattern, in no order. It reads
// them in one go, which is much quicker than one by one.
func (k *Bucket) Scan(ctx context.Context, pattern string, visit func(Entry)) error {
	return k.scan(ctx, pattern, visit)
}

func (k *Bucket) scan(ctx context.Context, pattern string, visit func(Entry), options ...jetstream.WatchOpt) error {
	reading, done := context.WithCancelCause(ctx)
	defer done(nil)
	err := k.watch(reading, pattern, func() { done(errScanned) }, func(entry Entry) {
		if !entry.Deleted && context.Cause(reading) == nil {
			visit(entry)
		}
	}, options...)
	if errors.Is(err, errScanned) {
		return nil
	}
	return err
}

// errScanned ends a watch that has handed over all there is.
var errScanned = errors.New("scanned")

// Watch hands over every entry that matches the pattern, then calls current
// once, then hands over each change until ctx ends, whose cause it returns. It
// goes on after an outage by itself; entries may come again.
func (k *Bucket) Watch(ctx context.Context, pattern string, current func(), visit func(Entry)) error {
	return k.watch(ctx, pattern, current, visit)
}

// Changes hands over each entry that matches the pattern and changes from now
// on, until ctx ends, whose cause it returns.
func (k *Bucket) Changes(ctx context.Context, pattern string, visit func(Entry)) error {
	return k.watch(ctx, pattern, nil, visit, jetstream.UpdatesOnly())
}

// lookAgain is how often a watch asks whether it has handed over all there is,
// when nothing more comes.
const lookAgain = 200 * time.Millisecond

// watch calls current, unless it is nil, once everything that was there when it
// began has been handed over. It does not go by the client's own count for
// that: keys that are written or removed meanwhile make it say so too early, or
// never.
func (k *Bucket) watch(ctx context.Context, pattern string, current func(), visit func(Entry), options ...jetstream.WatchOpt) error {
	watcher, err := k.kv.Watch(ctx, pattern, options...)
	if err != nil {
		return k.fail("watch", pattern, err)
	}
	defer func() { _ = watcher.Stop() }()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	var seen, last uint64
	asked := false
	for {
		if current != nil && !asked {
			newest, err := k.broker.lastOf(ctx, Stream("KV_"+string(k.name)), "$KV."+string(k.name)+"."+pattern)
			if err != nil && ctx.Err() == nil {
				return k.fail("watch", pattern, err)
			}
			last, asked = newest.Sequence, true
		}
		if current != nil && asked && seen >= last {
			current()
			current = nil
			look.Stop()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			asked = false // what was the newest may have expired since
		case entry, open := <-watcher.Updates():
			switch {
			case !open && ctx.Err() != nil:
				return context.Cause(ctx) // the watcher saw it first
			case !open:
				return k.fail("watch", pattern, ErrUnavailable)
			case entry != nil:
				seen = max(seen, entry.Revision())
				visit(Entry{
					Key: entry.Key(), Value: entry.Value(), Revision: entry.Revision(), Time: entry.Created(),
					Deleted: entry.Operation() != jetstream.KeyValuePut,
				})
			}
		}
	}
}
