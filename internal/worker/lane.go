package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// lane works on one place, one delivery after the other: on an ordering key, or
// on a single delivery that has none.
type lane struct {
	*partition
	place broker.Place

	// Guarded by the partition's mutex.
	bells  map[uint64]bell
	after  uint64    // everything of the place up to here is at its end
	queued time.Time // since when its delivery waits for a turn; zero when it does not
	// occupied tells that an attempt is being made that nobody else may begin.
	occupied bool
	// parked is the revision under which the place is written down as waiting,
	// at a time; 0 when it is not. As long as it is, its doorbells need not be
	// held: again tells that one rang.
	parked   uint64
	parkedAt time.Time
	again    bool
	// outdated is the revision that is being taken away; covering tells that
	// one is being written.
	outdated uint64
	covering bool
	// lent tells that the next owner waits for the lane's end, gone that it
	// has come.
	lent, gone bool
}

// bell is a doorbell, or what stands for one that was silenced before.
type bell interface {
	Ack()
	Hold()
	Return()
}

// maxBells bounds how many doorbells a lane holds. One for which more ring is
// written down, and then needs none.
const maxBells = 8

// hold takes a doorbell in; the partition's mutex is held. The newest is the
// only one of a message whose ack NATS will still take.
func (l *lane) hold(seq uint64, b bell) {
	if l.parked != 0 {
		l.again = true
		b.Ack()
		return
	}
	before, known := l.bells[seq]
	if _, stands := b.(echo); stands && known {
		b.Ack() // the doorbell itself is here
		return
	}
	if known {
		l.count(l.place, before, -1)
		if stands, ok := before.(echo); ok {
			stands.Ack()
		}
	}
	l.bells[seq] = b
	l.count(l.place, b, +1)
	if len(l.bells) > maxBells {
		l.startCover()
	}
}

// let silences a doorbell; the mutex is held.
func (l *lane) let(seq uint64) {
	if b, ok := l.bells[seq]; ok {
		b.Ack()
		l.count(l.place, b, -1)
		delete(l.bells, seq)
	}
}

// errHandedOver ends work that somebody else will go on with.
var errHandedOver = errors.New("handed over to another worker")

// run works until nothing is left, or parks what has to wait, or ends with the
// partition.
func (l *lane) run() {
	defer l.release()
	for {
		err := l.persist(l.drain)
		if h, ok := errors.AsType[*held](err); ok {
			if l.persist(func() error { return l.park(h) }) == nil {
				return
			}
			err = errHandedOver
		}
		if err != nil || l.persist(l.unpark) != nil || l.leave() {
			return
		}
	}
}

// leave ends the lane unless a doorbell rang since nothing was left.
func (l *lane) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bells) > 0 || l.parked != 0 || l.outdated != 0 || l.again || l.covering {
		return false
	}
	delete(l.lanes, l.place)
	return true
}

// drain works on everything that waits at the place.
func (l *lane) drain() error {
	l.mu.Lock()
	l.again = false
	l.mu.Unlock()
	if l.place.Seq != 0 {
		return l.single()
	}
	return l.serial()
}

// single brings a delivery without an ordering key to its end.
func (l *lane) single() error {
	l.reach(l.place.Seq - 1)
	message, err := l.Broker.Get(l.running, l.place.Queue, l.place.Seq)
	switch {
	case errors.Is(err, broker.ErrNoMessage): // purged: it was handled long ago
	case err != nil:
		return err
	default:
		if err := l.deliver(message); err != nil {
			return err
		}
	}
	l.reach(l.place.Seq)
	return nil
}

// cursor is how far a lane is: everything up to Seq is at its end. It is
// written by compare-and-swap only.
type cursor struct {
	Seq uint64 `json:"seq"`

	revision uint64
}

// serial works on what is in the stream after the cursor, until there is no
// more.
func (l *lane) serial() error {
	at, err := l.load()
	if err != nil {
		return err
	}
	looked := false
	for {
		l.reach(at.Seq)
		message, err := l.Broker.Next(l.running, l.place.Queue, string(l.place.Lane()), at.Seq)
		if errors.Is(err, broker.ErrNoMessage) {
			waiting, err := l.silenceGone(at.Seq)
			if err != nil || !waiting {
				return err
			}
			if looked {
				return errBehind
			}
			looked = true
			continue
		}
		if err != nil {
			return err
		}
		looked = false
		l.reach(message.Seq - 1)
		if err := l.refresh(); err != nil {
			return err
		}
		if err := l.deliver(message); err != nil {
			return err
		}
		at.Seq = message.Seq
		if err := l.save(&at); err != nil {
			return err
		}
	}
}

// reach says that everything up to a message is at its end: its doorbells are
// silenced, and somebody else may go on.
func (l *lane) reach(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after, l.occupied = max(l.after, seq), false
	for rung := range l.bells {
		if rung <= seq {
			l.let(rung)
		}
	}
}

// occupy begins what nobody else may do at the same time: should the partition
// be handed over meanwhile, the next owner is told to wait.
func (l *lane) occupy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taking.Err() != nil {
		return errHandedOver
	}
	l.occupied = true
	return nil
}

func (l *lane) vacate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.occupied = false
}

// cursorKey is the lane's name without the partition, so that it stays the
// same should the number of partitions ever change.
func (l *lane) cursorKey() string { return l.place.Lane().Key() }

func (l *lane) load() (cursor, error) {
	entry, err := l.cursors.Get(l.running, l.cursorKey())
	if errors.Is(err, broker.ErrNoKey) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, err
	}
	at := cursor{revision: entry.Revision}
	if err := json.Unmarshal(entry.Value, &at); err != nil {
		return cursor{}, fmt.Errorf("decode cursor %s: %w", l.cursorKey(), err)
	}
	return at, nil
}

// save commits the cursor. A conflict means that another worker serves the
// lane too; the caller then loads what that one committed and goes on there.
func (l *lane) save(at *cursor) error {
	value, err := json.Marshal(at)
	if err != nil {
		return err
	}
	var revision uint64
	if at.revision == 0 {
		revision, err = l.cursors.Create(l.running, l.cursorKey(), value)
	} else {
		revision, err = l.cursors.Update(l.running, l.cursorKey(), value, at.revision)
	}
	if err != nil {
		return fmt.Errorf("commit cursor: %w", err)
	}
	at.revision = revision
	return nil
}

// errBehind means that a doorbell rang for a message that is not found under
// the lane yet, as on a replica that lags.
var errBehind = errors.New("the stream's reads are behind its doorbells")

// silenceGone acks doorbells of messages after the cursor that the stream does
// not hold any more, and reports whether others are left: they may have rung
// just now.
func (l *lane) silenceGone(seq uint64) (waiting bool, err error) {
	l.mu.Lock()
	rung := slices.Collect(maps.Keys(l.bells))
	l.mu.Unlock()
	for _, missed := range rung {
		if missed <= seq {
			continue
		}
		_, err := l.Broker.Get(l.running, l.place.Queue, missed)
		switch {
		case errors.Is(err, broker.ErrNoMessage):
			l.mu.Lock()
			l.let(missed)
			l.mu.Unlock()
		case err != nil:
			return false, err
		default:
			waiting = true
		}
	}
	return waiting, nil
}
