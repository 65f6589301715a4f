package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Thread is everything that followed from one thing.
type Thread struct {
	Trace string    `json:"trace"`
	Began time.Time `json:"began"`
	// MS is how long it took until the last thing that is known of it.
	MS    float64  `json:"ms"`
	Tree  []*Node  `json:"tree"`
	Notes []string `json:"notes,omitempty"` // what is not known, and why
}

// TraceOptions bound what is read for a trace. Zero fields mean the defaults.
type TraceOptions struct {
	// Within is how long after the last part that is known of a thread others
	// are looked for; 5 min.
	Within time.Duration
	// Limit is how many threads of a conversation are told of; 5.
	Limit int
}

// Trace finds the threads that an id means: the newest ones of a conversation,
// else the one that what is called so belongs to. The error is [ErrNotKept]
// when nothing is.
func (r *Reader) Trace(ctx context.Context, id string, o TraceOptions) ([]*Thread, error) {
	if o.Within <= 0 {
		o.Within = 5 * time.Minute
	}
	if o.Limit <= 0 {
		o.Limit = 5
	}
	seeds, err := r.seeds(ctx, id, o.Limit)
	if err != nil {
		return nil, err
	}
	var threads []*Thread
	for _, seed := range seeds {
		root, note, err := r.root(ctx, seed)
		if err != nil {
			return nil, err
		}
		g := &gathered{Reader: r, within: o.Within, known: map[string]bool{}}
		if g.root, err = g.first(ctx, root); err != nil {
			return nil, err
		}
		if note != "" {
			g.notes = append(g.notes, note)
		}
		if err := g.gather(ctx); err != nil {
			return nil, err
		}
		threads = append(threads, g.thread())
	}
	return threads, nil
}

// gathered are the parts of a thread.
type gathered struct {
	*Reader
	root   Entry
	within time.Duration

	work   []job
	told   []told
	last   time.Time // when the last known part was
	notes  []string
	known  map[string]bool // the messages, by stream and sequence
	missed bool            // some attempts' recordings
}

// job is a delivery of the thread.
type job struct {
	Work
	attempts []dispatch.Recording
	letters  []broker.Letter
	message  *client.Message // that it sends
}

// told is something that a bot was told.
type told struct {
	Entry
	letters []broker.Letter
	status  *client.Event
}

func (g *gathered) bot() string {
	if bot, ok := strings.CutPrefix(g.root.Event.Source(), "/bots/"); ok {
		return bot
	}
	return g.Installation(g.root.Webhook()).BotID
}

// first takes what began the thread. A dead letter that was sent again began it
// long before, and its id tells when.
func (g *gathered) first(ctx context.Context, root Entry) (Entry, error) {
	if err := g.take(ctx, root); err != nil {
		return root, err
	}
	if at, ok := events.TimeOf(events.Extension(root.Event, broker.RetryOf)); ok {
		before := Selection{IDs: []string{root.Event.ID()}, Since: at.Add(-clockSkew), Until: at.Add(clockSkew)}
		for entry, err := range before.Newest(ctx, g.Broker, root.Stream) {
			if err != nil {
				return root, err
			}
			if entry.Seq < root.Seq {
				return entry, g.take(ctx, entry)
			}
		}
	}
	return root, nil
}

// gather reads the streams from the beginning of the thread until some time
// after the last that is known of it.
func (g *gathered) gather(ctx context.Context) error {
	of := Parties(g.Installed, g.bot(), "", "")
	for since := g.root.Stored.Add(-clockSkew); ; {
		until := g.last.Add(g.within)
		if !until.After(since) {
			break
		}
		reading := Selection{Since: since, Until: until, Of: of, trace: g.root.TraceID()}
		// The platform may have sent it again, or somebody replayed it.
		copies := Selection{Since: since, Until: until, trace: reading.trace, Of: []Party{{Webhook: g.root.Webhook()}}}
		if g.root.Event.Subject() != "" {
			copies.Keys = []string{g.root.Event.Subject()}
		}
		parts := reading.Newest(ctx, g.Broker, broker.Commands, broker.Events)
		if g.root.Stream == broker.Webhooks {
			parts = newestOf(parts, copies.Newest(ctx, g.Broker, broker.Webhooks))
		}
		for entry, err := range parts {
			if err == nil {
				err = g.take(ctx, entry)
			}
			if err != nil {
				return err
			}
		}
		since = until
	}
	if until := g.last.Add(g.within); until.Before(g.Broker.Now()) {
		g.notes = append(g.notes, fmt.Sprintf("what is not named here and was stored after %s was not looked for; a longer --within looks further",
			until.UTC().Format(time.RFC3339)))
	}
	if g.missed {
		g.notes = append(g.notes, "of some attempts it is not known what they did: that is kept for 7 days, or for less when there is very much")
	}
	return nil
}

