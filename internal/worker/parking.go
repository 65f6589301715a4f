package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/pace"
)

// held asks to go on later. What waits for long is parked: written down, and
// its doorbells silenced, so that NATS goes on ringing for others.
type held struct {
	until time.Time // zero when nobody knows
	why   string
}

// Why a place is parked.
const (
	backoff = "backoff" // its last attempt failed
	blocked = "blocked" // its installation takes nothing at the moment
	limited = "limited" // its destination takes no more at the moment
	busy    = "busy"    // its last owner is about to finish it
	behind  = "backlog" // of an installation: more waits than may be rung for
)

// Error implements error.
func (h *held) Error() string { return fmt.Sprintf("held until %s: %s", h.until, h.why) }

// parkAfter is from which wait on a place is parked.
const parkAfter = 5 * time.Second

// until waits until a time, or asks to be parked when that is far away or too
// much is waiting already.
func (l *lane) until(at time.Time, why string) error {
	d := at.Sub(l.Broker.Now())
	if d <= 0 {
		return nil
	}
	l.vacate()
	if d > parkAfter || l.crowded() {
		return &held{until: at, why: why}
	}
	wait(l.taking, d)
	if l.taking.Err() != nil {
		return errHandedOver
	}
	return nil
}

// crowded tells whether so many doorbells are held that whoever waits should
// not hold one.
func (l *lane) crowded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rung[l.place.Queue].held > maxHeld/2
}

// parked is a place that waits.
type parked struct {
	broker.Parked
	timer *time.Timer // nil when only a change of the installation ends the wait
}

// write writes the lane down as waiting. What somebody else wrote is replaced,
// but neither what they knew to be unfinished, nor, by a lane that is at work,
// a loan.
func (l *lane) write(ctx context.Context, until time.Time, why string) (broker.Parked, error) {
	l.mu.Lock()
	entry := broker.Parked{Place: l.place, After: l.after, Until: until, Why: why, Revision: l.parked}
	l.mu.Unlock()
	for {
		revision, err := l.Broker.Park(ctx, entry)
		if !errors.Is(err, broker.ErrConflict) {
			entry.Revision = revision
			return entry, err
		}
		there, err := l.Broker.ParkedAt(ctx, l.place)
		switch {
		case errors.Is(err, broker.ErrNoKey):
			entry.Revision = 0
		case err != nil:
			return entry, err
		case why == behind && there.Why == busy:
			return there, nil
		default:
			entry.After, entry.Revision = min(entry.After, there.After), there.Revision
		}
	}
}

// park writes down that the lane waits, silences its doorbells and ends it.
func (l *lane) park(h *held) error {
	entry, err := l.write(l.running, h.until, h.why)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := range l.bells {
		l.let(seq)
	}
	delete(l.lanes, l.place)
	l.keep(entry)
	return nil
}

// cover writes the lane down while it is at work, so that it need not hold
// more doorbells than it has work for.
func (l *lane) cover() error {
	entry, err := l.write(l.running, l.Broker.Now(), behind)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.covering = false
	if l.lanes[l.place] != l || entry.Revision <= l.dropped[l.place] { // parked, or taken away, meanwhile
		return nil
	}
	for seq := range l.bells {
		l.let(seq)
	}
	l.parked, l.again = max(l.parked, entry.Revision), true
	if l.parkedAt = entry.Until; entry.After == 0 {
		l.parkedAt = time.Time{} // it was not known yet how far the lane is
	}
	return nil
}

// refreshEvery is how often a lane that works on and on writes down anew how
// far it is, so that handled history can make room.
const refreshEvery = 10 * time.Second

func (l *lane) refresh() error {
	l.mu.Lock()
	due := l.parked != 0 && l.Broker.Now().Sub(l.parkedAt) > refreshEvery
	l.mu.Unlock()
	if !due {
		return nil
	}
	return l.cover()
}

// unpark takes away what was written down, unless a doorbell rang that nothing
// else stands for. From when it tries to, nothing relies on the note any more:
// it may be gone although nobody said so.
func (l *lane) unpark() error {
	l.mu.Lock()
	if l.parked != 0 && !l.again && !l.covering {
		l.outdated, l.parked = l.parked, 0
	}
	revision := l.outdated
	l.mu.Unlock()
	if revision == 0 {
		return nil
	}
	err := l.Broker.Unpark(l.running, l.place, revision)
	if err != nil && !errors.Is(err, broker.ErrConflict) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outdated = 0
	l.dropped[l.place] = max(l.dropped[l.place], revision)
	return nil
}

