package replay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Step names what happened to a webhook or to what followed from it.
type Step string

// The steps, in their usual order.
const (
	Stored         Step = "stored"          // the webhook is in its stream
	MessageCreated Step = "message created" // the handler told the bot of a message
	EventFired     Step = "event fired"     // the handler told the bot of an event
	Handled        Step = "handled"         // the handler is done
	DeadLettered   Step = "dead letter"     // the delivery was given up
	BotAnswered    Step = "bot answered"    // the bot's message is in its stream
	Sending        Step = "sending"         // a worker is about to call the platform
	Sent           Step = "sent"            // the platform took it
	Acked          Step = "acked"           // the ack is stored
	SendFailed     Step = "failed"          // the message was given up
)

// Happening is one step.
type Happening struct {
	Step   Step
	At     time.Time
	ID     string // of the delivery, message or event
	Detail map[string]any
}

// Position is how far the streams were before something began.
type Position map[broker.Stream]uint64

// Now returns the position of the streams.
func Now(ctx context.Context, b *broker.Broker) (Position, error) {
	position := Position{}
	for _, stream := range []broker.Stream{broker.Webhooks, broker.Commands, broker.Events} {
		seq, err := b.LastSeq(ctx, stream)
		if err != nil {
			return nil, err
		}
		position[stream] = seq
	}
	return position, nil
}

// Watch reports what follows from one delivery, as it happens, until ctx ends.
// No step comes before the one that caused it; each carries its own time.
type Watch struct {
	Broker   *broker.Broker
	Store    *store.Store
	Bot      string
	Webhook  string // the installation's webhook id
	Delivery string
	Since    Position

	tasks            sync.WaitGroup
	report           chan Happening
	faults           chan error
	webhooks, events followed
}

// followed is what of a stream is read, and how far.
type followed struct {
	stream  broker.Stream
	subject string
	read    atomic.Uint64
}

// Run calls visit for each step until visit returns true or ctx ends, whose
// cause it then returns.
func (w *Watch) Run(ctx context.Context, visit func(Happening) (enough bool)) error {
	ctx, stop := context.WithCancel(ctx)
	w.report = make(chan Happening)
	w.faults = make(chan error, 4)
	follow := func(stream broker.Stream, subject string, visit func(context.Context, broker.Message) error) {
		w.tasks.Go(func() {
			w.faults <- w.Broker.Follow(ctx, stream, broker.Range{After: w.Since[stream], Subjects: []string{subject}}, func(m broker.Message) error {
				return visit(ctx, m)
			})
		})
	}
	w.webhooks.begin(broker.Webhooks, "webhooks.*."+broker.Token(w.Webhook)+".*", w.Since)
	w.events.begin(broker.Events, "events."+broker.Token(w.Bot)+".>", w.Since)
	follow(w.webhooks.stream, w.webhooks.subject, w.webhook)
	follow(w.events.stream, w.events.subject, w.event)
	follow(broker.Commands, "commands.*."+broker.Token(w.Webhook)+".*", w.command)
	w.tasks.Go(func() { w.faults <- w.Store.WatchEnd(ctx, w.Delivery, func(h store.Delivery) { w.handled(ctx, h) }) })
	defer w.tasks.Wait()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-w.faults:
			if err != nil && ctx.Err() == nil {
				return err
			}
		case happening := <-w.report:
			if visit(happening) {
				return nil
			}
		}
	}
}

func (w *Watch) say(ctx context.Context, h Happening) {
	select {
	case <-ctx.Done():
	case w.report <- h:
	}
}

func (f *followed) begin(stream broker.Stream, subject string, since Position) {
	f.stream, f.subject = stream, subject
	f.read.Store(since[stream])
}

// told waits until everything that a stream holds now was read and told. The
// streams are read side by side, and what follows from a message may be seen
// before the message is.
func (w *Watch) told(ctx context.Context, f *followed) {
	last, err := w.Broker.LastSeq(ctx, f.stream)
	if err != nil {
		return // the order suffers, the steps come all the same
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.read.Load() < last {
		next, err := w.Broker.Next(ctx, f.stream, f.subject, f.read.Load())
		if errors.Is(err, broker.ErrNoMessage) || err == nil && next.Seq > last {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *Watch) webhook(ctx context.Context, m broker.Message) error {
	defer w.webhooks.read.Store(m.Seq)
	e, err := m.Event()
	if err == nil && e.ID() == w.Delivery {
		w.say(ctx, Happening{Stored, m.Stored, e.ID(), map[string]any{"stream": m.Stream, "seq": m.Seq}})
	}
	return nil
}

func (w *Watch) handled(ctx context.Context, h store.Delivery) {
	w.told(ctx, &w.webhooks)
	w.told(ctx, &w.events)
	step := Handled
	if h.Outcome == store.DeadLettered {
		step = DeadLettered
	}
	detail := map[string]any{"worker": h.Worker, "attempts": h.Attempts}
	if h.Answer != nil {
		detail["answer"] = h.Answer.Status
	}
	w.say(ctx, Happening{step, h.At, w.Delivery, detail})
}

// following decodes a message, and reports whether it follows from the
// delivery. What cannot be decoded follows from nothing.
func (w *Watch) following(m broker.Message) (event.Event, bool) {
	e, err := m.Event()
	return e, err == nil && events.TraceID(events.TraceParentOf(e)) == events.TraceID(events.TraceParent(w.Delivery, 0))
}

func (w *Watch) event(ctx context.Context, m broker.Message) error {
	defer w.events.read.Store(m.Seq)
	e, ok := w.following(m)
	if !ok {
		return nil
	}
	w.told(ctx, &w.webhooks)
	step := EventFired
	if e.Type() == string(events.MessageCreated) {
		step = MessageCreated
	}
	w.say(ctx, Happening{step, m.Stored, e.ID(), map[string]any{"type": e.Type(), "seq": m.Seq}})
	return nil
}

func (w *Watch) command(ctx context.Context, m broker.Message) error {
	e, ok := w.following(m)
	if !ok || e.Type() != events.MessageCreated.CloudEventType() {
		return nil
	}
	w.told(ctx, &w.events)
	w.say(ctx, Happening{BotAnswered, m.Stored, e.ID(), map[string]any{"seq": m.Seq}})
	w.tasks.Go(func() { w.message(ctx, e.ID()) })
	return nil
}

// message reports how far an outgoing message gets.
func (w *Watch) message(ctx context.Context, id string) {
	said := map[Step]bool{}
	once := func(step Step, at time.Time, detail map[string]any) {
		if !said[step] {
			said[step] = true
			w.say(ctx, Happening{step, at, id, detail})
		}
	}
	err := w.Store.WatchMessage(ctx, w.Bot, id, func(m client.Message) bool {
		if m.Status == client.Sending {
			once(Sending, m.UpdatedAt, nil)
		}
		if m.SentAt != nil {
			// The record holds the newest status alone. One that was missed
			// began before this.
			once(Sending, *m.SentAt, map[string]any{"late": true})
			once(Sent, *m.SentAt, map[string]any{"ambiguous": m.Ambiguous})
		}
		if m.AckedAt != nil {
			once(Acked, *m.AckedAt, map[string]any{"tags": m.Tags})
		}
		if m.Status == client.Failed {
			once(SendFailed, m.UpdatedAt, nil)
		}
		return m.AckedAt != nil || m.Status == client.Failed
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		select {
		case <-ctx.Done():
		case w.faults <- err:
		}
	}
}
