package broker

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
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
