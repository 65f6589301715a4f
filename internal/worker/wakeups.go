package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// wakeUp does what becomes due until ctx ends. It returns at once; what it
// returns waits for the end. Any number of workers share what is due, and each
// thing is done once, whoever does it.
func (w *Worker) wakeUp(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	running.Go(func() { w.Broker.DueWakeups(ctx, w.wake) })
	return running.Wait
}

// wake drops what nobody can ever understand, and says so.
func (w *Worker) wake(ctx context.Context, message broker.Message) error {
	err := w.Store.Wake(ctx, message)
	if errors.Is(err, events.ErrNotCloudEvent) || errors.Is(err, store.ErrHopeless) {
		w.Logger.WithError(err).WithField("subject", message.Subject).WithField("seq", message.Seq).
			Error("a wake-up is dropped, nothing was done")
		return nil
	}
	return err
}
