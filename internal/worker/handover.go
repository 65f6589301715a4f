package worker

import (
	"context"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// busyFor is for how long the next owner of a partition leaves a lane alone
// whose last owner is finishing a delivery, and has not said so again.
const busyFor = 5 * time.Second

// handOver gives everything to the next owner but for the attempts that are
// being made: those places are parked until they are done, so that the rest
// need not wait for them. It returns as soon as the partition may be given up;
// the attempts go on.
func (p *partition) handOver() {
	p.mu.Lock()
	var running []*lane
	for _, l := range p.lanes {
		if l.occupied {
			running = append(running, l)
		}
	}
	p.mu.Unlock()
	for _, l := range running {
		p.lend(l)
	}
	p.returnAll()
	if len(running) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.work.Wait()
	}()
	p.finishing.Go(func() {
		tick := time.NewTicker(busyFor / 5)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, l := range running {
					p.lend(l)
				}
			}
		}
	})
}

// lend asks the next owner to leave the lane alone for a while longer. Should
// that fail, it will find an attempt that was begun, and count it.
func (p *partition) lend(l *lane) {
	p.mu.Lock()
	gone, lent := l.gone, l.lent
	entry := broker.Parked{Place: l.place, After: l.after, Until: p.Broker.Now().Add(busyFor), Why: busy, Revision: l.parked}
	p.mu.Unlock()
	if gone {
		return
	}
	var err error
	if lent { // a conflict means that the next owner has waited for too long
		entry.Revision, err = p.Broker.Park(p.running, entry)
	} else {
		entry, err = l.write(p.running, entry.Until, busy)
	}
	if err != nil {
		p.Logger.WithError(err).Debug("the next owner does not know that an attempt is still being made")
		return
	}
	p.mu.Lock()
	gone = l.gone
	l.parked, l.lent = entry.Revision, true
	p.mu.Unlock()
	if gone {
		l.giveUp(p.running)
	}
}

// release ends the lane, and wakes the next owner's.
func (l *lane) release() {
	l.mu.Lock()
	l.gone = true
	lent := l.lent
	l.mu.Unlock()
	if lent {
		l.giveUp(context.WithoutCancel(l.running))
	}
}

// giveUp tells the next owner to go on now.
func (l *lane) giveUp(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, busyFor)
	defer cancel()
	err := confirmed(bounded, func() error {
		l.mu.Lock()
		entry := broker.Parked{Place: l.place, After: l.after, Until: l.Broker.Now(), Why: busy, Revision: l.parked}
		l.mu.Unlock()
		_, err := l.Broker.Park(bounded, entry)
		return err
	})
	if err != nil {
		l.Logger.WithError(err).Debug("the next owner was not told, it goes on by itself")
	}
}
