package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func webhook(id, data string) event.Event {
	return events.New(id, "/webhooks/w1", events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(data))
}

func TestEnqueueKeepsOrderPerKeyAndDropsDuplicates(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	ctx := t.Context()
	for i := range 10 {
		for range 2 {
			receipt, err := b.Enqueue(ctx, broker.Webhooks, "w1", "channel-1", webhook(fmt.Sprintf("dlv_%d", i), fmt.Sprintf(`{"n":%d}`, i)))
			if err != nil {
				t.Fatal(err)
			}
			if receipt.Seq != uint64(i+1) {
				t.Fatalf("message %d stored as %d", i, receipt.Seq)
			}
		}
	}
	first, err := b.Get(ctx, broker.Webhooks, 1)
	if err != nil {
		t.Fatal(err)
	}
	lane := first.Lane()
	if lane.Installation() != "w1" || lane.Keyless() {
		t.Fatalf("lane %q", lane)
	}
	var cursor uint64
	for i := range 10 {
		message, err := b.Next(ctx, broker.Webhooks, string(lane), cursor)
		if err != nil {
			t.Fatal(err)
		}
		e, err := message.Event()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("dlv_%d", i); e.ID() != want {
			t.Fatalf("message %d is %s", i, e.ID())
		}
		cursor = message.Seq
	}
	if _, err := b.Next(ctx, broker.Webhooks, string(lane), cursor); !errors.Is(err, broker.ErrNoMessage) {
		t.Fatalf("after the last message: %v", err)
	}
}

func TestProvisionIsIdempotentAndRefusesOtherPartitions(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 8}); err == nil {
		t.Fatal("another number of partitions was taken")
	}
}

func TestReadyTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	server := brokertest.StartEmpty(t)
	b := server.Connect(t)
	if err := b.Ready(t.Context()); !errors.Is(err, broker.ErrNotProvisioned) {
		t.Fatalf("without streams: %v", err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for b.Ready(ctx) == nil || !errors.Is(b.Ready(ctx), broker.ErrUnavailable) {
		if ctx.Err() != nil {
			t.Fatal("ready although the server is gone")
		}
	}
	started := time.Now()
	if _, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", "", webhook("dlv_x", `{}`)); !errors.Is(err, broker.ErrUnavailable) {
		t.Fatalf("enqueue without a server: %v", err)
	}
	if waited := time.Since(started); waited > 3*time.Second {
		t.Fatalf("said so after %s", waited)
	}
}

func TestFullStreamRefuses(t *testing.T) {
	t.Parallel()
	b := brokertest.StartEmpty(t).Connect(t)
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 1, MaxBytes: 2048}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		_, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", "", webhook(fmt.Sprintf("dlv_%d", i), `{"some":"data that fills the stream"}`))
		if errors.Is(err, broker.ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("a stream of 2 KiB took 100 messages")
}

func TestBucketWritesAreConditional(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	ctx := t.Context()
	users, err := b.Bucket(ctx, broker.Users)
	if err != nil {
		t.Fatal(err)
	}
	key := broker.Key("demo", "a.b c")
	if _, err := users.Get(ctx, key); !errors.Is(err, broker.ErrNoKey) {
		t.Fatalf("missing key: %v", err)
	}
	revision, err := users.Create(ctx, key, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Create(ctx, key, []byte("2")); !errors.Is(err, broker.ErrConflict) {
		t.Fatalf("second create: %v", err)
	}
	if _, err := users.Update(ctx, key, []byte("3"), revision); err != nil {
		t.Fatal(err)
	}
	if _, err := users.Update(ctx, key, []byte("4"), revision); !errors.Is(err, broker.ErrConflict) {
		t.Fatalf("stale update: %v", err)
	}
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			if _, err := users.Modify(ctx, "demo.count", func(v []byte) ([]byte, error) { return append(v, 'x'), nil }); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	entry, err := users.Get(ctx, "demo.count")
	if err != nil || len(entry.Value) != 16 {
		t.Fatalf("16 writers left %q, %v", entry.Value, err)
	}
	keys, err := users.Keys(ctx, "demo.*")
	if err != nil || len(keys) != 2 {
		t.Fatalf("keys %v, %v", keys, err)
	}
}
