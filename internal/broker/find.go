package broker

import (
	"context"
	"errors"
	"sort"
	"time"
)

// FindEnqueued returns the work that was enqueued under an id since a time of
// NATS's clock, or [ErrNoMessage]. It is for the rare moment after a crash:
// it reads the queue's lane message by message.
func (b *Broker) FindEnqueued(ctx context.Context, queue Stream, installation, orderingKey, id string, since time.Time) (Message, error) {
	subject := queue.prefix() + ".*." + Token(installation) + "." + keyToken(orderingKey, id)
	return b.find(ctx, queue, subject, id, since)
}

// FindEvent returns the event that was published under an id since a time of
// NATS's clock, or [ErrNoMessage]. Like [Broker.FindEnqueued] it is not for
// everyday use.
func (b *Broker) FindEvent(ctx context.Context, bot, alias, typ, id string, since time.Time) (Message, error) {
	return b.find(ctx, Events, Events.prefix()+"."+Key(bot, alias, typ), id, since)
}

func (b *Broker) find(ctx context.Context, stream Stream, subject, id string, since time.Time) (Message, error) {
	last, err := b.LastSeq(ctx, stream)
	if err != nil {
		return Message{}, err
	}
	// Sequences grow with time, so the start can be found by halving.
	before := sort.Search(int(last), func(seq int) bool {
		if err != nil {
			return true
		}
		message, failed := b.Next(ctx, stream, ">", uint64(seq))
		if failed != nil && !errors.Is(failed, ErrNoMessage) {
			err = failed
		}
		return failed != nil || !message.Stored.Before(since)
	})
	if err != nil {
		return Message{}, err
	}
	for after := uint64(before); ; {
		message, err := b.Next(ctx, stream, subject, after)
		if err != nil {
			return Message{}, err
		}
		if ids := message.Header["ce-id"]; len(ids) == 1 && ids[0] == id {
			return message, nil
		}
		after = message.Seq
	}
}
