package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
)

// Config is what a worker needs. Fields without a default are required.
type Config struct {
	Name       string // for the log and for what is recorded of attempts
	Broker     *broker.Broker
	Store      *store.Store
	Directory  *store.Directory
	Dispatcher *dispatch.Dispatcher
	Logger     *logrus.Logger
	Metrics    prometheus.Registerer
	// Concurrency bounds how many handlers run at once; 64 when zero.
	Concurrency int
	// Grace is how long running handlers may go on after a partition is handed
	// over or the worker drains; 20 s when zero.
	Grace time.Duration
	Lease broker.Lease
	Retry Policy
}

// Worker runs deliveries. Make one with [New].
type Worker struct {
	Config
	cursors *broker.Bucket
	slots   *slots
	owned   atomic.Int64
	metrics metrics
}

// errDraining is the cause with which a handler ends that outlives the grace.
var errDraining = errors.New("the worker is stopping")

// New returns a worker over buckets that must exist.
func New(ctx context.Context, config Config) (*Worker, error) {
	if config.Concurrency == 0 {
		config.Concurrency = 64
	}
	if config.Grace == 0 {
		config.Grace = 20 * time.Second
	}
	config.Retry = config.Retry.withDefaults()
	dispatcher := *config.Dispatcher
	dispatcher.Backend = patient{dispatcher.Backend}
	config.Dispatcher = &dispatcher
	config.Lease.Worker = config.Name
	cursors, err := config.Broker.Bucket(ctx, broker.Cursors)
	if err != nil {
		return nil, err
	}
	return &Worker{
		Config: config, cursors: cursors,
		slots: newSlots(config.Concurrency), metrics: newMetrics(config.Metrics),
	}, nil
}

// Run works until ctx ends and then drains: it takes nothing new, lets running
// handlers finish within the grace, and hands everything else over at once.
func (w *Worker) Run(ctx context.Context) {
	defer w.wakeUp(ctx)()
	var trimming sync.WaitGroup
	trimming.Go(func() { w.trimHistory(ctx) })
	defer trimming.Wait()
	w.Broker.Share(ctx, w.Lease, w.own)
}

// Owned is how many partitions the worker has at the moment.
func (w *Worker) Owned() int { return int(w.owned.Load()) }

// own works on one partition of every queue until ctx ends.
func (w *Worker) own(ctx context.Context, number int) {
	w.owned.Add(1)
	defer w.owned.Add(-1)
	w.Logger.WithField("partition", number).Debug("partition taken")
	running, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	p := &partition{
		Worker: w, taking: ctx, running: running,
		lanes: map[broker.Lane]*lane{}, keyless: map[bell]broker.Doorbell{}, alone: map[string]chan struct{}{},
	}
	for _, queue := range broker.Queues {
		p.pulls.Go(func() { w.Broker.Doorbells(ctx, queue, number, p.ring) })
	}
	p.pulls.Go(func() { p.holdAll(ctx) })
	<-ctx.Done()
	cause := context.Cause(ctx)
	if errors.Is(cause, broker.ErrLeaseLost) {
		cut(cause)
	}
	grace := time.AfterFunc(w.Grace, func() { cut(errDraining) })
	defer grace.Stop()
	p.pulls.Wait()
	if errors.Is(cause, broker.ErrLeaseLost) {
		p.returnAll() // a handler that hears nothing must not hold up the next owner
	}
	p.work.Wait()
	p.returnAll()
	w.Logger.WithField("partition", number).WithField("reason", cause).Debug("partition given up")
}
