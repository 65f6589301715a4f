package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
)

func TestFindLooksFromATimeOn(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	ctx := t.Context()
	if _, err := b.FindEnqueued(ctx, broker.Webhooks, "w1", "k", "dlv_1", time.Time{}); !errors.Is(err, broker.ErrNoMessage) {
		t.Errorf("in an empty stream: %v", err)
	}
	var times []time.Time
	for i := range 20 {
		receipt, err := b.Enqueue(ctx, broker.Webhooks, "w1", fmt.Sprint(i%2), webhook(fmt.Sprintf("dlv_%d", i), "{}"))
		if err != nil {
			t.Fatal(err)
		}
		message, err := b.Get(ctx, broker.Webhooks, receipt.Seq)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, message.Stored)
		if _, err := b.PublishEvent(ctx, "demo", "slack", "x", webhook(fmt.Sprintf("evt_%d", i), "{}")); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		id    string
		since time.Time
		found bool
	}{
		"from the beginning":   {"dlv_10", time.Time{}, true},
		"from its own time":    {"dlv_10", times[10], true},
		"from after it":        {"dlv_10", times[11], false},
		"of another lane":      {"dlv_11", time.Time{}, false},
		"from after the last":  {"dlv_10", times[19].Add(time.Second), false},
		"one that never came":  {"dlv_99", time.Time{}, false},
		"the last of the lane": {"dlv_18", times[18], true},
	} {
		message, err := b.FindEnqueued(ctx, broker.Webhooks, "w1", "0", test.id, test.since)
		if test.found && (err != nil || message.Header["ce-id"][0] != test.id) || !test.found && !errors.Is(err, broker.ErrNoMessage) {
			t.Errorf("%s: %v, %v", name, message, err)
		}
	}
	if found, err := b.FindEvent(ctx, "demo", "slack", "x", "evt_7", times[0]); err != nil || found.Seq != 8 {
		t.Errorf("event: %+v, %v", found, err)
	}
}
