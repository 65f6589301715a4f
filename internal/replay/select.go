package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// Deliveries selects deliveries. Zero fields select all.
type Deliveries struct {
	// IDs are of deliveries, of their dead letters, or what a platform calls a
	// webhook. They are meant whatever else is given.
	IDs []string `json:"ids,omitempty"`
	// Since and Until are when they were stored.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Of are the installations, by webhook id.
	Of        []string         `json:"of,omitempty"`
	Operation events.Operation `json:"operation,omitempty"`
	// Key is the ordering key: the conversation, or what the platform's
	// webhooks are ordered by.
	Key string `json:"key,omitempty"`
}

// Found is a delivery as it is stored.
type Found struct {
	Message   broker.Message
	Event     event.Event
	Operation events.Operation
}

// Installation is the webhook id of the installation that it is for.
func (f Found) Installation() string { return f.Message.Lane().Installation() }

func foundIn(m broker.Message) (Found, error) {
	e, err := m.Event()
	if err != nil {
		return Found{}, err
	}
	operation, _ := events.OperationOf(e.Type())
	return Found{Message: m, Event: e, Operation: operation}, nil
}

// Oldest yields the selected deliveries in the order in which they were stored,
// from a position on. What is a copy of one that was yielded is left out: a
// webhook that came twice, a dead letter that was sent again. An error is the
// last thing that it yields.
func (d Deliveries) Oldest(ctx context.Context, b *broker.Broker, s *store.Store, from Position) iter.Seq2[Found, error] {
	if len(d.IDs) > 0 {
		return d.named(ctx, b, s, from)
	}
	return func(yield func(Found, error) bool) {
		seen := map[string]bool{}
		for m, err := range d.messages(ctx, b, from) {
			if err != nil {
				yield(Found{}, err)
				return
			}
			found, err := foundIn(m)
			if err != nil || seen[found.Event.ID()] || d.Operation != "" && d.Operation != found.Operation {
				continue // what cannot be decoded never came to a handler
			}
			seen[found.Event.ID()] = true
			if !yield(found, nil) {
				return
			}
		}
	}
}

// messages merges what the queues hold by when it was stored.
func (d Deliveries) messages(ctx context.Context, b *broker.Broker, from Position) iter.Seq2[broker.Message, error] {
	return func(yield func(broker.Message, error) bool) {
		type queue struct {
			next func() (broker.Message, error, bool)
			head broker.Message
		}
		var queues []*queue
		for _, stream := range broker.Queues {
			next, stop := iter.Pull2(b.Oldest(ctx, stream, broker.Range{
				Since: d.Since, Until: d.Until, After: from[stream], Subjects: d.subjects(stream),
			}))
			defer stop()
			queues = append(queues, &queue{next: next})
		}
		advance := func(q *queue) (more bool, err error) {
			q.head, err, more = q.next()
			return more, err
		}
		for i := 0; i < len(queues); {
			more, err := advance(queues[i])
			if err != nil {
				yield(broker.Message{}, err)
				return
			}
			if !more {
				queues = slices.Delete(queues, i, i+1)
				continue
			}
			i++
		}
		for len(queues) > 0 {
			first := slices.MinFunc(queues, func(a, b *queue) int { return a.head.Stored.Compare(b.head.Stored) })
			if !yield(first.head, nil) {
				return
			}
			more, err := advance(first)
			if err != nil {
				yield(broker.Message{}, err)
				return
			}
			if !more {
				queues = slices.DeleteFunc(queues, func(q *queue) bool { return q == first })
			}
		}
	}
}

// subjects are the lanes of a queue that are meant.
func (d Deliveries) subjects(queue broker.Stream) []string {
	prefix, key := strings.ToLower(string(queue))+".*.", "*"
	if d.Key != "" {
		key = broker.KeyToken(d.Key)
	}
	if len(d.Of) == 0 {
		return []string{prefix + "*." + key}
	}
	subjects := make([]string, len(d.Of))
	for i, of := range d.Of {
		subjects[i] = prefix + broker.Token(of) + "." + key
	}
	return subjects
}

