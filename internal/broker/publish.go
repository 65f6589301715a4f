package broker

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/events"
)

// Receipt says that a message is stored.
type Receipt struct {
	Stream Stream
	Seq    uint64
	// Duplicate means that a message with this id was stored before, a short
	// time ago; Seq is that one's.
	Duplicate bool
}

// Enqueue stores work for an installation in a queue. What has the same
// ordering key is worked on in the order of its receipts; an empty key asks for
// no order. The event's id is the delivery's: enqueued again within the
// duplicate window, nothing is added. [ErrFull] and [ErrUnavailable] mean that
// nothing may be relied on.
func (b *Broker) Enqueue(ctx context.Context, queue Stream, installation, orderingKey string, e event.Event) (Receipt, error) {
	return b.publish(ctx, queue, inbound(queue, installation, keyToken(orderingKey, e.ID())), e)
}

// EnqueueAgain stores work of a queue once more, as another delivery, at the
// end of the lane that it was in.
func (b *Broker) EnqueueAgain(ctx context.Context, of Message, e event.Event) (Receipt, error) {
	lane := of.Lane()
	return b.publish(ctx, of.Stream, of.Stream.prefix()+".in."+lane.token(2)+"."+lane.token(3), e)
}

// PublishEvent stores an event for a bot.
func (b *Broker) PublishEvent(ctx context.Context, bot, alias, typ string, e event.Event) (Receipt, error) {
	return b.publish(ctx, Events, Events.prefix()+"."+Key(bot, alias, typ), e)
}

func (b *Broker) publish(ctx context.Context, stream Stream, subject string, e event.Event) (Receipt, error) {
	header, data, err := events.Encode(e)
	if err != nil {
		return Receipt{}, err
	}
	return b.put(ctx, stream, &nats.Msg{Subject: subject, Header: header, Data: data}, e.ID())
}

// put stores a message. NATS stores no other one with this id within the
// duplicate window.
func (b *Broker) put(ctx context.Context, stream Stream, message *nats.Msg, id string) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, message,
		jetstream.WithMsgID(id), jetstream.WithExpectStream(string(stream)), jetstream.WithRetryAttempts(0))
	if err != nil {
		return Receipt{}, fmt.Errorf("store %s in %s: %w", id, stream, mapError(err))
	}
	return Receipt{Stream: stream, Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
}
