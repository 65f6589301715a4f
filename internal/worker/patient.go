package worker

import (
	"context"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// patient repeats a handler's calls that NATS did not confirm, for as long as
// the handler may run. Otherwise a platform that has taken a message would be
// sent it again only because the ack could not be stored. Repeating is safe:
// an effect of the same identity is the same effect.
type patient struct{ client.Backend }

// Do implements client.Backend.
func (p patient) Do(ctx context.Context, call client.Call, in, out any) error {
	if call.Operation.Effect && call.Identity == "" {
		return p.Backend.Do(ctx, call, in, out)
	}
	return confirmed(ctx, func() error { return p.Backend.Do(ctx, call, in, out) })
}

// confirmed repeats what NATS did not confirm, until it does or ctx ends.
func confirmed(ctx context.Context, do func() error) error {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := do()
		if !errors.Is(err, broker.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		wait(ctx, delay)
	}
}