// named yields what the ids name.
func (d Deliveries) named(ctx context.Context, b *broker.Broker, s *store.Store, from Position) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		all, missing, err := find(ctx, b, s, d.IDs)
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("no delivery %s: `towpath webhooks list` and `towpath deliveries list` show those there are", strings.Join(missing, ", "))
		}
		if err != nil {
			yield(Found{}, err)
			return
		}
		slices.SortStableFunc(all, func(a, b Found) int { return a.Message.Stored.Compare(b.Message.Stored) })
		for _, found := range all {
			if found.Message.Seq > from[found.Message.Stream] && !yield(found, nil) {
				return
			}
		}
	}
}

// find looks ids up where they are remembered, and reads the queues back only
// for those that are not.
func find(ctx context.Context, b *broker.Broker, s *store.Store, ids []string) (all []Found, missing []string, err error) {
	installed, err := s.Installations(ctx)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{} // by what a message may call itself, what was asked for
	for _, id := range ids {
		candidates := []string{id}
		for _, i := range installed {
			candidates = append(candidates, events.DeliveryID(i.WebhookID, id))
		}
		found, err := remembered(ctx, b, s, candidates)
		if err != nil {
			return nil, nil, err
		}
		if len(found) > 0 {
			all = append(all, found...)
			continue
		}
		for _, candidate := range candidates {
			names[candidate] = id
		}
	}
	read, err := readBack(ctx, b, names)
	all = append(all, read...)
	for _, id := range ids {
		if names[id] == id {
			missing = append(missing, id)
		}
	}
	return all, missing, err
}

// remembered returns the deliveries of which it is known where they are.
func remembered(ctx context.Context, b *broker.Broker, s *store.Store, ids []string) (all []Found, err error) {
	for _, id := range ids {
		known, err := s.Delivery(ctx, id)
		if err != nil {
			return nil, err
		}
		if known.Seq == 0 {
			continue
		}
		m, err := b.Get(ctx, known.Stream, known.Seq)
		if errors.Is(err, broker.ErrNoMessage) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found, err := foundIn(m); err == nil {
			all = append(all, found)
		}
	}
	return all, nil
}

// readBack finds deliveries by reading, the newest first, and takes what it
// found out of names.
func readBack(ctx context.Context, b *broker.Broker, names map[string]string) (all []Found, err error) {
	took := func(name string) {
		id := names[name]
		for candidate, of := range names {
			if of == id {
				delete(names, candidate)
			}
		}
	}
	for _, queue := range broker.Queues {
		for m, err := range b.Newest(ctx, queue, broker.Range{}) {
			if len(names) == 0 {
				return all, nil
			}
			if err != nil {
				return nil, err
			}
			found, err := foundIn(m)
			if err == nil && names[found.Event.ID()] != "" {
				took(found.Event.ID())
				all = append(all, found)
			}
		}
	}
	return all, lettersOf(ctx, b, names, took, &all)
}

// lettersOf finds the dead letters among the names. A letter holds what the
// queue may have lost.
func lettersOf(ctx context.Context, b *broker.Broker, names map[string]string, took func(string), all *[]Found) error {
	if len(names) == 0 {
		return nil
	}
	for letter, err := range (Letters{}).Newest(ctx, b) {
		if err != nil {
			return err
		}
		name := letter.ID
		if names[name] == "" {
			name = letter.Delivery
		}
		if names[name] == "" || letter.Stream == broker.Events {
			continue
		}
		found, err := OfLetter(ctx, b, letter)
		if errors.Is(err, broker.ErrLost) || errors.Is(err, events.ErrNotCloudEvent) {
			continue
		}
		if err != nil {
			return err
		}
		took(name)
		*all = append(*all, found)
	}
	return nil
}

// OfLetter returns what a dead letter is of.
func OfLetter(ctx context.Context, b *broker.Broker, letter broker.Letter) (Found, error) {
	letter, err := b.Whole(ctx, letter)
	if err != nil {
		return Found{}, err
	}
	return foundIn(broker.Message{
		Stream: letter.Stream, Subject: letter.Subject, Seq: letter.Seq, Stored: letter.Stored,
		Header: letter.Header, Data: letter.Body,
	})
}
