package broker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/pkg/events"
)

const (
	// subscriptionWindow bounds how many events a bot works on at once. A lane
	// that waits for its next attempt works on none, so that lanes which are
	// stuck do not keep others from their turn.
	subscriptionWindow = 256
	// maxFlying bounds how many events are read past the oldest that is not
	// handled. They are what comes again after a crash.
	maxFlying = 1 << 14

	defaultAttempts = 10
	firstPause      = 100 * time.Millisecond
	longestPause    = 2 * time.Minute
	awayPause       = 2 * time.Second // while NATS is away
)

// reader is a subscription at work.
type reader struct {
	broker   *Broker
	bot      string
	key      string
	cursors  *Bucket
	handle   func(context.Context, Message) error
	attempts int
	window   chan struct{}
	moved    chan struct{} // that the watermark did
	running  sync.WaitGroup

	mu        sync.Mutex
	lanes     map[string][]uint64 // what waits, by ce-subject; present while served
	flying    []flight            // in the order of the stream
	watermark uint64              // everything up to here is handled

	committed uint64 // of the cursor, as is its revision
	revision  uint64
}

type flight struct {
	seq  uint64
	done bool
}

// take puts an event into its lane, and waits while too many are at work. An
// event that has to wait is only noted, and read again when its turn comes:
// what is behind one that fails costs next to nothing.
func (r *reader) take(ctx context.Context, m Message) error {
	lane := m.Subject
	e, err := m.Event()
	if err == nil && e.Subject() != "" {
		lane = e.Subject()
	}
	for !r.fly(m.Seq) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.moved:
		}
	}
	if err == nil && !r.meant(e) {
		r.land(m.Seq)
		return nil
	}
	if r.queue(lane, m.Seq) {
		return nil
	}
	if !r.enter(ctx) {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	r.lanes[lane] = nil
	r.mu.Unlock()
	r.running.Go(func() { r.serve(ctx, lane, m) })
	return nil
}

// meant tells whether an event is for this subscription. One that comes again
// because another subscription gave it up was seen here before.
func (r *reader) meant(e event.Event) bool {
	only := events.Extension(e, OnlyFor)
	return only == "" || only == r.key
}

// fly notes an event as read, unless there are too many already.
func (r *reader) fly(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.flying) >= maxFlying {
		return false
	}
	r.flying = append(r.flying, flight{seq: seq})
	return true
}

// queue puts an event behind others of its lane, if that is being served.
func (r *reader) queue(lane string, seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting, served := r.lanes[lane]
	if served {
		r.lanes[lane] = append(waiting, seq)
	}
	return served
}

// next takes what waits longest in a lane. With nothing left, the lane is not
// served any more.
func (r *reader) next(lane string) (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[lane]
	if len(waiting) == 0 {
		delete(r.lanes, lane)
		return 0, false
	}
	r.lanes[lane] = waiting[1:]
	return waiting[0], true
}

func (r *reader) enter(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case r.window <- struct{}{}:
		return true
	}
}

func (r *reader) leave() { <-r.window }

// serve works through a lane, within the window, until nothing waits.
func (r *reader) serve(ctx context.Context, lane string, m Message) {
	defer r.leave()
	for r.finish(ctx, m) {
		for gone := true; gone; {
			seq, ok := r.next(lane)
			if !ok {
				return
			}
			if m, gone = r.reread(ctx, seq); gone {
				r.land(seq)
			}
		}
	}
}

// finish hands an event over until it is handled or given up. It reports
// false when ctx ended first.
func (r *reader) finish(ctx context.Context, m Message) bool {
	level := logrus.WarnLevel // for the first failure; the others say nothing new
	delay := firstPause
	for attempt := 1; ctx.Err() == nil; {
		err := r.handle(ctx, m)
		if err == nil {
			r.land(m.Seq)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		r.broker.logger.WithError(err).WithField("seq", m.Seq).Log(level, "the bot failed at an event, it comes again")
		level = logrus.DebugLevel
		switch {
		case !r.broker.Connected():
			r.rest(ctx, awayPause)
		case attempt >= r.attempts:
			if r.giveUp(ctx, m, attempt, err) {
				r.land(m.Seq)
				return true
			}
		default:
			attempt++
			r.rest(ctx, delay)
			delay = min(4*delay, longestPause)
		}
	}
	return false
}

// rest waits outside the window.
func (r *reader) rest(ctx context.Context, d time.Duration) {
	r.leave()
	pause(ctx, d)
	r.window <- struct{}{} // those inside end with ctx
}

// reread reads an event whose turn has come. It reports true when there is no
// such event any more. A replica that lags behind may not have it yet, which
// shows in that it has no later one either.
func (r *reader) reread(ctx context.Context, seq uint64) (m Message, gone bool) {
	for ctx.Err() == nil {
		m, err := r.broker.Next(ctx, Events, ">", seq-1)
		if err == nil {
			return m, m.Seq != seq
		}
		if ctx.Err() == nil && !errors.Is(err, ErrNoMessage) {
			r.broker.logger.WithError(err).WithField("seq", seq).Debug("subscription cannot read an event again")
		}
		r.rest(ctx, time.Second)
	}
	return Message{}, false
}

// land marks an event as handled and raises the watermark over all that are.
func (r *reader) land(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := slices.BinarySearchFunc(r.flying, seq, func(f flight, seq uint64) int { return cmp.Compare(f.seq, seq) })
	if !ok {
		return
	}
	r.flying[i].done = true
	for len(r.flying) > 0 && r.flying[0].done {
		r.watermark = max(r.watermark, r.flying[0].seq)
		r.flying = r.flying[1:]
	}
	select {
	case r.moved <- struct{}{}:
	default:
	}
}

// EventReceived is what a bot's dead letters are of: the bot was handed an
// event.
const EventReceived events.Operation = "event_received"

// giveUp stores an event as a dead letter, as often as it takes. It reports
// false when ctx ended first. The letter's id comes from the event's place, so
// that a letter whose ack got lost is not doubled.
func (r *reader) giveUp(ctx context.Context, m Message, attempts int, cause error) bool {
	log := r.broker.logger.WithField("bot", r.bot).WithField("seq", m.Seq)
	for ctx.Err() == nil {
		letter := DeadLetter{Operation: EventReceived, Installation: r.bot, Subscription: r.key, Reason: cause.Error(), Attempts: attempts}
		err := r.broker.Bury(ctx, m, letter, r.key)
		if err == nil {
			log.WithError(cause).WithField("attempts", attempts).Error("event given up, it is a dead letter")
			return true
		}
		log.WithError(err).Debug("dead letter cannot be stored yet")
		r.rest(ctx, awayPause)
	}
	return false
}
