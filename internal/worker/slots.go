package worker

import "sync"

// slots bound how many handlers run at once: in all, and of one installation,
// so that a platform that does not answer cannot take every slot.
type slots struct {
	all  chan struct{}
	each int

	mu      sync.Mutex
	waiting map[string]*turn // by webhook id, while anybody has or wants one
}

// turn is what one installation has of the slots.
type turn struct {
	slots chan struct{}
	users int
}

// oneOf is which part of all slots one installation can have.
const oneOf = 2

func newSlots(n int) *slots {
	return &slots{all: make(chan struct{}, n), each: max(1, n/oneOf), waiting: map[string]*turn{}}
}

// enter waits for a slot, and returns how to leave it. It returns
// errHandedOver when the partition is handed over first.
func (d *delivery) enter(installation string) (leave func(), err error) {
	s := d.slots
	mine := s.join(installation)
	select {
	case <-d.taking.Done():
		s.quit(installation, mine)
		return nil, errHandedOver
	case mine.slots <- struct{}{}:
	}
	select {
	case <-d.taking.Done():
		<-mine.slots
		s.quit(installation, mine)
		return nil, errHandedOver
	case s.all <- struct{}{}:
	}
	leave = func() {
		<-s.all
		<-mine.slots
		s.quit(installation, mine)
	}
	if d.taking.Err() != nil { // it ended a wait before, or was the slower of the two
		leave()
		return nil, errHandedOver
	}
	return leave, nil
}

func (s *slots) join(installation string) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine, ok := s.waiting[installation]
	if !ok {
		mine = &turn{slots: make(chan struct{}, s.each)}
		s.waiting[installation] = mine
	}
	mine.users++
	return mine
}

func (s *slots) quit(installation string, mine *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(s.waiting, installation)
	}
}
