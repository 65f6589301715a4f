package replay

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/events"
)

// Letters selects dead letters. Zero fields select all.
type Letters struct {
	// IDs are of letters or of deliveries; a delivery may have several letters.
	IDs          []string
	Since, Until time.Time // when they were buried
	// Of are the installations, by webhook id, and the bots whose letters are
	// meant. Of a bot it is the events that it gave up.
	Of        []string
	Operation events.Operation
	Reason    string // a part of it, in whatever case
	// Key is the ordering key: the conversation, or what the platform's
	// webhooks are ordered by.
	Key string
}

// Newest yields the letters that are stored now, those that were buried last
// first. An error is the last thing that it yields.
func (l Letters) Newest(ctx context.Context, b *broker.Broker) iter.Seq2[broker.Letter, error] {
	return func(yield func(broker.Letter, error) bool) {
		for m, err := range b.Newest(ctx, broker.DeadLetters, l.messages()) {
			if err != nil {
				yield(broker.Letter{}, err)
				return
			}
			if letter := m.Letter(); l.match(letter) && !yield(letter, nil) {
				return
			}
		}
	}
}

// Follow hands over the letters that are buried from now on, until ctx ends or
// visit returns an error.
func (l Letters) Follow(ctx context.Context, b *broker.Broker, visit func(broker.Letter) error) error {
	last, err := b.LastSeq(ctx, broker.DeadLetters)
	if err != nil {
		return err
	}
	r := broker.Range{After: last, Subjects: disjoint(l.messages().Subjects)}
	return b.Follow(ctx, broker.DeadLetters, r, func(m broker.Message) error {
		if letter := m.Letter(); l.match(letter) {
			return visit(letter)
		}
		return nil
	})
}

// messages is what of the stream has to be read.
func (l Letters) messages() broker.Range {
	r := broker.Range{Since: l.since(), Until: l.Until}
	if len(l.Of) == 0 {
		r.Subjects = []string{broker.LetterSubject("", l.Operation)}
	}
	for _, of := range l.Of {
		r.Subjects = append(r.Subjects, broker.LetterSubject(of, l.Operation))
	}
	return r
}

// clockSkew is how far the clocks of NATS's servers may be apart.
const clockSkew = time.Minute

// since is from when on letters can be meant. A letter's id tells when what it
// is of was stored, which is before it was buried; a delivery's tells nothing.
func (l Letters) since() time.Time {
	var first time.Time
	for _, id := range l.IDs {
		at, ok := events.TimeOf(id)
		if !ok || !strings.HasPrefix(id, "dead_") {
			return l.Since
		}
		if at = at.Add(-clockSkew); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if first.After(l.Since) {
		return first
	}
	return l.Since
}

func (l Letters) match(letter broker.Letter) bool {
	return (len(l.IDs) == 0 || slices.Contains(l.IDs, letter.ID) || slices.Contains(l.IDs, letter.Delivery)) &&
		strings.Contains(strings.ToLower(letter.Reason), strings.ToLower(l.Reason)) &&
		(l.Key == "" || letter.Keyed(l.Key))
}

// Select returns the letters of a filter without what makes them large, in the
// order in which what they are of was stored, stream by stream. Missing are
// the ids that no letter has.
func (l Letters) Select(ctx context.Context, b *broker.Broker) (selected []broker.Letter, missing []string, err error) {
	found := map[string]bool{}
	for letter, err := range l.Newest(ctx, b) {
		if err != nil {
			return nil, nil, err
		}
		found[letter.ID], found[letter.Delivery] = true, true
		letter.Header, letter.Body, letter.Errors = nil, nil, nil
		selected = append(selected, letter)
	}
	for _, id := range l.IDs {
		if !found[id] {
			missing = append(missing, id)
		}
	}
	slices.SortFunc(selected, func(a, b broker.Letter) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Place, b.Place))
	})
	return selected, missing, nil
}

// Retry sends what a selected letter is of again, into the end of its queue,
// and removes the letter. It is repeatable: interrupted between the two and
// called again within two minutes, it sends nothing twice, and a worker
// recognises later what was sent twice. [broker.ErrLost] and
// [broker.ErrNoMessage] mean that this letter cannot be sent, whatever becomes
// of others.
func Retry(ctx context.Context, b *broker.Broker, selected broker.Letter) (broker.Receipt, error) {
	letter, err := b.Letter(ctx, selected.Place)
	if err != nil {
		return broker.Receipt{}, err
	}
	receipt, err := b.Resend(ctx, letter)
	if err != nil {
		return broker.Receipt{}, err
	}
	return receipt, b.DropLetter(ctx, letter.Place)
}

// Skippable tells whether an error of [Retry] is about its letter alone, and
// the next ones can go on.
func Skippable(err error) bool {
	return errors.Is(err, broker.ErrLost) || errors.Is(err, broker.ErrNoMessage)
}
