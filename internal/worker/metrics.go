package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type metrics struct {
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) metrics {
	m := metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "towpath_attempts_total", Help: "Attempts at deliveries by what was decided after them.",
		}, []string{"integration", "operation", "decision"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "towpath_handler_seconds", Help: "How long handlers ran.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"integration", "operation"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.attempts, m.seconds)
	}
	return m
}

func (m metrics) attempt(integration string, operation events.Operation, decision handlers.Decision, took time.Duration) {
	m.attempts.WithLabelValues(integration, string(operation), string(decision)).Inc()
	m.seconds.WithLabelValues(integration, string(operation)).Observe(took.Seconds())
}
