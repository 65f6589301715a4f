package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Subscription is one bot's durable reading of its events.
type Subscription struct {
	Bot  string
	Name string // two subscriptions of different names each see everything
	// Types are the ce-types that are handed over, "slack:reactionAdded" or
	// "message_created"; all when empty.
	Types []string
	// Attempts is how often an event is handed over before it is given up as a
	// dead letter; 10 when zero, which takes about eight minutes.
	Attempts int
}

// Subscribe hands a bot its events from where it was before, until ctx ends.
// Events with the same ce-subject, the conversation, come in order and one at
// a time; others in parallel. An event comes again until handle returns nil or
// the subscription's attempts are used up, when it becomes a dead letter, and
// the conversation goes on. What fails while NATS is away is no attempt. An
// event may come again after a crash: handle gives what it does the event's id
// as identity.
func (b *Broker) Subscribe(ctx context.Context, s Subscription, handle func(context.Context, Message) error) error {
	cursors, err := b.Bucket(ctx, Cursors)
	if err != nil {
		return err
	}
	r := &reader{
		broker: b, bot: s.Bot, key: Key("bot", s.Bot, s.Name), cursors: cursors, handle: handle,
		attempts: cmp.Or(s.Attempts, defaultAttempts),
		window:   make(chan struct{}, subscriptionWindow), moved: make(chan struct{}, 1), lanes: map[string][]uint64{},
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	// The lanes also end when the stream can be followed no longer.
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var committing sync.WaitGroup
	stopped := make(chan struct{})
	committing.Go(func() { r.commit(ctx, stopped) })
	err = b.Follow(ctx, Events, Range{After: r.committed, Subjects: s.subjects()}, func(m Message) error {
		return r.take(serving, m)
	})
	stop()
	r.running.Wait()
	close(stopped)
	committing.Wait()
	return err
}

// subjects are those of the types, so that NATS leaves out all others. The
// subject of an event ends in its type without the alias, which stands before
// it; that of a message is under whatever alias. A subject that another one
// holds is left out, since NATS takes none that overlap.
func (s Subscription) subjects() []string {
	bot := Events.prefix() + "." + Key(s.Bot)
	if len(s.Types) == 0 {
		return []string{bot + ".>"}
	}
	var subjects []string
	for _, typ := range s.Types {
		subject := bot + ".*." + Token(typ)
		if alias, name, ok := strings.Cut(typ, ":"); ok {
			if !strings.Contains(name, ":") && slices.Contains(s.Types, name) {
				continue
			}
			subject = bot + "." + Key(alias, name)
		}
		if !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// commitEvery is how often a subscription writes down how far it is.
const commitEvery = 100 * time.Millisecond

// load reads how far the subscription was.
func (r *reader) load(ctx context.Context) error {
	entry, err := r.cursors.Get(ctx, r.key)
	if errors.Is(err, ErrNoKey) {
		r.revision = 0
		return nil
	}
	if err != nil {
		return err
	}
	stored, err := strconv.ParseUint(string(entry.Value), 10, 64)
	if err != nil {
		return fmt.Errorf("cursor %s: %w", r.key, err)
	}
	r.committed, r.revision = stored, entry.Revision
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watermark = max(r.watermark, stored)
	return nil
}

// commit writes the watermark down from time to time, and at the end.
func (r *reader) commit(ctx context.Context, stopped <-chan struct{}) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-stopped:
			running = false
		case <-tick.C:
		}
		if err := r.save(context.WithoutCancel(ctx)); err != nil {
			r.broker.logger.WithError(err).Debug("subscription cannot write down how far it is")
		}
	}
}

// save writes the watermark down, unless the cursor is as far already. The
// cursor is not what this reader believed when an ack of its own was lost, or
// when somebody else reads under the same name: it never goes back.
func (r *reader) save(ctx context.Context) error {
	for {
		r.mu.Lock()
		watermark := r.watermark
		r.mu.Unlock()
		if watermark <= r.committed {
			return nil
		}
		value := []byte(strconv.FormatUint(watermark, 10))
		var revision uint64
		var err error
		if r.revision == 0 {
			revision, err = r.cursors.Create(ctx, r.key, value)
		} else {
			revision, err = r.cursors.Update(ctx, r.key, value, r.revision)
		}
		if err == nil {
			r.committed, r.revision = watermark, revision
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := r.load(ctx); err != nil {
			return err
		}
	}
}
