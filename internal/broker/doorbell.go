package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Doorbell says that a lane has, or had, something to do. It is not the
// message: what is next in the lane is read from the stream.
type Doorbell struct {
	Queue Stream
	Lane  Lane
	Seq   uint64

	message jetstream.Msg
}

// Place is what the doorbell rings for.
func (d Doorbell) Place() Place { return d.Lane.Place(d.Seq) }

// HoldFor is how often a doorbell that is held must be held again, so that
// nobody rings it a second time.
const HoldFor = 10 * time.Second

// Ack silences the doorbell. Call it only once everything up to Seq is
// committed in the lane's cursor, or the delivery is in Seen. An ack that gets
// lost is no harm: the doorbell rings again and finds nothing to do.
func (d Doorbell) Ack() { _ = d.message.Ack() }

// Hold keeps the doorbell from ringing again for a while.
func (d Doorbell) Hold() { _ = d.message.InProgress() }

// Return lets the doorbell ring again at once, at whoever owns the partition.
func (d Doorbell) Return() { _ = d.message.Nak() }

const (
	// pullExpiry is shorter than a lease, so that no request of a dead owner
	// is still open when the next owner begins.
	pullExpiry  = 2 * time.Second
	pullPending = 64
)

// Doorbells rings for everything of a partition that is not acknowledged, what
// rang elsewhere before included, and for what comes, until ctx ends. It
// outlives outages and never returns an error that time would mend. Only the
// owner of a partition may call it.
func (b *Broker) Doorbells(ctx context.Context, queue Stream, partition int, ring func(Doorbell)) {
	failing := false
	for ctx.Err() == nil {
		err := b.doorbells(ctx, queue, partition, func() {
			if failing {
				b.logger.WithField("queue", queue).WithField("partition", partition).Info("doorbells are back")
			}
			failing = false
		}, ring)
		if ctx.Err() != nil {
			return
		}
		if !failing {
			b.logger.WithError(err).WithField("queue", queue).WithField("partition", partition).Debug("doorbells interrupted")
		}
		failing = true
		if errors.Is(err, ErrNotProvisioned) {
			// The stream remembers all that matters, so a consumer that is
			// gone can be made again from the stream's beginning.
			err = b.restoreConsumer(ctx, queue, partition)
		}
		if err != nil {
			pause(ctx, time.Second)
		}
	}
}

func (b *Broker) doorbells(ctx context.Context, queue Stream, partition int, running func(), ring func(Doorbell)) error {
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if _, err := b.js.ResetConsumer(bounded, string(queue), consumerName(partition)); err != nil {
		return mapError(err)
	}
	consumer, err := b.js.Consumer(bounded, string(queue), consumerName(partition))
	if err != nil {
		return mapError(err)
	}
	iterator, err := consumer.Messages(jetstream.PullMaxMessages(pullPending), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullExpiry/2))
	if err != nil {
		return mapError(err)
	}
	defer iterator.Stop()
	running()
	for {
		message, err := iterator.Next(jetstream.NextContext(ctx))
		if errors.Is(err, jetstream.ErrNoHeartbeat) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return mapError(err)
		}
		metadata, err := message.Metadata()
		if err != nil {
			return fmt.Errorf("doorbell of %s: %w", queue, err)
		}
		ring(Doorbell{Queue: queue, Lane: Lane(message.Subject()), Seq: metadata.Sequence.Stream, message: message})
	}
}

func (b *Broker) restoreConsumer(ctx context.Context, queue Stream, partition int) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := b.js.CreateOrUpdateConsumer(ctx, string(queue), consumerConfig(queue, partition))
	return mapError(err)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
