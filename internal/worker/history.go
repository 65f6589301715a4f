package worker

import (
	"context"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// trimEvery is how often a worker looks whether handled history has to make
// room. Every worker does: trimming twice is no harm.
const trimEvery = 5 * time.Second

// trimHistory keeps handled history from blocking new work until ctx ends.
func (w *Worker) trimHistory(ctx context.Context) {
	for {
		wait(ctx, trimEvery)
		if ctx.Err() != nil {
			return
		}
		gone, err := w.Broker.TrimHistory(ctx)
		if gone > 0 {
			w.Logger.WithField("messages", gone).Info("streams are nearly full: handled history made room")
		}
		if err != nil && !errors.Is(err, broker.ErrUnavailable) && ctx.Err() == nil {
			w.Logger.WithError(err).Warn("handled history cannot make room")
		}
	}
}
