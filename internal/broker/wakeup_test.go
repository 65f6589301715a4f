package broker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/pkg/events"
)

// woken collects what becomes due.
type woken struct {
	mu  sync.Mutex
	at  map[string][]time.Time
	now chan string
}

// listen handles what is due in several workers until the test ends; fail
// refuses what it returns an error for.
func listen(t *testing.T, fail func(id string) error, brokers ...*broker.Broker) *woken {
	t.Helper()
	w := &woken{at: map[string][]time.Time{}, now: make(chan string, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, b := range brokers {
		group.Go(func() {
			b.DueWakeups(ctx, func(_ context.Context, m broker.Message) error {
				e, err := m.Event()
				if err != nil {
					t.Error(err)
					return nil
				}
				if err := fail(e.ID()); err != nil {
					return err
				}
				w.mu.Lock()
				w.at[e.ID()] = append(w.at[e.ID()], time.Now())
				w.mu.Unlock()
				w.now <- e.ID()
				return nil
			})
		})
	}
	t.Cleanup(func() { cancel(); group.Wait() })
	return w
}

func (w *woken) wait(t *testing.T) string {
	t.Helper()
	select {
	case id := <-w.now:
		return id
	case <-time.After(30 * time.Second):
		t.Fatal("nothing becomes due")
		return ""
	}
}

func never(string) error { return nil }

func schedule(t *testing.T, b *broker.Broker, id string, at time.Time) {
	t.Helper()
	if err := b.Schedule(t.Context(), id, at, events.New(id, "/bots/demo", "test", "conv. *>é", time.Now(), []byte(`{}`))); err != nil {
		t.Fatal(err)
	}
}

func TestAWakeupIsNeverEarlyAndComesOnce(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	first, second := server.Connect(t), server.Connect(t)
	w := listen(t, never, first, second)
	begun := time.Now()
	at := map[string]time.Time{"past": begun.Add(-time.Hour), "soon": begun.Add(1500 * time.Millisecond), "moved. *>é": begun.Add(2200 * time.Millisecond)}
	schedule(t, first, "moved. *>é", begun.Add(time.Hour))
	schedule(t, first, "canceled", begun.Add(1200*time.Millisecond))
	for id, due := range at {
		schedule(t, first, id, due)
	}
	for range 2 { // again is no error
		if err := second.Cancel(t.Context(), "canceled"); err != nil {
			t.Fatal(err)
		}
	}
	for range at {
		id := w.wait(t)
		w.mu.Lock()
		got := w.at[id][0]
		w.mu.Unlock()
		if got.Before(at[id]) || got.Sub(begun) > 20*time.Second {
			t.Errorf("%s was due %s after the begin, and came after %s", id, at[id].Sub(begun), got.Sub(begun))
		}
	}
	if last, err := first.LastSeq(t.Context(), broker.Wakeups); err != nil || last == 0 {
		t.Error(last, err)
	}
	if message, err := first.Next(t.Context(), broker.Wakeups, ">", 0); !errors.Is(err, broker.ErrNoMessage) {
		// What was handled last may still be on its way out.
		if !strings.Contains(message.Subject, ".due.") {
			t.Errorf("left in the stream: %s, %v", message.Subject, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, times := range w.at {
		if len(times) != 1 {
			t.Errorf("%s came %d times", id, len(times))
		}
	}
}

func TestAWakeupThatFailsComesAgain(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	var mu sync.Mutex
	failures := 0
	w := listen(t, func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if failures < 2 {
			failures++
			return errors.New("not yet")
		}
		return nil
	}, b)
	schedule(t, b, "x", time.Now())
	if id := w.wait(t); id != "x" || failures != 2 {
		t.Errorf("%s after %d failures", id, failures)
	}
}

func TestWakeupsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() (*embedded.Server, *broker.Broker) {
		server, err := embedded.Start(embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		b, err := broker.Connect(broker.Config{Name: t.Name(), Logger: brokertest.Logger(t), InProcess: server})
		if err != nil {
			t.Fatal(err)
		}
		return server, b
	}
	server, b := start()
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	schedule(t, b, "during the outage", time.Now().Add(time.Second))
	schedule(t, b, "after it", time.Now().Add(3*time.Second))
	schedule(t, b, "canceled", time.Now().Add(2*time.Second))
	if err := b.Cancel(t.Context(), "canceled"); err != nil {
		t.Fatal(err)
	}
	b.Close()
	server.Stop()
	<-time.After(1500 * time.Millisecond)
	server, b = start()
	t.Cleanup(server.Stop)
	t.Cleanup(b.Close)
	w := listen(t, never, b)
	if got := []string{w.wait(t), w.wait(t)}; got[0] != "during the outage" || got[1] != "after it" {
		t.Errorf("due after the restart: %v", got)
	}
}
