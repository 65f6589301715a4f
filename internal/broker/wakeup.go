package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/events"
)

// A wake-up waits under one subject and is due under another, both named after
// its id: a later one of the same id replaces it, and NATS takes what waited
// away when it becomes due.
func waitingSubject(id string) string { return Wakeups.prefix() + ".at." + Token(id) }
func dueSubject(id string) string     { return Wakeups.prefix() + ".due." + Token(id) }

// Schedule stores an event that becomes due at a time, to the second and never
// early; a time that is past makes it due at once. One scheduled again under
// the same id replaces the first, unless that is due already.
func (b *Broker) Schedule(ctx context.Context, id string, at time.Time, e event.Event) error {
	header, data, err := events.Encode(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	whole := at.Add(time.Second - 1).Truncate(time.Second) // NATS is told seconds
	_, err = b.js.PublishMsg(ctx, &nats.Msg{Subject: waitingSubject(id), Header: header, Data: data},
		jetstream.WithScheduleAt(whole), jetstream.WithScheduleTarget(dueSubject(id)),
		jetstream.WithExpectStream(string(Wakeups)), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("schedule %s: %w", id, mapError(err))
	}
	return nil
}

// Cancel takes a wake-up away that is not due yet. Canceling what is not there
// is no error. Whoever must be certain decides by a record of their own, since
// a wake-up may become due at the same moment.
func (b *Broker) Cancel(ctx context.Context, id string) error {
	handle, err := b.handle(ctx, Wakeups)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := handle.Purge(ctx, jetstream.WithPurgeSubject(waitingSubject(id))); err != nil {
		return fmt.Errorf("cancel %s: %w", id, mapError(err))
	}
	return nil
}

// dueConsumer is the durable consumer that all workers share.
const dueConsumer = "due"

// dueAgainAfter is how long a due wake-up stays with a worker that says
// nothing: as long as the work of a dead one may take to start elsewhere.
const dueAgainAfter = 5 * time.Second

func dueConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       dueConsumer,
		FilterSubject: Wakeups.prefix() + ".due.>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait:       dueAgainAfter,
		MaxAckPending: 1024,
		MaxDeliver:    -1,
	}
}

// DueWakeups hands over what is due, one at a time, until ctx ends, and shares
// that work with every other caller. It outlives outages. What is handled is
// taken out of the stream, so that nothing depends on acks, which NATS may
// forget; what handle fails at, or a worker dies with, comes again. So handle
// may run twice, and gives what it does an identity.
func (b *Broker) DueWakeups(ctx context.Context, handle func(context.Context, Message) error) {
	failing := false
	for ctx.Err() == nil {
		err := b.dueWakeups(ctx, handle)
		if ctx.Err() != nil {
			return
		}
		if !failing {
			b.logger.WithError(err).Debug("wake-ups interrupted")
		}
		failing = true
		if errors.Is(err, ErrNotProvisioned) {
			// The stream holds what is not handled, so a consumer that is gone
			// can be made again.
			bounded, cancel := context.WithTimeout(ctx, b.timeout)
			_, err = b.js.CreateOrUpdateConsumer(bounded, string(Wakeups), dueConfig())
			cancel()
		}
		if err != nil {
			pause(ctx, time.Second)
		} else {
			failing = false
		}
	}
}

func (b *Broker) dueWakeups(ctx context.Context, handle func(context.Context, Message) error) error {
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	consumer, err := b.js.Consumer(bounded, string(Wakeups), dueConsumer)
	cancel()
	if err != nil {
		return mapError(err)
	}
	// One at a time: what is fetched ahead would wait here while another
	// worker is idle.
	iterator, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullExpiry/2))
	if err != nil {
		return mapError(err)
	}
	defer iterator.Stop()
	for {
		due, err := iterator.Next(jetstream.NextContext(ctx))
		if errors.Is(err, jetstream.ErrNoHeartbeat) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return mapError(err)
		}
		err = b.wake(ctx, due, handle)
		if ctx.Err() != nil && err != nil {
			_ = due.Nak() // another worker goes on at once
			continue
		}
		if err != nil {
			b.logger.WithError(err).WithField("subject", due.Subject()).Warn("cannot handle what is due, it comes again")
			_ = due.NakWithDelay(time.Second)
		}
	}
}

func (b *Broker) wake(ctx context.Context, due jetstream.Msg, handle func(context.Context, Message) error) error {
	metadata, err := due.Metadata()
	if err != nil {
		return err
	}
	err = handle(ctx, Message{
		Stream: Wakeups, Subject: due.Subject(), Seq: metadata.Sequence.Stream, Stored: metadata.Timestamp,
		Header: due.Headers(), Data: due.Data(),
	})
	if err != nil {
		return err
	}
	stream, err := b.handle(ctx, Wakeups)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := stream.DeleteMsg(bounded, metadata.Sequence.Stream); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return mapError(err)
	}
	return mapError(due.Ack())
}
