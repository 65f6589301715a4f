package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Answer tells whoever awaits a delivery how it ended. It is a plain message:
// nobody has to be listening, and nothing is stored. What must last is stored
// elsewhere before the answer is sent.
func (b *Broker) Answer(delivery string, data []byte) error {
	return mapError(b.conn.Publish(answerSubject(delivery), data))
}

// Awaited is a delivery whose end somebody waits for.
type Awaited struct {
	subscription *nats.Subscription
}

// Await listens for the answer to a delivery. Call it before the delivery is
// enqueued, or the answer may be missed.
func (b *Broker) Await(delivery string) (*Awaited, error) {
	subscription, err := b.conn.SubscribeSync(answerSubject(delivery))
	if err != nil {
		return nil, fmt.Errorf("await %s: %w", delivery, mapError(err))
	}
	return &Awaited{subscription}, nil
}

// Wait returns the answer, or ctx's error.
func (a *Awaited) Wait(ctx context.Context) ([]byte, error) {
	message, err := a.subscription.NextMsgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return message.Data, nil
}

// Close stops listening.
func (a *Awaited) Close() { _ = a.subscription.Unsubscribe() }

func answerSubject(delivery string) string { return "answers." + Token(delivery) }
