package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

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

// PublishEvent stores an event for a bot.
func (b *Broker) PublishEvent(ctx context.Context, bot, alias, typ string, e event.Event) (Receipt, error) {
	return b.publish(ctx, Events, Events.prefix()+"."+Key(bot, alias, typ), e)
}

// DeadLetter is the data of a message of DEADLETTERS: a delivery that was
// given up, whole, with what went wrong, ready to be sent again.
type DeadLetter struct {
	Delivery  string           `json:"delivery"`
	Operation events.Operation `json:"operation,omitempty"`
	// Installation is its webhook id; of an event that a bot gave up, the bot.
	Installation string              `json:"installation"`
	Reason       string              `json:"reason"` // fit to be shown to the bot's owner
	Attempts     int                 `json:"attempts"`
	Errors       []Failure           `json:"errors,omitempty"`
	Stream       Stream              `json:"stream"`
	Subject      string              `json:"subject"`
	Seq          uint64              `json:"seq"`
	Stored       time.Time           `json:"stored"`
	Header       map[string][]string `json:"header"`
	// Body is left out when the letter would be too large; it is in the stream
	// under Seq.
	Body []byte `json:"body,omitempty"`
}

// Failure is one failed attempt.
type Failure struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Worker  string    `json:"worker"`
	Error   string    `json:"error"`
}

const (
	// DeadLetterType is the ce-type of a dead letter.
	DeadLetterType = "towpath.dead_letter"
	// letterRoom is what a letter's own headers may take, in bytes.
	letterRoom = 64 << 10
)

// Bury stores a message as a dead letter; what the letter does not say yet is
// taken from the message. The letter's id comes from the message's place and
// from whoever gives it up, so that one who dies right after this stores the
// same letter again and not a second one.
func (b *Broker) Bury(ctx context.Context, m Message, letter DeadLetter, by string) error {
	letter.Stream, letter.Subject, letter.Seq, letter.Stored = m.Stream, m.Subject, m.Seq, m.Stored
	letter.Header, letter.Body = m.Header, m.Data
	trace := ""
	if e, err := m.Event(); err == nil {
		letter.Delivery, trace = e.ID(), events.TraceParentOf(e)
	}
	data, err := json.Marshal(letter)
	if err == nil && len(data) > b.MaxPayload()-letterRoom {
		letter.Body = nil
		data, err = json.Marshal(letter)
	}
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	id := events.EffectID("dead", m.Stored, fmt.Sprintf("%s:%s:%d", by, m.Stream, m.Seq))
	source := "/webhooks/"
	if letter.Operation == EventReceived {
		source = "/bots/"
	}
	e := events.New(id, source+letter.Installation, DeadLetterType, letter.Delivery, time.Now(), data)
	if trace != "" {
		e.SetExtension("traceparent", trace)
	}
	_, err = b.publish(ctx, DeadLetters, DeadLetters.prefix()+"."+Key(letter.Installation, string(letter.Operation)), e)
	return err
}

func (b *Broker) publish(ctx context.Context, stream Stream, subject string, e event.Event) (Receipt, error) {
	header, data, err := events.Encode(e)
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: data},
		jetstream.WithMsgID(e.ID()), jetstream.WithExpectStream(string(stream)), jetstream.WithRetryAttempts(0))
	if err != nil {
		return Receipt{}, fmt.Errorf("store %s in %s: %w", e.ID(), stream, mapError(err))
	}
	return Receipt{Stream: stream, Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
}