// keep remembers what is parked until it is to be gone on with; the mutex is
// held.
func (p *partition) keep(entry broker.Parked) {
	if before, ok := p.parked[entry.Place]; ok && before.timer != nil {
		before.timer.Stop()
	}
	kept, after := &parked{Parked: entry}, entry.Until.Sub(p.Broker.Now())
	if entry.Why == blocked {
		after = lookEvery // the change may have come before this
	}
	if entry.Why == blocked && p.failing(entry.Place) != pace.Closed {
		p.watchCircuit(entry.Installation)
	}
	if entry.Why != blocked || !p.blocks(entry.Place) {
		kept.timer = time.AfterFunc(after, func() { p.wake(entry.Place, entry.Revision) })
	}
	p.parked[entry.Place] = kept
}

// wake goes on with what was parked under a revision.
func (p *partition) wake(place broker.Place, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kept, ok := p.parked[place]; ok && kept.Revision == revision {
		p.resume(kept)
	}
}

// resume puts what was parked to work; the mutex is held.
func (p *partition) resume(kept *parked) {
	if p.taking.Err() != nil {
		return
	}
	if kept.timer != nil {
		kept.timer.Stop()
	}
	delete(p.parked, kept.Place)
	l := p.begin(kept.Place)
	l.parked, l.parkedAt, l.after = kept.Revision, p.Broker.Now(), kept.After
}

// watchParked knows what is parked in the partition, from whichever owner, and
// calls ready once it does. An owner that has not noticed yet that it is none
// may still park something, so watching never ends before the partition does.
func (p *partition) watchParked(ctx context.Context, ready func()) {
	for ctx.Err() == nil {
		there, complete := map[broker.Place]bool{}, false
		err := p.Broker.WatchParked(ctx, p.number, func() {
			p.forgetAllBut(there)
			complete = true
			ready()
		}, func(entry broker.Parked) {
			if !complete {
				there[entry.Place] = !entry.Gone
			}
			p.learn(entry)
		})
		if ctx.Err() == nil && !errors.Is(err, broker.ErrReconnected) {
			p.Logger.WithError(err).WithField("partition", p.number).Debug("what is parked is not known at the moment")
			wait(ctx, time.Second)
		}
	}
}

// learn takes in what was written about a place.
func (p *partition) learn(entry broker.Parked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taking.Err() != nil {
		return
	}
	if entry.Key == "" {
		p.learnBacklog(entry)
		return
	}
	if entry.Revision <= p.dropped[entry.Place] {
		return // it was taken away since, as will be told
	}
	delete(p.dropped, entry.Place)
	if l, ok := p.lanes[entry.Place]; ok {
		l.learn(entry)
		return
	}
	kept, known := p.parked[entry.Place]
	switch {
	case known && entry.Revision <= kept.Revision:
	case !entry.Gone:
		p.keep(entry)
	case known:
		p.resume(kept) // whoever took it away may have missed something
	}
}

// learn takes in what was written about a lane that is at work: by itself, or
// by an owner that is none any more. What that one took away is written again,
// since doorbells were silenced on the strength of it. The mutex is held.
func (l *lane) learn(entry broker.Parked) {
	switch {
	case entry.Revision <= max(l.parked, l.outdated):
	case !entry.Gone:
		l.parked, l.parkedAt = entry.Revision, l.Broker.Now()
	case l.parked != 0:
		l.parked, l.again = 0, true
		l.startCover()
	}
}

// startCover has the lane written down; the mutex is held.
func (l *lane) startCover() {
	if !l.covering {
		l.covering = true
		l.work.Go(func() { _ = l.persist(l.cover) })
	}
}

// forgetAllBut wakes what is not parked any more, which nobody could tell while
// NATS was away.
func (p *partition) forgetAllBut(there map[broker.Place]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for place, kept := range p.parked {
		if !there[place] {
			p.resume(kept)
		}
	}
}

// unblock looks again at what waits for a change of its installation. Of an
// installation whose platform is to be tried, one place does.
func (p *partition) unblock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	trying := map[string]bool{}
	for _, kept := range p.parked {
		if kept.Why != blocked || p.blocks(kept.Place) || trying[kept.Installation] {
			continue
		}
		trying[kept.Installation] = p.failing(kept.Place) == pace.HalfOpen
		p.resume(kept)
	}
	for _, b := range p.backlogs {
		b.poke()
	}
}
