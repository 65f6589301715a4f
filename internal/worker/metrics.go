package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/towpath/towpath/internal/pace"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// metrics are what a worker counts.
type metrics struct {
	attempts, deliveries, duplicates, died, cost *prometheus.CounterVec
	handler, waited                              *prometheus.HistogramVec
}

// buckets reach from a millisecond to a minute.
var buckets = prometheus.ExponentialBuckets(0.001, 4, 9)

func newMetrics(registerer prometheus.Registerer) metrics {
	kind := []string{"integration", "operation"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(kind, labels...))
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, kind)
	}
	m := metrics{
		attempts:   counter("towpath_attempts_total", "Attempts at deliveries by what was decided after them.", "decision"),
		deliveries: counter("towpath_deliveries_total", "Deliveries that came to their end, by how.", "outcome"),
		duplicates: counter("towpath_duplicate_deliveries_total", "Deliveries that came again and were not handled again."),
		died:       counter("towpath_died_attempts_total", "Attempts whose worker died or lost its lease."),
		cost:       counter("towpath_cost_units_total", "What actions cost, in units of their integration."),
		handler:    histogram("towpath_handler_duration_seconds", "How long handlers ran."),
		waited:     histogram("towpath_delivery_wait_seconds", "How long deliveries waited from being stored to their first attempt."),
	}
	if registerer != nil {
		registerer.MustRegister(m.attempts, m.deliveries, m.duplicates, m.died, m.cost, m.handler, m.waited)
	}
	return m
}

func (m metrics) attempt(integration string, operation events.Operation, decision handlers.Decision, took time.Duration) {
	m.attempts.WithLabelValues(integration, string(operation), string(decision)).Inc()
	m.handler.WithLabelValues(integration, string(operation)).Observe(took.Seconds())
}

func (m metrics) end(integration string, operation events.Operation, past store.Delivery) {
	m.deliveries.WithLabelValues(integration, string(operation), string(past.Outcome)).Inc()
	if past.Cost != 0 {
		m.cost.WithLabelValues(integration, string(operation)).Add(past.Cost)
	}
}

// state is what a worker looks like at a moment.
type state struct {
	worker *Worker

	partitions, running, waiting, backlogs, oldest, parked, circuits *prometheus.Desc
}

func newState(w *Worker) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &state{
		worker:     w,
		partitions: desc("towpath_partitions_owned", "Partitions that this worker works on."),
		running:    desc("towpath_handlers_running", "Handlers that run."),
		waiting:    desc("towpath_handlers_waiting", "Attempts that wait for a turn."),
		backlogs:   desc("towpath_backlogs", "Installations in a partition of which more waits than is rung for."),
		oldest:     desc("towpath_oldest_waiting_seconds", "For how long the delivery has waited that waits longest for a turn; scale by this."),
		parked:     desc("towpath_parked_lanes", "Lanes that wait and hold up nobody, by why.", "reason"),
		circuits:   desc("towpath_circuits", "Installations whose platform does not work, by the state of the circuit.", "state"),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, to) }

// Collect implements prometheus.Collector.
func (s *state) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	running, waiting := s.worker.turns.Total()
	gauge(s.partitions, s.worker.Owned())
	gauge(s.running, running)
	gauge(s.waiting, waiting)
	parked, backlogs, oldest := map[string]int{backoff: 0, blocked: 0, limited: 0, busy: 0, behind: 0}, 0, time.Time{}
	for _, p := range s.worker.owning() {
		backlogs += p.survey(parked, &oldest)
	}
	gauge(s.backlogs, backlogs)
	for reason, n := range parked {
		gauge(s.parked, n, reason)
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(0, s.worker.Broker.Now().Sub(oldest).Seconds())
	}
	to <- prometheus.MustNewConstMetric(s.oldest, prometheus.GaugeValue, age)
	circuits := map[pace.State]int{pace.Open: 0, pace.HalfOpen: 0}
	for _, state := range s.worker.breaker.Snapshot() {
		circuits[state]++
	}
	for state, n := range circuits {
		gauge(s.circuits, n, state.String())
	}
}

// survey adds what is parked by why, and finds what waits for a turn since
// when; it returns how many backlogs there are.
func (p *partition) survey(parked map[string]int, oldest *time.Time) (backlogs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kept := range p.parked {
		parked[kept.Why]++
	}
	for _, l := range p.lanes {
		if !l.queued.IsZero() && (oldest.IsZero() || l.queued.Before(*oldest)) {
			*oldest = l.queued
		}
	}
	return len(p.backlogs)
}
