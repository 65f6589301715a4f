package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/towpath/towpath/internal/broker"
)

// lane serves one ordering key, one delivery after the other.
type lane struct {
	*partition
	queue broker.Stream
	name  broker.Lane
	held  map[uint64]broker.Doorbell // guarded by the partition's mu
	// early is the newest doorbell that was silenced before its message was at
	// its end; guarded by the partition's mu.
	early uint64
}

// maxHeld bounds how many doorbells a lane keeps ringing. NATS stops ringing
// for a whole partition once about a thousand are held, so a lane that cannot
// go on must not hold one for each message that waits in it.
const maxHeld = 32

// hold takes a doorbell in; the partition's mu is held. When there are too
// many, all but the oldest are silenced: that one is held until the lane is
// past all of them, and makes them ring again should this worker die.
func (l *lane) hold(d broker.Doorbell) {
	l.held[d.Seq] = d
	if len(l.held) <= maxHeld {
		return
	}
	oldest := slices.Min(slices.Collect(maps.Keys(l.held)))
	for rung, d := range l.held {
		if rung != oldest {
			l.early = max(l.early, rung)
			d.Ack()
			delete(l.held, rung)
		}
	}
}

// cursor is how far a lane is. It is written by compare-and-swap only.
type cursor struct {
	Seq uint64 `json:"seq"` // everything up to here is at its end
	// Failed tells of the attempts at the delivery after Seq.
	Failed *failures `json:"failed,omitempty"`

	revision uint64
}

// errHandedOver ends work that somebody else will go on with.
var errHandedOver = errors.New("handed over to another worker")

// run serves the lane until it is empty or the partition ends.
func (l *lane) run() {
	for l.persist(l.drain) && !l.leave() {
	}
}

// leave ends the lane unless a doorbell rang since it was found empty.
func (l *lane) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) > 0 {
		return false
	}
	delete(l.lanes, l.name)
	return true
}

// drain works on what is in the stream after the cursor, until there is no
// more.
func (l *lane) drain() error {
	at, err := l.load()
	if err != nil {
		return err
	}
	again := false
	for {
		l.silence(at.Seq)
		if l.taking.Err() != nil {
			return errHandedOver
		}
		message, err := l.Broker.Next(l.running, l.queue, string(l.name), at.Seq)
		if errors.Is(err, broker.ErrNoMessage) {
			waiting, err := l.silenceGone(at.Seq)
			if err != nil || !waiting {
				return err
			}
			if again {
				return errBehind
			}
			again = true
			continue
		}
		if err != nil {
			return err
		}
		if at.Failed != nil && at.Failed.Seq != message.Seq {
			at.Failed = nil // what failed is gone from the stream
		}
		if err := l.deliver(message, &laneAttempts{lane: l, at: &at}); err != nil {
			return err
		}
		again = false
		at.Seq, at.Failed = message.Seq, nil
		if err := l.save(&at); err != nil {
			return err
		}
	}
}

func (l *lane) load() (cursor, error) {
	entry, err := l.cursors.Get(l.running, l.name.Key())
	if errors.Is(err, broker.ErrNoKey) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, err
	}
	at := cursor{revision: entry.Revision}
	if err := json.Unmarshal(entry.Value, &at); err != nil {
		return cursor{}, fmt.Errorf("decode cursor %s: %w", l.name.Key(), err)
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
		revision, err = l.cursors.Create(l.running, l.name.Key(), value)
	} else {
		revision, err = l.cursors.Update(l.running, l.name.Key(), value, at.revision)
	}
	if err != nil {
		return fmt.Errorf("commit cursor: %w", err)
	}
	at.revision = revision
	return nil
}

// silence acks the doorbells up to the cursor, but for the one that stands for
// others that were silenced early.
func (l *lane) silence(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, rung := range slices.Sorted(maps.Keys(l.held)) {
		if rung <= seq && (i > 0 || seq >= l.early) {
			l.held[rung].Ack()
			delete(l.held, rung)
		}
	}
}

// errBehind means that a doorbell rang for a message that is not found under
// the lane yet, as on a replica that lags.
var errBehind = errors.New("the stream's reads are behind its doorbells")

// silenceGone acks doorbells of messages after the cursor that the stream does
// not hold any more, and reports whether others are left: they may have rung
// just now.
func (l *lane) silenceGone(seq uint64) (waiting bool, err error) {
	l.mu.Lock()
	rung := append(slices.Collect(maps.Keys(l.held)), l.early)
	l.mu.Unlock()
	for _, missed := range rung {
		if missed <= seq {
			continue
		}
		_, err := l.Broker.Get(l.running, l.queue, missed)
		switch {
		case errors.Is(err, broker.ErrNoMessage):
			l.forget(missed)
		case err != nil:
			return false, err
		default:
			waiting = true
		}
	}
	return waiting, nil
}

// forget gives up the doorbell of a message that is gone.
func (l *lane) forget(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.early == seq {
		l.early = 0
	}
	if d, ok := l.held[seq]; ok {
		d.Ack()
		delete(l.held, seq)
	}
}
