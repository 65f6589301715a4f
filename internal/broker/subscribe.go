package broker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Subscription is one bot's durable reading of its events.
type Subscription struct {
	Bot  string
	Name string // two subscriptions of different names each see everything
	// Types are the ce-types that are handed over, "slack:reactionAdded" or
	// "message_created"; all when empty.
	Types []string
}

// subscriptionWindow bounds how many events are at work at once.
const subscriptionWindow = 256

// Subscribe hands a bot its events from where it was before, until ctx ends.
// Events with the same ce-subject, the conversation, come in order and one at
// a time; others in parallel. An event comes again until handle returns nil,
// and may come again after a crash: handle gives what it does the event's id
// as identity.
func (b *Broker) Subscribe(ctx context.Context, s Subscription, handle func(context.Context, Message) error) error {
	cursors, err := b.Bucket(ctx, Cursors)
	if err != nil {
		return err
	}
	r := &reader{
		broker: b, key: Key("bot", s.Bot, s.Name), cursors: cursors, handle: handle,
		window: make(chan struct{}, subscriptionWindow), lanes: map[string][]Message{},
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

// reader is a subscription at work.
type reader struct {
	broker  *Broker
	key     string
	cursors *Bucket
	handle  func(context.Context, Message) error
	window  chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex
	lanes     map[string][]Message // waiting, by ce-subject; present while served
	flying    []flight             // in the order of the stream
	watermark uint64               // everything up to here is handled
	committed uint64
	revision  uint64
}

type flight struct {
	seq  uint64
	done bool
}

// take puts an event into its lane, and waits while too many are at work.
func (r *reader) take(ctx context.Context, m Message) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case r.window <- struct{}{}:
	}
	lane := m.Subject
	if e, err := m.Event(); err == nil && e.Subject() != "" {
		lane = e.Subject()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying = append(r.flying, flight{seq: m.Seq})
	waiting, served := r.lanes[lane]
	r.lanes[lane] = append(waiting, m)
	if !served {
		r.running.Go(func() { r.serve(ctx, lane) })
	}
	return nil
}

func (r *reader) serve(ctx context.Context, lane string) {
	for {
		r.mu.Lock()
		if len(r.lanes[lane]) == 0 {
			delete(r.lanes, lane)
			r.mu.Unlock()
			return
		}
		m := r.lanes[lane][0]
		r.lanes[lane] = r.lanes[lane][1:]
		r.mu.Unlock()
		level := logrus.WarnLevel // for the first failure; the others say nothing new
		for delay := commitEvery; ; delay = min(2*delay, 10*time.Second) {
			err := r.handle(ctx, m)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			r.broker.logger.WithError(err).WithField("seq", m.Seq).Log(level, "the bot failed at an event, it comes again")
			level = logrus.DebugLevel
			pause(ctx, delay)
		}
		r.land(m.Seq)
	}
}

// land marks an event as handled and raises the watermark over all that are.
func (r *reader) land(seq uint64) {
	<-r.window
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.flying {
		if r.flying[i].seq == seq {
			r.flying[i].done = true
			break
		}
	}
	for len(r.flying) > 0 && r.flying[0].done {
		r.watermark = max(r.watermark, r.flying[0].seq)
		r.flying = r.flying[1:]
	}
}
