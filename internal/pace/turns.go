package pace

import (
	"container/list"
	"context"
	"sync"
)

// Turns are the slots of one worker for running handlers. Nobody is given a
// fixed share: an installation that has k slots may take one more only while
// more than k are free, as the ports of a network switch share its memory. One
// that is busy alone gets half of all, a second one half of the rest, and so
// on, so that a newcomer nearly always finds a slot at once, and no number of
// waiting deliveries or slow answers makes more than that of it.
type Turns struct {
	mu      sync.Mutex
	all     int
	free    int
	waiting int
	tickets uint64
	parties map[string]*party // by installation, while it has or wants a slot
}

// party is what one installation has of the slots, and who waits for one.
type party struct {
	running int
	queue   list.List // of chan struct{}, the longest waiting first
	// ticket orders installations that have equally much: it is drawn anew each
	// time that the installation is served, so that they take turns.
	ticket uint64
}

// NewTurns returns n free slots; at least one.
func NewTurns(n int) *Turns {
	n = max(n, 1)
	return &Turns{all: n, free: n, parties: map[string]*party{}}
}

// Enter waits for a slot and returns how to give it back, which may be called
// more than once. Those of one installation are served in the order in which
// they came. When ctx ends first, Enter returns its cause and has taken
// nothing.
func (t *Turns) Enter(ctx context.Context, installation string) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	served, quit := t.join(installation)
	select {
	case <-served:
		return sync.OnceFunc(func() { t.leave(installation) }), nil
	case <-ctx.Done():
		quit()
		return nil, context.Cause(ctx)
	}
}

// Waiting returns how many of an installation wait for a slot.
func (t *Turns) Waiting(installation string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.parties[installation]; p != nil {
		return p.queue.Len()
	}
	return 0
}

// Total returns how many slots are taken and how many wait for one, over all
// installations.
func (t *Turns) Total() (running, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all - t.free, t.waiting
}

// join queues for a slot. Served is closed once there is one; quit gives up
// waiting, or the slot when it has come meanwhile.
func (t *Turns) join(installation string) (served <-chan struct{}, quit func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.parties[installation]
	if p == nil {
		p = &party{ticket: t.ticket()}
		t.parties[installation] = p
	}
	mine := make(chan struct{})
	place := p.queue.PushBack(mine)
	t.waiting++
	t.serve()
	return mine, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		select {
		case <-mine:
			t.release(installation)
		default:
			p.queue.Remove(place)
			t.waiting--
			t.forget(installation)
		}
	}
}

func (t *Turns) leave(installation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(installation)
}

func (t *Turns) release(installation string) {
	t.parties[installation].running--
	t.free++
	t.forget(installation)
	t.serve()
}

// forget drops an installation that neither has nor wants anything.
func (t *Turns) forget(installation string) {
	if p := t.parties[installation]; p.running == 0 && p.queue.Len() == 0 {
		delete(t.parties, installation)
	}
}

// serve gives out slots for as long as the rule allows. Who has least comes
// first; if the rule refuses that one, it refuses all.
func (t *Turns) serve() {
	for {
		next := t.next()
		if next == nil || next.running >= t.free {
			return
		}
		next.running++
		next.ticket = t.ticket()
		t.free--
		t.waiting--
		if served, ok := next.queue.Remove(next.queue.Front()).(chan struct{}); ok {
			close(served)
		}
	}
}

// next returns, of the installations that wait, the one with the fewest slots,
// and of several the one that was served, or came, the longest ago.
func (t *Turns) next() *party {
	if t.waiting == 0 || t.free == 0 {
		return nil
	}
	var least *party
	for _, p := range t.parties {
		if p.queue.Len() == 0 {
			continue
		}
		if least == nil || p.running < least.running || p.running == least.running && p.ticket < least.ticket {
			least = p
		}
	}
	return least
}

func (t *Turns) ticket() uint64 {
	t.tickets++
	return t.tickets
}
