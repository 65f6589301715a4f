package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// partition is one partition of every queue while this worker owns it.
type partition struct {
	*Worker
	number int
	// taking ends when nothing new may be begun; running ends when what runs
	// must stop.
	taking, running context.Context
	pulls, work     sync.WaitGroup

	mu       sync.Mutex
	lanes    map[broker.Place]*lane // what is at work
	parked   map[broker.Place]*parked
	backlogs map[broker.Place]*backlog
	// dropped are the revisions under which places were parked that are not
	// any more, until the watch has told of that.
	dropped map[broker.Place]uint64
	rung    map[broker.Stream]*rung
}

func newPartition(taking, running context.Context, w *Worker, number int) *partition {
	p := &partition{
		Worker: w, number: number, taking: taking, running: running,
		lanes: map[broker.Place]*lane{}, parked: map[broker.Place]*parked{},
		backlogs: map[broker.Place]*backlog{}, dropped: map[broker.Place]uint64{},
		rung: map[broker.Stream]*rung{},
	}
	for _, queue := range broker.Queues {
		p.rung[queue] = &rung{by: map[string]int{}}
	}
	return p
}

// rung counts the doorbells of one queue that are held, in all and by
// installation.
type rung struct {
	held int
	by   map[string]int
}

// maxHeld is how many doorbells of a queue's partition are held at most. NATS
// stops ringing for a whole partition once 1,024 are.
const maxHeld = 512

// greedy tells an installation that may hold no more: each may hold as many as
// are left, so that the first takes at most half of all, the next half of the
// rest, and there is always room for one more.
func (r *rung) greedy(installation string) bool { return r.by[installation] >= maxHeld-r.held }

// count counts a bell that is held from now on, or let go, if it is one of
// NATS's; the mutex is held.
func (p *partition) count(place broker.Place, b bell, n int) {
	if _, counts := b.(broker.Doorbell); !counts {
		return
	}
	r := p.rung[place.Queue]
	r.held += n
	if r.by[place.Installation] += n; r.by[place.Installation] == 0 {
		delete(r.by, place.Installation)
	}
}

// ring takes a doorbell in. What is at work already keeps it; for what is
// parked it has nothing new to say.
func (p *partition) ring(d broker.Doorbell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := d.Place()
	if l, ok := p.lanes[place]; ok {
		l.hold(d.Seq, d)
		return
	}
	if _, ok := p.parked[place]; ok {
		d.Ack()
		return
	}
	if p.postpone(d) {
		return
	}
	p.begin(place).hold(d.Seq, d)
}

// begin puts a lane to work; the mutex is held.
func (p *partition) begin(place broker.Place) *lane {
	l := &lane{partition: p, place: place, bells: map[uint64]bell{}}
	p.lanes[place] = l
	p.work.Go(l.run)
	return l
}

// holdAll keeps every doorbell that is held from ringing elsewhere.
func (p *partition) holdAll(ctx context.Context) {
	tick := time.NewTicker(broker.HoldFor)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		p.eachBell(bell.Hold)
		p.mu.Unlock()
	}
}

// returnAll lets every doorbell that is still held ring again at once. One that
// came to an owner that did not know yet that it was none would otherwise stay
// silent for half a minute.
func (p *partition) returnAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eachBell(bell.Return)
}

func (p *partition) eachBell(do func(bell)) {
	for _, l := range p.lanes {
		for _, b := range l.bells {
			do(b)
		}
	}
	for _, b := range p.backlogs {
		for _, d := range b.opening {
			do(d)
		}
	}
}

// persist repeats do until it succeeds, for as long as the partition may take
// work. It passes on what asks to wait elsewhere and what was handed over;
// any other error means that NATS is away, or that another worker was faster.
func (p *partition) persist(do func() error) error {
	delay := 50 * time.Millisecond
	for p.taking.Err() == nil {
		err := do()
		if _, held := errors.AsType[*held](err); err == nil || held || errors.Is(err, errHandedOver) {
			return err
		}
		if p.running.Err() != nil {
			break
		}
		p.Logger.WithError(err).Debug("cannot go on, trying again")
		wait(p.taking, delay)
		delay = min(2*delay, time.Second)
	}
	return errHandedOver
}

// wait waits for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
