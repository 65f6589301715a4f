package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
)

func TestHandledHistoryMakesRoomAndWhatIsWaitingStays(t *testing.T) {
	t.Parallel()
	b := brokertest.StartEmpty(t).Connect(t)
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 2, MaxBytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	fill := func(from int) (stored int) {
		data := `"` + strings.Repeat("x", 1000) + `"`
		for i := from; ; i++ {
			_, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", fmt.Sprint(i%7), webhook(fmt.Sprintf("dlv_%d", i), data))
			if errors.Is(err, broker.ErrFull) {
				return i - from
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	stored := fill(0)
	if gone, err := b.TrimHistory(t.Context()); err != nil || gone != 0 {
		t.Fatalf("%d messages went that nobody had handled, %v", gone, err)
	}
	// One partition's owner handles everything, the other's only the first.
	ctx, cancel := context.WithCancel(t.Context())
	acked := make(chan uint64, stored)
	done := make(chan struct{}, 2)
	left := uint64(0)
	for partition := range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			first := true
			b.Doorbells(ctx, broker.Webhooks, partition, func(d broker.Doorbell) {
				if partition == 0 || first {
					d.Ack()
				} else if left == 0 {
					left = d.Seq
				}
				first = false
				acked <- d.Seq
			})
		}()
	}
	for range stored {
		<-acked
	}
	// Acks are on their way until the connection has carried them all.
	for gone := uint64(0); gone == 0; {
		var err error
		if gone, err = b.TrimHistory(t.Context()); err != nil {
			t.Fatal(err)
		}
		if t.Context().Err() != nil {
			t.Fatal("nothing went")
		}
	}
	cancel()
	<-done
	<-done
	if _, err := b.Get(t.Context(), broker.Webhooks, left); err != nil {
		t.Fatalf("message %d, which waits, is gone: %v", left, err)
	}
	if _, err := b.Get(t.Context(), broker.Webhooks, 1); !errors.Is(err, broker.ErrNoMessage) {
		t.Fatalf("the oldest, which is handled, stays: %v", err)
	}
	if fill(stored) == 0 {
		t.Fatal("no room was made")
	}
}
