package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/handlers"
)

// measured returns a metric's value, summed over the labels that are not given.
func measured(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			given := map[string]string{}
			for _, l := range m.GetLabel() {
				given[l.GetName()] = l.GetValue()
			}
			matches := true
			for i := 0; i < len(labels); i += 2 {
				matches = matches && given[labels[i]] == labels[i+1]
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestMetricsTellWhatIsDoneAndWhatWaits(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	release := make(chan struct{})
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		switch strings.TrimRight(r.Key, "0123456789") {
		case "parked":
			return handlers.RetryAfter(errors.New("not now"), time.Minute)
		case "wrong":
			return handlers.Permanent(errors.New("no"))
		case "slow":
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return nil
	}
	w.install("/api")
	registry := prometheus.NewPedanticRegistry()
	w.start("a", func(c *worker.Config) { c.Metrics, c.Concurrency = registry, 4 })
	want := func(value float64, name string, labels ...string) {
		t.Helper()
		w.await(fmt.Sprintf("%s%v to be %v", name, labels, value), func() bool { return measured(t, registry, name, labels...) == value })
	}
	webhookEvent(w, "good", 0)
	webhookEvent(w, "wrong", 0)
	webhookEvent(w, "parked", 0)
	want(1, "towpath_deliveries_total", "integration", "acme", "operation", "webhook_received", "outcome", "done")
	want(1, "towpath_deliveries_total", "outcome", "dead_letter")
	want(3, "towpath_attempts_total", "operation", "webhook_received")
	want(3, "towpath_handler_duration_seconds", "operation", "webhook_received")
	want(3, "towpath_delivery_wait_seconds", "operation", "webhook_received")
	want(1, "towpath_parked_lanes", "reason", "backoff")
	want(1, "towpath_partitions_owned")
	for n := range 4 { // its share is two
		webhookEvent(w, fmt.Sprint("slow", n), 0)
	}
	want(2, "towpath_handlers_running")
	w.await("something to wait", func() bool {
		return measured(t, registry, "towpath_handlers_waiting") > 0 && measured(t, registry, "towpath_oldest_waiting_seconds") > 0.1
	})
	close(release)
	want(0, "towpath_handlers_waiting")
	want(0, "towpath_oldest_waiting_seconds")
	w.enqueue("COMMANDS", "good", 0, "good") // what came twice is handled once
	want(1, "towpath_duplicate_deliveries_total")
}
