package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
)

// repark writes a note anew, whatever is there.
func repark(ctx context.Context, b *broker.Broker, p broker.Parked) {
	there, err := b.ParkedAt(ctx, p.Place)
	if err != nil && !errors.Is(err, broker.ErrNoKey) {
		return
	}
	p.Revision = there.Revision
	_, _ = b.Park(ctx, p)
}

func waiting(key string) broker.Place {
	return broker.Place{Queue: broker.Webhooks, Installation: "w1", Key: key}
}

// What is parked again and again while others come and go is still parked.
func TestHistoryBelowWhatIsParkedStays(t *testing.T) {
	t.Parallel()
	server := brokertest.StartEmpty(t)
	b := server.Connect(t)
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 1, MaxBytes: 1 << 19}); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		_, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", fmt.Sprintf("k%d", n), webhook(fmt.Sprint(n), `"`+strings.Repeat("x", 1000)+`"`))
		if errors.Is(err, broker.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	old := broker.Parked{Place: waiting("old"), After: 0, Why: "backoff"} // message 1; all others are handled
	repark(t.Context(), b, old)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var busy sync.WaitGroup
	t.Cleanup(func() { stop(); busy.Wait() })
	busy.Go(func() { b.Doorbells(ctx, broker.Webhooks, 0, func(d broker.Doorbell) { d.Ack() }) })
	busy.Go(func() {
		again := time.NewTicker(2 * time.Millisecond)
		defer again.Stop()
		for ctx.Err() == nil {
			<-again.C
			repark(ctx, b, old)
		}
	})
	for g := range 2 { // others come and go
		c := server.Connect(t)
		busy.Go(func() {
			again := time.NewTicker(time.Millisecond)
			defer again.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-again.C
				p := broker.Parked{Place: waiting(fmt.Sprintf("g%d-%d", g, n)), After: 1e6, Why: "backoff"}
				_, _ = c.Park(ctx, p)
				_ = c.Unpark(ctx, p.Place, 0)
			}
		})
	}
	for n := range 100 {
		gone, err := b.TrimHistory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if gone > 0 {
			t.Fatalf("call %d purged %d messages, the one that is parked first", n, gone)
		}
	}
	if _, err := b.Get(t.Context(), broker.Webhooks, 1); err != nil {
		t.Errorf("what is parked is gone: %v", err)
	}
}

func TestANoteIsWrittenOverOnlyByWhoKnowsIt(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	p := broker.Parked{Place: waiting("k"), After: 5, Why: "backoff"}
	revision, err := b.Park(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Park(t.Context(), p); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("parked over another's note: %v", err)
	}
	if err := b.Unpark(t.Context(), p.Place, revision+7); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("unparked another's note: %v", err)
	}
	there, err := b.ParkedAt(t.Context(), p.Place)
	if err != nil || there.After != 5 || there.Place != p.Place || there.Revision != revision {
		t.Errorf("parked %+v, %v", there, err)
	}
	if err := b.Unpark(t.Context(), p.Place, revision); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ParkedAt(t.Context(), p.Place); !errors.Is(err, broker.ErrNoKey) {
		t.Errorf("still parked: %v", err)
	}
	if _, err := b.Park(t.Context(), p); err != nil {
		t.Errorf("not parked again: %v", err)
	}
}
