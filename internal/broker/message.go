package broker

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/events"
)

// Message is one stored message.
type Message struct {
	Stream  Stream
	Subject string
	Seq     uint64
	Stored  time.Time
	Header  map[string][]string
	Data    []byte
}

// Event decodes the message. The error is [events.ErrNotCloudEvent] when it
// never will be decodable.
func (m Message) Event() (event.Event, error) { return events.Decode(m.Header, m.Data) }

// Lane is the lane of a message of a queue.
func (m Message) Lane() Lane { return Lane(m.Subject) }

// ErrNoMessage means that a stream holds no such message (any more).
var ErrNoMessage = errors.New("no such message in the stream")

// Next returns the first message under a subject whose sequence is greater
// than after, or [ErrNoMessage]. The subject may hold wildcards.
func (b *Broker) Next(ctx context.Context, stream Stream, subject string, after uint64) (Message, error) {
	return b.getMessage(ctx, stream, after+1, jetstream.WithGetMsgSubject(subject))
}

// Get returns the message with the sequence, or [ErrNoMessage].
func (b *Broker) Get(ctx context.Context, stream Stream, seq uint64) (Message, error) {
	return b.getMessage(ctx, stream, seq)
}

func (b *Broker) getMessage(ctx context.Context, stream Stream, seq uint64, options ...jetstream.GetMsgOpt) (Message, error) {
	handle, err := b.handle(ctx, stream)
	if err != nil {
		return Message{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	raw, err := handle.GetMsg(ctx, seq, options...)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, ErrNoMessage
	}
	if err != nil {
		return Message{}, fmt.Errorf("read %s: %w", stream, mapError(err))
	}
	return Message{Stream: stream, Subject: raw.Subject, Seq: raw.Sequence, Stored: raw.Time, Header: raw.Header, Data: raw.Data}, nil
}

// handle returns a stream's handle, which costs a request only the first time.
func (b *Broker) handle(ctx context.Context, name Stream) (jetstream.Stream, error) {
	b.mu.Lock()
	handle, ok := b.handles[name]
	b.mu.Unlock()
	if ok {
		return handle, nil
	}
	handle, err := b.stream(ctx, name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handles[name] = handle
	return handle, nil
}

// Range selects messages of a stream. Zero fields select all of it.
type Range struct {
	Since    time.Time // stored at or after
	Until    time.Time // stored before; not for [Broker.Follow], which never ends
	After    uint64    // sequence greater than; wins over Since
	Subjects []string  // with wildcards; must not overlap
}

// Follow hands over every message of the range in order, and then each new one
// until ctx ends or visit returns an error, which Follow returns. It misses
// none: it goes on where it was after an outage.
func (b *Broker) Follow(ctx context.Context, stream Stream, r Range, visit func(Message) error) error {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: r.Subjects}
	switch {
	case r.After > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.After+1
	case !r.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	}
	consumer, err := b.js.OrderedConsumer(ctx, string(stream), config)
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, mapError(err))
	}
	iterator, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, mapError(err))
	}
	defer iterator.Stop()
	for {
		message, err := iterator.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				continue // the iterator makes itself a new consumer
			}
			return fmt.Errorf("follow %s: %w", stream, mapError(err))
		}
		metadata, err := message.Metadata()
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		if err := visit(Message{
			Stream: stream, Subject: message.Subject(), Seq: metadata.Sequence.Stream, Stored: metadata.Timestamp,
			Header: message.Headers(), Data: message.Data(),
		}); err != nil {
			return err
		}
	}
}

// LastSeq returns the sequence of the newest message of a stream.
func (b *Broker) LastSeq(ctx context.Context, stream Stream) (uint64, error) {
	handle, err := b.stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return handle.CachedInfo().State.LastSeq, nil
}

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
	after, err := b.before(ctx, stream, since, last)
	if err != nil {
		return Message{}, err
	}
	for {
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

// before returns the sequence, of those up to last, that everything stored
// before a time of NATS's clock is not above. Sequences grow with time, so it
// is found by halving.
func (b *Broker) before(ctx context.Context, stream Stream, at time.Time, last uint64) (uint64, error) {
	var failed error
	seq := sort.Search(int(last), func(seq int) bool {
		if failed != nil {
			return true
		}
		message, err := b.Next(ctx, stream, ">", uint64(seq))
		if err != nil && !errors.Is(err, ErrNoMessage) {
			failed = err
		}
		return err != nil || !message.Stored.Before(at)
	})
	return uint64(seq), failed
}