// take adds a message to the thread, with all that is known of it.
func (g *gathered) take(ctx context.Context, e Entry) error {
	place := fmt.Sprint(e.Stream, e.Seq)
	if g.known[place] {
		return nil
	}
	g.known[place] = true
	g.happened(e.Stored)
	if e.Stream == broker.Events {
		return g.takeTold(ctx, e)
	}
	work, err := g.WorkOf(ctx, e)
	if err != nil {
		return err
	}
	j := job{Work: work}
	if work.State != Duplicate && work.State != SentAgain {
		if j.attempts, err = g.attempts(ctx, e); err != nil {
			return err
		}
	}
	if j.letters, err = g.letters(ctx, e.Webhook(), e); err != nil {
		return err
	}
	if e.Operation == events.MessageCreated {
		found, err := client.New(g.Store, client.Caller{BotID: strings.TrimPrefix(e.Event.Source(), "/bots/")}).GetMessage(ctx, e.Event.ID())
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if err == nil {
			j.message = &found.Message
		}
	}
	g.happened(work.Record.At)
	g.happened(work.Record.NotBefore)
	g.missed = g.missed || len(j.attempts) < work.Record.Attempts-len(work.Record.Errors)
	g.work = append(g.work, j)
	return nil
}

func (g *gathered) takeTold(ctx context.Context, e Entry) error {
	bot := strings.TrimPrefix(e.Event.Source(), "/bots/")
	t := told{Entry: e}
	var err error
	if t.letters, err = g.letters(ctx, bot, e); err != nil {
		return err
	}
	if t.status, err = g.Told(ctx, e); err != nil {
		return err
	}
	g.told = append(g.told, t)
	return nil
}

// Told is an event as it is now, with what its bot did with it; nil when it is
// kept no longer.
func (r *Reader) Told(ctx context.Context, e Entry) (*client.Event, error) {
	id := e.Event.ID()
	if rest, ok := strings.CutPrefix(id, "msg_"); ok { // on the wire it goes by the message's id
		id = "evt_" + rest
	}
	found, err := client.New(r.Store, client.Caller{BotID: strings.TrimPrefix(e.Event.Source(), "/bots/")}).GetEvent(ctx, id)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &found.Event, nil
}

// happened moves on how far the thread is known. What is yet to come is not
// looked for.
func (g *gathered) happened(at time.Time) {
	if at.After(g.last) && at.Before(g.Broker.Now()) {
		g.last = at
	}
}

// attempts are the recordings of a delivery, in their order.
func (g *gathered) attempts(ctx context.Context, e Entry) (all []dispatch.Recording, err error) {
	r := broker.Range{Subjects: []string{broker.RecordingSubject(g.Installation(e.Webhook()).WebhookID, e.Event.ID())}}
	for m, err := range g.Broker.Newest(ctx, broker.Recordings, r) {
		if err != nil {
			return nil, err
		}
		var one dispatch.Recording
		if json.Unmarshal(m.Data, &one) == nil {
			g.happened(one.Began.Add(one.Took))
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b dispatch.Recording) int { return a.Began.Compare(b.Began) })
	return all, nil
}

// letters are the dead letters that a message was buried in.
func (g *gathered) letters(ctx context.Context, of string, e Entry) (all []broker.Letter, err error) {
	selected := Letters{IDs: []string{e.Event.ID()}, Since: e.Stored.Add(-clockSkew), Of: []string{of}}
	for letter, err := range selected.Newest(ctx, g.Broker) {
		if err != nil {
			return nil, err
		}
		if letter.Stream == e.Stream && letter.Seq == e.Seq {
			g.happened(letter.Buried)
			all = append(all, letter)
		}
	}
	slices.Reverse(all)
	return all, nil
}
