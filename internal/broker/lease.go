package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// Causes with which a partition's context ends.
var (
	// ErrReleased asks for an orderly end: finish what runs, begin nothing.
	ErrReleased = errors.New("the partition is handed over")
	// ErrLeaseLost means that somebody else may own the partition by now.
	ErrLeaseLost = errors.New("the lease is lost")
)

// Lease says how long a worker that shows no sign of life keeps its
// partitions.
type Lease struct {
	Worker string        // a name for the log
	TTL    time.Duration // 3 s when zero; NATS takes no less than 1 s
	Renew  time.Duration // a third of TTL when zero
}

// Share takes a fair share of the queues' partitions and calls own for each,
// until ctx ends. Own must return when its context ends, whose cause is
// [ErrReleased] or [ErrLeaseLost]; the partition is given to others after it
// returned. When ctx ends, every partition is released before Share returns.
//
// A worker proves that it lives by one key that expires, its session. A
// partition belongs to whoever's name its claim carries, as long as that
// session exists. So a worker renews one key, however many partitions it has,
// and loses all of them at once.
func (b *Broker) Share(ctx context.Context, lease Lease, own func(ctx context.Context, partition int)) {
	if lease.TTL == 0 {
		lease.TTL = 3 * time.Second
	}
	if lease.Renew == 0 {
		lease.Renew = lease.TTL / 3
	}
	for ctx.Err() == nil {
		if err := b.shareOnce(ctx, lease, own); err != nil && ctx.Err() == nil {
			b.logger.WithError(err).Debug("no session with the other workers")
			pause(ctx, lease.Renew)
		}
	}
}

// shareOnce runs one session from its beginning to its end.
func (b *Broker) shareOnce(ctx context.Context, lease Lease, own func(context.Context, int)) error {
	partitions, err := b.Partitions(ctx)
	if err != nil {
		return err
	}
	bucket, err := b.Bucket(ctx, Leases)
	if err != nil {
		return err
	}
	// Draining still needs the session, so it outlives ctx.
	session, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s := &share{
		bucket: bucket, partitions: partitions, own: own, session: session,
		name:    events.NewID(Token(lease.Worker)),
		workers: map[string]bool{}, claims: map[int]claim{}, owned: map[int]*ownership{},
		finished: make(chan int, partitions),
	}
	begun := time.Now()
	revision, err := bucket.PutFor(session, s.key(), nil, 0, lease.TTL)
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	s.workers[s.name] = true
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.renew(session, end, lease, begun, revision)
	}()
	err = s.run(ctx, b)
	end(nil)
	<-renewed
	if err == nil {
		err = bucket.Delete(context.WithoutCancel(ctx), s.key(), 0)
	}
	return err
}

const (
	sessionPrefix = "session."
	claimPrefix   = "claim."
)

func (s *share) key() string { return sessionPrefix + s.name }

// renew keeps the session alive, and ends it with ErrLeaseLost once it cannot
// be sure any more that the server still has it. The server counts from when
// it stored the key, which is later than when it was sent, so this side always
// gives up first.
func (s *share) renew(ctx context.Context, end context.CancelCauseFunc, lease Lease, begun time.Time, revision uint64) {
	tick := time.NewTicker(lease.Renew)
	defer tick.Stop()
	deadline := begun.Add(lease.TTL)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(deadline)):
			end(ErrLeaseLost)
			return
		case <-tick.C:
		}
		sent := time.Now()
		if sent.After(deadline) { // this process was frozen
			end(ErrLeaseLost)
			return
		}
		bounded, cancel := context.WithDeadline(ctx, deadline)
		renewed, err := s.bucket.PutFor(bounded, s.key(), nil, revision, lease.TTL)
		cancel()
		switch {
		case err == nil:
			revision, deadline = renewed, sent.Add(lease.TTL)
		case errors.Is(err, ErrConflict):
			end(ErrLeaseLost)
			return
		}
	}
}

// parseLease reads a key of the leases bucket.
func parseLease(key string) (session string, partition int, isClaim bool) {
	if name, ok := strings.CutPrefix(key, sessionPrefix); ok {
		return name, 0, false
	}
	var p int
	if _, err := fmt.Sscanf(key, claimPrefix+"%d", &p); err != nil {
		return "", 0, false
	}
	return "", p, true
}
