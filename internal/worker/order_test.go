package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestOrderPerKeyOverSeveralWorkers(t *testing.T) {
	t.Parallel()
	const keys, each = 6, 15
	w := newTown(t, 4)
	var busy sync.Map
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if other, taken := busy.LoadOrStore(r.Key, r.N); taken {
			t.Errorf("%s: %d began while %v was running", r.Key, r.N, other)
		}
		defer busy.Delete(r.Key)
		if r.N%4 == 1 && r.Attempt == 1 {
			return errors.New("not now")
		}
		return nil
	}
	w.install("/api")
	for _, name := range []string{"a", "b", "c"} {
		w.start(name)
	}
	want := map[string][]int{}
	for n := range each {
		for k := range keys {
			webhookEvent(w, fmt.Sprintf("k%d", k), n)
			want[fmt.Sprintf("k%d", k)] = upTo(each)
		}
	}
	for k := range keys {
		w.await("the last of each key", func() bool { return w.handled(fmt.Sprintf("k%d", k), each-1) })
	}
	if diff := cmp.Diff(want, w.steps()); diff != "" {
		t.Error(diff)
	}
}

func TestBlockedKeyDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	release := make(chan struct{})
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.Key == "blocked" && r.N == 0 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	}
	w.install("/api")
	w.start("a")
	for n := range 3 {
		webhookEvent(w, "blocked", n)
	}
	for n := range 5 {
		webhookEvent(w, "free", n)
	}
	w.await("the free key", func() bool { return w.handled("free", 4) })
	if len(w.ran("blocked")) > 1 || w.handled("blocked", 0) {
		t.Fatal("the blocked key went on")
	}
	close(release)
	w.await("the blocked key", func() bool { return w.handled("blocked", 2) })
	if diff := cmp.Diff(map[string][]int{"blocked": upTo(3), "free": upTo(5)}, w.steps()); diff != "" {
		t.Error(diff)
	}
}

// A consumer lets no more than a thousand doorbells be held at once.
func TestFailingKeyWithALongQueueDelaysNoOther(t *testing.T) {
	t.Parallel()
	const waiting = 1100
	w := newTown(t, 1)
	release := make(chan struct{})
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		select {
		case <-release:
			return nil
		default:
		}
		if r.Key == "failing" {
			return handlers.RetryAfter(errors.New("not now"), 300*time.Millisecond)
		}
		return nil
	}
	w.install("/api")
	endless := func(c *worker.Config) { c.Retry.MaxAttempts = 1000 }
	a := w.start("a", endless)
	webhookEvent(w, "failing", 0)
	w.await("the first failure", func() bool { return len(w.ran("failing")) > 0 })
	var publishers sync.WaitGroup
	for p := range 8 {
		publishers.Go(func() {
			for n := 1 + p; n < waiting; n += 8 {
				webhookEvent(w, "failing", n)
			}
		})
	}
	publishers.Wait()
	webhookEvent(w, "other", 0)
	began := time.Now()
	w.await("the other key", func() bool { return w.handled("other", 0) })
	t.Logf("the other key waited %s behind %d of a failing key", time.Since(began), waiting)
	// Whoever goes on finds all that waits, although most doorbells are silent.
	a.kill()
	b := w.start("b", endless)
	w.await("the failing key at the other worker", func() bool {
		runs := w.ran("failing")
		return runs[len(runs)-1].Worker == "b"
	})
	webhookEvent(w, "another", 0)
	w.await("another key", func() bool { return w.handled("another", 0) })
	close(release)
	w.await("half of the failing key", func() bool { return len(w.ran("failing")) > waiting/2 })
	b.kill()
	w.start("c", endless)
	w.await("the failing key", func() bool { return len(w.steps()["failing"]) == waiting })
}

func TestDeliveriesWithoutKeyRunAtOnce(t *testing.T) {
	t.Parallel()
	const together = 8
	w := newTown(t, 2)
	var arrived sync.WaitGroup
	arrived.Add(together)
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.Attempt > 1 {
			return nil
		}
		arrived.Done()
		all := make(chan struct{})
		go func() { arrived.Wait(); close(all) }()
		select {
		case <-all:
			return errors.New("and each fails once")
		case <-ctx.Done():
			return handlers.Permanent(ctx.Err())
		}
	}
	w.install("/api")
	a, b := w.start("a"), w.start("b")
	w.await("a fair share", func() bool { return a.worker.Owned() == 1 && b.worker.Owned() == 1 })
	for n := range together {
		webhookEvent(w, "", n)
	}
	for n := range together {
		w.await("a delivery", func() bool { return w.handled("", n) })
	}
	if got := len(w.steps()[""]); got != together {
		t.Errorf("%d events, want %d", got, together)
	}
	if runs := len(w.ran("")); runs != 2*together {
		t.Errorf("%d runs, want %d", runs, 2*together)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	var mu sync.Mutex
	at, most := 0, 0
	meet := make(chan struct{}, 64)
	w.webhook = func(context.Context, handlers.WebhookProps[config], run) error {
		mu.Lock()
		at++
		most = max(most, at)
		mu.Unlock()
		select { // give others the time to come in
		case <-meet:
		case <-time.After(50 * time.Millisecond):
		}
		mu.Lock()
		at--
		mu.Unlock()
		return nil
	}
	w.install("/api")
	w.start("a", func(c *worker.Config) { c.Concurrency = 3 })
	for n := range 20 {
		webhookEvent(w, "", n)
	}
	for n := range 20 {
		w.await("a delivery", func() bool { return w.handled("", n) })
	}
	if most > 3 {
		t.Errorf("%d handlers ran at once, want 3 at most", most)
	}
}
