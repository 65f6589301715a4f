package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// share is one worker's session, and what it knows of the others.
type share struct {
	bucket     *Bucket
	partitions int
	own        func(context.Context, int)
	session    context.Context
	name       string

	workers  map[string]bool    // sessions that exist
	claims   map[int]claim      // by partition
	owned    map[int]*ownership // what this worker runs
	finished chan int           // partitions whose own has returned
}

type claim struct {
	holder   string
	revision uint64
}

type ownership struct {
	revision uint64
	release  context.CancelCauseFunc
	leaving  bool
}

// rebalanceEvery is how often a worker looks again without being told, in case
// that a change went past it.
const rebalanceEvery = time.Second

// run takes and gives partitions until ctx ends, when it gives back all, or
// until the session is lost.
func (s *share) run(ctx context.Context, b *Broker) error {
	entries := make(chan Entry, 64)
	synced := make(chan struct{})
	watch, stop := context.WithCancel(s.session)
	watched := make(chan error, 1)
	go func() {
		first := true
		watched <- s.bucket.Watch(watch, ">", func() {
			if first {
				close(synced)
			}
			first = false
		}, func(e Entry) {
			select {
			case entries <- e:
			case <-watch.Done():
			}
		})
		close(watched)
	}()
	defer func() {
		stop()
		for range watched { // until the watch has ended
		}
	}()
	err := s.loop(ctx, entries, synced, watched)
	s.settle(err)
	if lost := context.Cause(s.session); errors.Is(lost, ErrLeaseLost) {
		b.logger.WithField("session", s.name).Warn("lease lost, joining the workers again")
		return lost
	}
	return err
}

func (s *share) loop(ctx context.Context, entries <-chan Entry, synced chan struct{}, watched <-chan error) error {
	tick := time.NewTicker(rebalanceEvery)
	defer tick.Stop()
	known := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.session.Done():
			return nil
		case err := <-watched:
			return err
		case <-synced:
			synced, known = nil, true
		case e := <-entries:
			s.see(e)
			for len(entries) > 0 {
				s.see(<-entries)
			}
		case partition := <-s.finished:
			s.giveBack(partition)
		case <-tick.C:
		}
		// Entries that came before the snapshot was complete may all be read
		// by now, or not; deciding on half of them would steal partitions.
		if known && len(entries) == 0 {
			s.rebalance()
		}
	}
}

// settle ends every partition that is owned and waits for it.
func (s *share) settle(err error) {
	cause := ErrReleased
	if err != nil || s.session.Err() != nil {
		cause = ErrLeaseLost
	}
	for _, o := range s.owned {
		o.release(cause)
	}
	for len(s.owned) > 0 {
		s.giveBack(<-s.finished)
	}
}

func (s *share) see(e Entry) {
	session, partition, isClaim := parseLease(e.Key)
	switch {
	case isClaim && e.Deleted:
		delete(s.claims, partition)
	case isClaim:
		s.claims[partition] = claim{holder: string(e.Value), revision: e.Revision}
	case session == "" || session == s.name:
	case e.Deleted:
		delete(s.workers, session)
	default:
		s.workers[session] = true
	}
}

// quota is this worker's share: the partitions divided by the workers, the
// first few of which take one more.
func (s *share) quota() int {
	names := slices.Sorted(maps.Keys(s.workers))
	quota := s.partitions / len(names)
	if slices.Index(names, s.name) < s.partitions%len(names) {
		quota++
	}
	return quota
}

func (s *share) rebalance() {
	keep := 0
	for _, o := range s.owned {
		if !o.leaving {
			keep++
		}
	}
	quota := s.quota()
	for _, o := range s.owned {
		if keep > quota && !o.leaving {
			o.leaving = true
			o.release(ErrReleased)
			keep--
		}
	}
	for partition, held := range s.claims {
		if held.holder == s.name && s.owned[partition] == nil && keep >= quota {
			s.drop(partition, held.revision)
		}
	}
	// Each worker begins at another place, so that they rarely want the same.
	start := slices.Index(slices.Sorted(maps.Keys(s.workers)), s.name) * s.partitions / len(s.workers)
	for i := range s.partitions {
		partition := (start + i) % s.partitions
		if keep >= quota {
			return
		}
		if s.owned[partition] == nil && s.take(partition) {
			keep++
		}
	}
}

// take claims a partition that nobody alive holds.
func (s *share) take(partition int) bool {
	held, claimed := s.claims[partition]
	if claimed && held.holder != s.name && s.workers[held.holder] {
		return false
	}
	var revision uint64
	var err error
	key := claimPrefix + strconv.Itoa(partition)
	if claimed {
		revision, err = s.bucket.Update(s.session, key, []byte(s.name), held.revision)
	} else {
		revision, err = s.bucket.Create(s.session, key, []byte(s.name))
	}
	if err != nil {
		return false // somebody was faster, or NATS is away: the next round sees
	}
	s.claims[partition] = claim{holder: s.name, revision: revision}
	ctx, release := context.WithCancelCause(s.session)
	s.owned[partition] = &ownership{revision: revision, release: release}
	go func() {
		s.own(ctx, partition)
		s.finished <- partition
	}()
	return true
}

// giveBack removes the claim on a partition whose owner function returned.
func (s *share) giveBack(partition int) {
	o := s.owned[partition]
	delete(s.owned, partition)
	o.release(nil)
	s.drop(partition, o.revision)
}

// drop removes a claim of this worker. One that cannot be removed now is
// dropped in a later round, or void once the session ends.
func (s *share) drop(partition int, revision uint64) {
	err := s.bucket.Delete(s.session, claimPrefix+strconv.Itoa(partition), revision)
	if err == nil || errors.Is(err, ErrConflict) {
		delete(s.claims, partition)
	}
}
