package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/pace"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/handlers"
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
	// Retry is for integrations that do not say; its zero fields mean the
	// defaults of [handlers.RetryPolicy].
	Retry handlers.RetryPolicy
}

// Worker runs deliveries. Make one with [New].
type Worker struct {
	Config
	cursors   *broker.Bucket
	turns     *pace.Turns
	rates     *pace.Rates
	breaker   *pace.Breaker
	metrics   metrics
	owned     atomic.Int64
	finishing sync.WaitGroup // attempts of partitions that are given up

	mu         sync.Mutex
	partitions map[*partition]bool // that are owned
	circuits   map[string]bool     // that are waited for, by installation
	stopping   <-chan struct{}
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
	config.Retry = config.Retry.Or(defaults)
	dispatcher := *config.Dispatcher
	dispatcher.Backend = patient{dispatcher.Backend}
	config.Dispatcher = &dispatcher
	config.Lease.Worker = config.Name
	cursors, err := config.Broker.Bucket(ctx, broker.Cursors)
	if err != nil {
		return nil, err
	}
	shared, err := config.Broker.Bucket(ctx, broker.Pace)
	if err != nil {
		return nil, err
	}
	w := &Worker{
		Config: config, cursors: cursors, metrics: newMetrics(config.Metrics),
		turns: pace.NewTurns(config.Concurrency), rates: pace.NewRates(shared, config.Broker.Now),
		breaker: pace.NewBreaker(pace.BreakerConfig{
			Broker: config.Broker, Bucket: shared, Worker: config.Name, Logger: config.Logger, Now: config.Broker.Now,
		}),
		partitions: map[*partition]bool{}, circuits: map[string]bool{},
	}
	if config.Metrics != nil {
		config.Metrics.MustRegister(newState(w))
	}
	return w, nil
}

// Run works until ctx ends and then drains: it takes nothing new, lets running
// handlers finish within the grace, and hands everything else over at once.
func (w *Worker) Run(ctx context.Context) {
	w.stopping = ctx.Done()
	defer w.wakeUp(ctx)()
	defer w.Directory.OnChange(w.unblock)()
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { w.trimHistory(ctx) })
	watching.Go(func() { _ = w.breaker.Run(ctx) })
	w.Broker.Share(ctx, w.Lease, w.own)
	w.finishing.Wait()
}

// Owned is how many partitions the worker has at the moment.
func (w *Worker) Owned() int { return int(w.owned.Load()) }

// own works on one partition of every queue until ctx ends. It returns at once
// then: attempts that are being made go on without the partition.
func (w *Worker) own(ctx context.Context, number int) {
	w.owned.Add(1)
	defer w.owned.Add(-1)
	w.Logger.WithField("partition", number).Debug("partition taken")
	running, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	p := newPartition(ctx, running, w, number)
	w.keep(p, true)
	defer w.keep(p, false)
	known := make(chan struct{})
	p.pulls.Go(func() { p.watchParked(ctx, sync.OnceFunc(func() { close(known) })) })
	p.pulls.Go(func() { p.holdAll(ctx) })
	for _, queue := range broker.Queues {
		p.pulls.Go(func() {
			select { // what is parked must not be begun by its doorbell
			case <-ctx.Done():
			case <-known:
				w.Broker.Doorbells(ctx, queue, number, p.ring)
			}
		})
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	lost := errors.Is(cause, broker.ErrLeaseLost)
	if lost {
		cut(cause)
	}
	p.pulls.Wait()
	grace := time.AfterFunc(w.Grace, func() { cut(errDraining) })
	if lost {
		p.returnAll() // a handler that hears nothing must not hold up the next owner
	} else {
		p.handOver()
	}
	w.finishing.Go(func() {
		p.work.Wait()
		grace.Stop()
		cut(nil)
	})
	w.Logger.WithField("partition", number).WithField("reason", cause).Debug("partition given up")
}

func (w *Worker) keep(p *partition, owned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if owned {
		w.partitions[p] = true
	} else {
		delete(w.partitions, p)
	}
}

// unblock looks again at what waits for a change of its installation.
func (w *Worker) unblock() {
	for _, p := range w.owning() {
		p.unblock()
	}
}

func (w *Worker) owning() []*partition {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.partitions))
}
