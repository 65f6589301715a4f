package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// WaitConnected blocks until NATS answers, whether or not anything is
// provisioned, or until ctx ends; then it returns the last reason.
func (b *Broker) WaitConnected(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, b.timeout)
		_, err := b.js.AccountInfo(bounded)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return mapError(err)
		case <-tick.C:
		}
	}
}

// MaxPayload is how large a message NATS takes, headers included, in bytes.
func (b *Broker) MaxPayload() int { return int(b.conn.MaxPayload()) }

// Connected tells whether there is a connection to NATS at this moment.
func (b *Broker) Connected() bool { return b.conn.IsConnected() }

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
