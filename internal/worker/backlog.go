package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
)

// backlog is what waits of one installation in a partition when that is more
// than may be rung for, or when the installation takes nothing at the moment.
// Its doorbells are silenced as they come; the backlog reads the stream itself,
// as fast as the installation's turns allow, and rings for what it finds. So
// one installation's queue stands in nobody else's way, however long it is.
type backlog struct {
	*partition
	place broker.Place
	// from is where it began: what is up to there is not its business.
	from uint64
	// news says that it is worth looking again.
	news chan struct{}

	// Guarded by the partition's mutex.
	opening []broker.Doorbell // held until the backlog is written down
	open    bool
	closing bool
	newest  uint64 // of the doorbells that were silenced

	// Guarded by a mutex of its own, since lanes land while they hold the
	// partition's.
	landing  sync.Mutex
	at       uint64          // read up to
	flying   map[uint64]bool // rung and not at their end
	revision uint64          // of what is written down
	// uncertain tells that it may be gone although nobody said so.
	uncertain bool
}

const (
	// window is how much of a backlog is at work at once.
	window = 32
	// lookEvery is how often a backlog looks without being told.
	lookEvery = time.Second
)

// registrations is the key of the lane that no backlog delays: what mends an
// installation must reach it.
var registrations = broker.KeyToken(store.RegistrationKey)

// postpone leaves a doorbell to its installation's backlog, if there is one or
// has to be; the mutex is held.
func (p *partition) postpone(d broker.Doorbell) bool {
	place := d.Place()
	if place.Key == registrations {
		return false
	}
	place.Key, place.Seq = "", 0
	b, ok := p.backlogs[place]
	if !ok {
		if !p.rung[place.Queue].greedy(place.Installation) && !p.rests(place.Installation) {
			return false
		}
		b = p.newBacklog(place, d.Seq-1)
	}
	if b.closing || d.Seq <= b.from {
		return false
	}
	b.newest = max(b.newest, d.Seq)
	if b.open {
		d.Ack()
		b.poke()
		return true
	}
	b.opening = append(b.opening, d)
	p.count(place, d, +1)
	return true
}

func (p *partition) newBacklog(place broker.Place, from uint64) *backlog {
	b := &backlog{partition: p, place: place, from: from, at: from, flying: map[uint64]bool{}, news: make(chan struct{}, 1)}
	p.backlogs[place] = b
	p.work.Go(b.run)
	return b
}

// learnBacklog goes on with a backlog of an earlier owner; the mutex is held.
func (p *partition) learnBacklog(entry broker.Parked) {
	b, ok := p.backlogs[entry.Place]
	switch {
	case entry.Revision <= p.dropped[entry.Place]:
	case entry.Gone && ok: // by an owner that is none any more; a save writes it again
		b.landing.Lock()
		defer b.landing.Unlock()
		if entry.Revision > b.revision {
			b.revision, b.uncertain = 0, true
			b.poke()
		}
	case entry.Gone:
	case !ok:
		b = p.newBacklog(entry.Place, entry.After)
		b.open, b.revision = true, entry.Revision
	default: // its own, or that of an owner that is none any more
		b.landing.Lock()
		defer b.landing.Unlock()
		b.revision = max(b.revision, entry.Revision)
	}
}

// poke makes the backlog look again.
func (b *backlog) poke() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// run reads the backlog until nothing is left of it.
func (b *backlog) run() {
	if b.persist(b.establish) != nil {
		return
	}
	saved := b.Broker.Now()
	for b.taking.Err() == nil {
		ended := false
		err := b.persist(func() (err error) {
			ended, err = b.step()
			return err
		})
		if err != nil || ended {
			return
		}
		b.landing.Lock()
		uncertain := b.uncertain
		b.landing.Unlock()
		if now := b.Broker.Now(); now.Sub(saved) > lookEvery || uncertain {
			saved = now
			if b.persist(b.save) != nil {
				return
			}
		}
	}
}

