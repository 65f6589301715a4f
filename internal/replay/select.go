package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// Deliveries selects deliveries. Zero fields select all.
type Deliveries struct {
	// IDs are of deliveries, of their dead letters, of what they told a bot, or
	// what a platform calls a webhook. They are meant whatever else is given.
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

// Oldest yields the selected deliveries in the order in which they were stored,
// from a position on. What is a copy of one that was yielded is left out: a
// webhook that came twice, a dead letter that was sent again. An error is the
// last thing that it yields.
func (d Deliveries) Oldest(ctx context.Context, b *broker.Broker, s *store.Store, from Position) iter.Seq2[Entry, error] {
	if len(d.IDs) > 0 {
		return d.named(ctx, b, s, from)
	}
	return func(yield func(Entry, error) bool) {
		seen := map[string]bool{}
		for m, err := range d.messages(ctx, b, from) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			found := entryOf(m)
			if found.Event.ID() == "" || seen[found.Event.ID()] || d.Operation != "" && d.Operation != found.Operation {
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
func (d Deliveries) named(ctx context.Context, b *broker.Broker, s *store.Store, from Position) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		reader, err := NewReader(ctx, b, s)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		var all []Entry
		seen := map[string]bool{}
		for _, id := range d.IDs {
			found, err := reader.delivery(ctx, id)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !seen[found.Event.ID()] {
				seen[found.Event.ID()] = true
				all = append(all, found)
			}
		}
		slices.SortStableFunc(all, func(a, b Entry) int { return a.Stored.Compare(b.Stored) })
		for _, found := range all {
			if found.Seq > from[found.Stream] && !yield(found, nil) {
				return
			}
		}
	}
}

// delivery finds what an id means in the queues, or in its dead letter, which
// holds what a queue may have lost. What a bot was told of leads to the
// delivery that it follows from.
func (r *Reader) delivery(ctx context.Context, id string) (Entry, error) {
	found, err := r.Lookup(ctx, id, passages...)
	if err == nil && found.Stream == broker.Events {
		if cause := found.Cause(); cause != "" && cause != id {
			return r.delivery(ctx, cause)
		}
		err = fmt.Errorf("%s follows from no delivery: %w", id, ErrNotKept)
	}
	if !errors.Is(err, ErrNotKept) {
		return found, err
	}
	for letter, failed := range (Letters{IDs: []string{id}}).Newest(ctx, r.Broker) {
		if failed != nil {
			return Entry{}, failed
		}
		if letter.Stream == broker.Events {
			continue
		}
		letter, failed = r.Broker.Whole(ctx, letter)
		if failed != nil {
			return Entry{}, failed
		}
		return entryOf(broker.Message{
			Stream: letter.Stream, Subject: letter.Subject, Seq: letter.Seq, Stored: letter.Stored,
			Header: letter.Header, Data: letter.Body,
		}), nil
	}
	return Entry{}, err
}
