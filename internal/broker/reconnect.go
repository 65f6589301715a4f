package broker

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// ErrReconnected means that the connection was lost and is back.
var ErrReconnected = errors.New("NATS was away and is back")

// UntilReconnected returns a context that ends with [ErrReconnected] as its
// cause as soon as NATS is back from an outage. A watch that is older than the
// connection may have lost the server's half of it and notices only after many
// seconds; whoever must be up to date sooner begins a new one. The cancel
// function must be called.
func (b *Broker) UntilReconnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	back := b.conn.StatusChanged(nats.CONNECTED)
	go func() {
		defer b.conn.RemoveStatusListener(back)
		select {
		case <-ctx.Done():
		case _, open := <-back:
			if open {
				end(ErrReconnected)
			}
		}
	}()
	return ctx, func() { end(nil) }
}