// establish writes the backlog down and silences the doorbells that waited for it.
func (b *backlog) establish() error {
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	if open {
		return nil
	}
	if err := b.save(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.opening {
		d.Ack()
		b.count(b.place, d, -1)
	}
	b.opening, b.open = nil, true
	return nil
}

// save writes down how far the backlog is. Should somebody else have written
// that it begins earlier, it is read again from there: they have silenced
// doorbells of which this owner knows nothing.
func (b *backlog) save() error {
	b.landing.Lock()
	entry := broker.Parked{Place: b.place, After: b.at, Why: behind, Revision: b.revision}
	for seq := range b.flying {
		entry.After = min(entry.After, seq-1)
	}
	b.landing.Unlock()
	for {
		revision, err := b.Broker.Park(b.running, entry)
		if errors.Is(err, broker.ErrConflict) {
			if err = b.merge(&entry); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		b.landing.Lock()
		b.revision, b.uncertain = max(b.revision, revision), false
		b.landing.Unlock()
		return nil
	}
}

// merge takes in what is written down of the backlog.
func (b *backlog) merge(entry *broker.Parked) error {
	there, err := b.Broker.ParkedAt(b.running, b.place)
	if errors.Is(err, broker.ErrNoKey) {
		entry.Revision = 0
		return nil
	}
	if err != nil {
		return err
	}
	entry.Revision = there.Revision
	if there.After < entry.After {
		entry.After = there.After
		b.mu.Lock()
		b.from = min(b.from, there.After)
		b.mu.Unlock()
		b.landing.Lock()
		b.at = min(b.at, there.After)
		b.landing.Unlock()
	}
	return nil
}

// step rings for the next message, or waits until that makes sense. It reports
// true when nothing is left.
func (b *backlog) step() (ended bool, err error) {
	b.landing.Lock()
	at, flying := b.at, len(b.flying)
	b.landing.Unlock()
	if flying >= window || b.blocked() {
		b.rest()
		return false, nil
	}
	message, err := b.Broker.Next(b.running, b.place.Queue, string(b.place.Lane()), at)
	if errors.Is(err, broker.ErrNoMessage) {
		if flying > 0 {
			b.rest()
			return false, nil
		}
		return b.end(at)
	}
	if err != nil {
		return false, err
	}
	b.ring(message)
	return false, nil
}

func (b *backlog) blocked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocks(b.place)
}

// rest waits until there may be something to do.
func (b *backlog) rest() {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-b.taking.Done():
	case <-b.news:
	case <-timer.C:
	}
}

// ring puts the lane of a message to work.
func (b *backlog) ring(m broker.Message) {
	b.landing.Lock()
	b.at = m.Seq
	b.flying[m.Seq] = true
	b.landing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	place, echo := m.Lane().Place(m.Seq), echo{b, m.Seq}
	if l, ok := b.lanes[place]; ok {
		l.hold(m.Seq, echo)
	} else if _, waits := b.parked[place]; waits || place.Key == registrations {
		echo.Ack()
	} else {
		b.begin(place).hold(m.Seq, echo)
	}
}

// end takes the backlog away, unless there is something in it after all. What
// rings from now on is held again; what rang before is in the stream.
func (b *backlog) end(at uint64) (ended bool, err error) {
	b.mu.Lock()
	b.closing = true
	newest := b.newest
	b.mu.Unlock()
	_, err = b.Broker.Next(b.running, b.place.Queue, string(b.place.Lane()), at)
	if errors.Is(err, broker.ErrNoMessage) && newest > at {
		if _, err = b.Broker.Get(b.running, b.place.Queue, newest); err == nil {
			err = errBehind
		}
	}
	if err == nil {
		return false, b.reopen()
	}
	if !errors.Is(err, broker.ErrNoMessage) {
		return false, err
	}
	b.landing.Lock()
	revision := b.revision
	b.landing.Unlock()
	switch err := b.Broker.Unpark(b.running, b.place, revision); {
	case errors.Is(err, broker.ErrConflict): // taken away before, or written by somebody else
		if _, err := b.Broker.ParkedAt(b.running, b.place); !errors.Is(err, broker.ErrNoKey) {
			return false, errors.Join(err, b.reopen())
		}
	case err != nil:
		b.landing.Lock()
		b.uncertain = true
		b.landing.Unlock()
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped[b.place] = max(b.dropped[b.place], revision)
	delete(b.backlogs, b.place)
	return true, nil
}

// reopen has the backlog go on, once it is certain that it is written down.
func (b *backlog) reopen() error {
	b.landing.Lock()
	uncertain := b.uncertain
	b.landing.Unlock()
	if uncertain {
		if err := b.save(); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.closing = false
	b.mu.Unlock()
	return nil
}

// echo stands for a doorbell that was silenced.
type echo struct {
	backlog *backlog
	seq     uint64
}

// Ack says that what the backlog rang for is at its end, or parked.
func (e echo) Ack() {
	b := e.backlog
	b.landing.Lock()
	defer b.landing.Unlock()
	delete(b.flying, e.seq)
	b.poke()
}

// Hold does nothing: the backlog is written down.
func (e echo) Hold() {}

// Return does nothing: the next owner reads the backlog.
func (e echo) Return() {}
