package replay

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/events"
)

// ErrNotKept means that no stream holds what was asked for, any more or at all.
var ErrNotKept = errors.New("not kept")

// Named refuses ids that are empty, as a script's are whose variable is not set:
// they mean nothing, and must not come to mean anything.
func Named(ids ...string) error {
	for _, id := range ids {
		if strings.TrimSpace(id) == "" {
			return errors.New("an id is empty: say which one is meant, or leave it out")
		}
	}
	return nil
}

// passages are the streams that a thread goes through, with those first that
// ids of a platform lead to.
var passages = []broker.Stream{broker.Webhooks, broker.Commands, broker.Events}

// Lookup finds the message that an id means in one of the streams: its own id,
// that of a dead letter, or what the platform calls a webhook. [ErrNotKept]
// tells how far back the streams go.
func (r *Reader) Lookup(ctx context.Context, id string, streams ...broker.Stream) (Entry, error) {
	if err := Named(id); err != nil {
		return Entry{}, err
	}
	names, err := r.names(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	for _, name := range names {
		entry, err := r.recorded(ctx, name, streams)
		if !errors.Is(err, ErrNotKept) {
			return entry, err
		}
	}
	for _, within := range around(id) {
		within.IDs = names
		for entry, err := range within.Newest(ctx, r.Broker, streams...) {
			return entry, err
		}
	}
	return Entry{}, r.notKept(ctx, id, streams)
}

// names are under which what an id means may be stored.
func (r *Reader) names(ctx context.Context, id string) ([]string, error) {
	names := []string{id}
	if rest, ok := strings.CutPrefix(id, "evt_"); ok {
		names = append(names, "msg_"+rest) // the event that tells a bot of a message
	}
	if strings.HasPrefix(id, "dead_") {
		for letter, err := range (Letters{IDs: []string{id}}).Newest(ctx, r.Broker) {
			return append(names, letter.Delivery), err
		}
	}
	for _, i := range r.Installed {
		names = append(names, events.DeliveryID(i.WebhookID, id))
	}
	return names, nil
}

// recorded finds a delivery where its record says it is.
func (r *Reader) recorded(ctx context.Context, id string, streams []broker.Stream) (Entry, error) {
	record, err := r.Store.Delivery(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	for _, stream := range streams {
		if record.Seq == 0 || record.Stream != stream {
			continue
		}
		message, err := r.Broker.Get(ctx, stream, record.Seq)
		if !errors.Is(err, broker.ErrNoMessage) {
			return entryOf(message), err
		}
	}
	return Entry{}, ErrNotKept
}

// soon is within which most of what was begun is stored.
const soon = 10 * time.Minute

// around are where to look for an id, one after the other. Many tell when they
// were made, which is before they were stored.
func around(id string) []Selection {
	at, ok := events.TimeOf(id)
	if !ok {
		return []Selection{{}}
	}
	return []Selection{{Since: at.Add(-clockSkew), Until: at.Add(soon)}, {Since: at.Add(soon)}}
}

// notKept tells how far back what was looked through goes.
func (r *Reader) notKept(ctx context.Context, id string, streams []broker.Stream) error {
	var kept []string
	for _, stream := range streams {
		first, err := r.Broker.Next(ctx, stream, ">", 0)
		switch {
		case errors.Is(err, broker.ErrNoMessage):
			kept = append(kept, fmt.Sprintf("%s is empty", stream))
		case err != nil:
			return err
		default:
			kept = append(kept, fmt.Sprintf("%s goes back to %s", stream, first.Stored.UTC().Format(time.RFC3339)))
		}
	}
	from := ""
	if at, ok := events.TimeOf(id); ok {
		from = fmt.Sprintf(", from %s,", at.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("nothing that is called %s%s is stored: %w: %s", id, from, ErrNotKept, strings.Join(kept, ", "))
}

var traceForm = regexp.MustCompile(`^(?:[0-9a-f]{2}-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?$`)

// seeds finds a message of each thread that an id means: of the newest ones of
// a conversation, else of one.
func (r *Reader) seeds(ctx context.Context, id string, limit int) (seeds []Entry, err error) {
	about := Selection{}
	switch trace := traceForm.FindStringSubmatch(id); {
	case trace != nil:
		about.trace, limit = trace[1], 1
	case strings.HasPrefix(id, "conv_"):
		about.Keys = []string{id}
	default:
		seed, err := r.Lookup(ctx, id, passages...)
		return []Entry{seed}, err
	}
	known := map[string]bool{}
	for entry, err := range about.Newest(ctx, r.Broker, passages...) {
		if err != nil {
			return nil, err
		}
		if !known[entry.TraceID()] {
			known[entry.TraceID()] = true
			seeds = append(seeds, entry)
		}
		if len(seeds) == limit {
			break
		}
	}
	if len(seeds) == 0 {
		return nil, r.notKept(ctx, id, passages)
	}
	return seeds, nil
}

// farthest bounds how long before a bot's answer the event is looked for that
// it follows from, where the bot did not name it.
const farthest = 24 * time.Hour

// root goes from a message of a thread to the one that began it. The note says
// why it got no further, where it did not.
func (r *Reader) root(ctx context.Context, from Entry) (root Entry, note string, err error) {
	for passed := map[string]bool{}; ; {
		passed[from.Event.ID()] = true
		cause := from.Cause()
		begins := from.Operation == events.WebhookReceived ||
			from.TraceID() == events.TraceID(events.TraceParent(from.Event.ID(), 0))
		if begins || cause != "" && passed[cause] {
			return from, "", nil
		}
		var before Entry
		if cause != "" {
			before, err = r.Lookup(ctx, cause, passages...)
			if errors.Is(err, ErrNotKept) {
				return from, "what it follows from is gone: " + err.Error(), nil
			}
		} else {
			before, err = r.told(ctx, from)
			if errors.Is(err, ErrNotKept) {
				return from, fmt.Sprintf("what it follows from is not found in the %s before", farthest), nil
			}
		}
		if err != nil || passed[before.Event.ID()] {
			return from, "", err
		}
		from = before
	}
}

// told finds what a bot was told before it did something.
func (r *Reader) told(ctx context.Context, answer Entry) (Entry, error) {
	before := Selection{Since: answer.Stored.Add(-farthest), Until: answer.Stored.Add(time.Millisecond), trace: answer.TraceID()}
	for entry, err := range before.Newest(ctx, r.Broker, broker.Events) {
		if err != nil || entry.Event.ID() != answer.Event.ID() {
			return entry, err
		}
	}
	return Entry{}, ErrNotKept
}

// Keys are the ordering keys that a conversation, or an ordering key, means. A
// conversation is no platform's word: its webhooks are ordered by whatever the
// one was that its newest event follows from.
func (r *Reader) Keys(ctx context.Context, conversation string) ([]string, error) {
	if !strings.HasPrefix(conversation, "conv_") {
		return slices.DeleteFunc([]string{conversation}, func(key string) bool { return key == "" }), nil
	}
	keys := []string{conversation}
	for entry, err := range (Selection{Keys: keys}).Newest(ctx, r.Broker, broker.Events) {
		if err != nil {
			return nil, err
		}
		webhook, err := r.recorded(ctx, entry.Cause(), []broker.Stream{broker.Webhooks})
		if err != nil && !errors.Is(err, ErrNotKept) {
			return nil, err
		}
		if key := webhook.Event.Subject(); err == nil && key != "" {
			keys = append(keys, key)
		}
		break
	}
	return keys, nil
}
