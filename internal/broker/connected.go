package broker

import (
	"context"
	"time"
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
