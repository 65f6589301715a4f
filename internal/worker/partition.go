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
	// taking ends when nothing new may be begun; running ends when what runs
	// must stop.
	taking, running context.Context
	pulls, work     sync.WaitGroup

	mu      sync.Mutex
	lanes   map[broker.Lane]*lane
	keyless map[bell]broker.Doorbell // by what runs now
	alone   map[string]chan struct{} // by keyless delivery at work; closed at its end
}

// bell names a doorbell.
type bell struct {
	queue broker.Stream
	seq   uint64
}

// ring takes a doorbell in. What is at work already keeps the newest doorbell,
// the only one whose ack NATS will still take.
func (p *partition) ring(d broker.Doorbell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Lane.Keyless() {
		name := bell{d.Queue, d.Seq}
		_, busy := p.keyless[name]
		p.keyless[name] = d
		if !busy {
			p.work.Go(func() { p.runKeyless(name) })
		}
		return
	}
	l, ok := p.lanes[d.Lane]
	if !ok {
		l = &lane{partition: p, queue: d.Queue, name: d.Lane, held: map[uint64]broker.Doorbell{}}
		p.lanes[d.Lane] = l
		p.work.Go(l.run)
	}
	l.hold(d)
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
		for _, l := range p.lanes {
			for _, d := range l.held {
				d.Hold()
			}
		}
		for _, d := range p.keyless {
			d.Hold()
		}
		p.mu.Unlock()
	}
}

// runKeyless brings one delivery without an ordering key to its end.
func (p *partition) runKeyless(name bell) {
	finished := p.persist(func() error { return p.keylessOnce(name) })
	if !finished {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keyless[name].Ack()
	delete(p.keyless, name)
}

// returnAll lets every doorbell that is still held ring again at once. One that
// came to an owner that did not know yet that it was none would otherwise stay
// silent for half a minute.
func (p *partition) returnAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		for _, d := range l.held {
			d.Return()
		}
	}
	for _, d := range p.keyless {
		d.Return()
	}
}

func (p *partition) keylessOnce(name bell) error {
	message, err := p.Broker.Get(p.running, name.queue, name.seq)
	if errors.Is(err, broker.ErrNoMessage) {
		return nil // purged: it was handled long ago
	}
	if err != nil {
		return err
	}
	if e, err := message.Event(); err == nil {
		defer p.occupy(e.ID())()
	}
	return p.deliver(message, &attempts{bucket: p.cursors, message: message})
}

// occupy waits until no other copy of a delivery is at work, and returns what
// lets the next one begin. A platform may send again what waits in the queue
// for longer than NATS remembers ids; equal ids are in the same partition.
func (p *partition) occupy(delivery string) (release func()) {
	mine := make(chan struct{})
	for {
		p.mu.Lock()
		busy, taken := p.alone[delivery]
		if !taken {
			p.alone[delivery] = mine
		}
		p.mu.Unlock()
		if !taken {
			break
		}
		<-busy
	}
	return func() {
		p.mu.Lock()
		delete(p.alone, delivery)
		p.mu.Unlock()
		close(mine)
	}
}

// persist repeats do until it succeeds, and reports false when the partition
// ends before. Handlers' failures are not its business: an error here means
// that NATS is away, or that another worker was faster.
func (p *partition) persist(do func() error) bool {
	delay := 50 * time.Millisecond
	for p.taking.Err() == nil {
		err := do()
		if err == nil {
			return true
		}
		if errors.Is(err, errHandedOver) || p.running.Err() != nil {
			return false
		}
		p.Logger.WithError(err).Debug("cannot go on, trying again")
		wait(p.taking, delay)
		delay = min(2*delay, time.Second)
	}
	return false
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
