package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestDrainFinishesWhatRunsBeginsNothingAndHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	const keys = 4
	w := newTown(t, 2)
	began, release := make(chan run, 64), make(chan struct{})
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		began <- r
		if r.Worker == "a" {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	w.install("/api")
	a := w.start("a")
	for n := range 3 {
		for k := range keys {
			webhookEvent(w, fmt.Sprint(k), n)
		}
	}
	for range keys {
		receive(w, "the first of each key", began)
	}
	b := w.start("b")
	a.stop()
	// While a's handlers run, their keys stay with a.
	close(release)
	<-a.ended
	ended := time.Now()
	w.await("all", func() bool {
		for k := range keys {
			if !w.handled(fmt.Sprint(k), 2) {
				return false
			}
		}
		return true
	})
	t.Logf("the other worker was through %s after the drained one had ended; it owns %d", time.Since(ended), b.worker.Owned())
	for k := range keys {
		runs := w.ran(fmt.Sprint(k))
		want := []run{{step{fmt.Sprint(k), 0}, "a", 1, runs[0].At}, {step{fmt.Sprint(k), 1}, "b", 1, runs[1].At}, {step{fmt.Sprint(k), 2}, "b", 1, runs[2].At}}
		if diff := cmp.Diff(want, runs, cmp.AllowUnexported(run{})); diff != "" {
			t.Error(diff)
		}
		if waited := runs[1].At.Sub(ended); waited > time.Second {
			t.Errorf("the other worker went on after %s", waited)
		}
	}
	if diff := cmp.Diff(map[string][]int{"0": upTo(3), "1": upTo(3), "2": upTo(3), "3": upTo(3)}, w.steps()); diff != "" {
		t.Error(diff)
	}
}

func TestHandlerThatOutlivesTheGraceIsCutAndItsAttemptDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k", ""} {
		t.Run("key "+key, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 1)
			began := make(chan run, 9)
			w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
				began <- r
				if r.Worker == "a" {
					<-ctx.Done()
					return handlers.Permanent(ctx.Err())
				}
				return nil
			}
			w.install("/api")
			a := w.start("a", func(c *worker.Config) { c.Grace = 100 * time.Millisecond })
			webhookEvent(w, key, 0)
			receive(w, "the run at a", began)
			a.drain()
			w.start("b")
			w.await("the end", func() bool { return w.handled(key, 0) })
			if diff := cmp.Diff([]int{1, 1}, attempts(w.ran(key))); diff != "" {
				t.Error(diff)
			}
			if n := len(w.letters()); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

func TestKilledWorkersKeysGoOnElsewhereWithoutDoubleEffects(t *testing.T) {
	t.Parallel()
	const keys = 8
	w := newTown(t, 2)
	began := make(chan run, 64)
	w.webhook = func(ctx context.Context, p handlers.WebhookProps[config], r run) error {
		if err := stepped.Fire(ctx, p.Client, step{r.Key + " begins", r.N}); err != nil {
			return err
		}
		began <- r
		if r.Worker == "a" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	w.install("/api")
	// The default lease, which the five seconds are promised with.
	lease := func(c *worker.Config) { c.Lease = broker.Lease{} }
	a, b := w.start("a", lease), w.start("b", lease)
	w.await("a fair share", func() bool { return a.worker.Owned() == 1 && b.worker.Owned() == 1 })
	want, at := map[string][]int{}, map[string]int{}
	for k := range keys {
		key := fmt.Sprint(k)
		webhookEvent(w, key, 0)
		webhookEvent(w, "", k)
		want[key], want[key+" begins"] = []int{0}, []int{0}
	}
	for range 2 * keys {
		at[receive(w, "the first of each", began).Worker]++
	}
	if at["a"] < 2 {
		t.Fatalf("the keys began at %v", at)
	}
	killed := time.Now()
	a.kill()
	w.await("all", func() bool {
		for k := range keys {
			if !w.handled(fmt.Sprint(k), 0) || !w.handled("", k) {
				return false
			}
		}
		return true
	})
	w.mu.Lock()
	first, last, again := time.Hour, time.Duration(0), 0
	for _, r := range w.runs {
		if r.At.After(killed) {
			first, last, again = min(first, r.At.Sub(killed)), max(last, r.At.Sub(killed)), again+1
		}
	}
	w.mu.Unlock()
	t.Logf("%d deliveries of a killed worker began elsewhere after %s, the last of them after %s", again, first, last)
	if last > 5*time.Second || again != at["a"] {
		t.Errorf("%d of %d deliveries, after %s, want less than 5 s", again, at["a"], last)
	}
	told := w.steps()
	for _, key := range []string{"", " begins"} {
		slices.Sort(told[key])
		want[key] = upTo(keys)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// A worker whose session vanished does not know before it renews it. Until
// then it and its successors work on the same lanes.
func TestTwoOwnersAtOnceMakeEverythingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const keys, each = 6, 25
	w := newTown(t, 2)
	began := make(chan struct{}, keys*each*4)
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		began <- struct{}{}
		if r.N%5 == 2 && r.Attempt == 1 {
			return errors.New("not now")
		}
		return nil
	}
	w.install("/api")
	cursors := w.watchCursors()
	a := w.start("a", func(c *worker.Config) { c.Lease = broker.Lease{TTL: 40 * time.Second, Renew: 30 * time.Second} })
	w.await("the first owner", func() bool { return a.worker.Owned() == 2 })
	leases, err := w.broker.Bucket(t.Context(), broker.Leases)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := leases.Keys(t.Context(), "session.*")
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions %v, %v", sessions, err)
	}
	if err := leases.Delete(t.Context(), sessions[0], 0); err != nil {
		t.Fatal(err)
	}
	b := w.start("b")
	w.await("the second owner", func() bool { return b.worker.Owned() == 2 })
	var publishers sync.WaitGroup
	for k := range keys {
		publishers.Go(func() {
			for n := range each {
				webhookEvent(w, fmt.Sprint(k), n)
			}
		})
	}
	publishers.Wait()
	for k := range keys {
		w.await("the last of each key", func() bool { return w.handled(fmt.Sprint(k), each-1) })
	}
	want := map[string][]int{}
	at := map[string]int{}
	for k := range keys {
		want[fmt.Sprint(k)] = upTo(each)
		for _, r := range w.ran(fmt.Sprint(k)) {
			at[r.Worker]++
		}
	}
	t.Logf("owned %d and %d; runs of %d deliveries with %d failures: %v", a.worker.Owned(), b.worker.Owned(), keys*each, keys*each/5, at)
	if a.worker.Owned()+b.worker.Owned() <= 2 || at["a"] == 0 || at["b"] == 0 {
		t.Error("no partition had two owners to the end")
	}
	if diff := cmp.Diff(want, w.steps()); diff != "" {
		t.Error(diff)
	}
	if n := cursors(); n > 0 {
		t.Errorf("cursors went back %d times", n)
	}
}

// watchCursors follows every lane's cursor and tells how often one went back.
func (w *town) watchCursors() (wentBack func() int) {
	w.Helper()
	bucket, err := w.broker.Bucket(w.Context(), broker.Cursors)
	if err != nil {
		w.Fatal(err)
	}
	var mu sync.Mutex
	at, back := map[string]uint64{}, 0
	ctx, stop := context.WithCancel(context.WithoutCancel(w.Context()))
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = bucket.Watch(ctx, ">", func() { close(ready) }, func(e broker.Entry) {
			var cursor struct{ Seq uint64 }
			if e.Deleted || json.Unmarshal(e.Value, &cursor) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if cursor.Seq < at[e.Key] {
				back++
			}
			at[e.Key] = cursor.Seq
		})
	}()
	w.Cleanup(func() { stop(); <-ended })
	receive(w, "the cursors", ready)
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return back
	}
}

// A handler that hears nothing, neither that its lease is lost nor that
// somebody else was faster, changes nothing when it comes back.
func TestFrozenWorkerThatComesBackDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	began, thaw := make(chan struct{}), make(chan struct{})
	returned := make(chan error, 1)
	w.webhook = func(ctx context.Context, p handlers.WebhookProps[config], r run) error {
		if r.Worker == "b" {
			return nil
		}
		close(began)
		<-thaw
		err := stepped.Fire(context.WithoutCancel(ctx), p.Client, r.step)
		returned <- err
		return err
	}
	w.install("/api")
	cursors := w.watchCursors()
	often := func(c *worker.Config) { c.Retry.MaxAttempts = 100 } // a slow machine loses leases, too
	w.start("a", often)
	webhookEvent(w, "k", 0)
	receive(w, "the run at a", began)
	leases, err := w.broker.Bucket(t.Context(), broker.Leases)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := leases.Keys(t.Context(), "session.*")
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions %v, %v", sessions, err)
	}
	if err := leases.Delete(t.Context(), sessions[0], 0); err != nil {
		t.Fatal(err)
	}
	w.start("b", often)
	for n := 1; n < 4; n++ {
		webhookEvent(w, "k", n)
	}
	w.await("the other worker", func() bool { return w.handled("k", 3) })
	close(thaw)
	if err := receive(w, "the end at a", returned); err != nil {
		t.Error(err)
	}
	webhookEvent(w, "k", 4)
	w.await("what comes after", func() bool { return w.handled("k", 4) })
	if diff := cmp.Diff(map[string][]int{"k": upTo(5)}, w.steps()); diff != "" {
		t.Error(diff)
	}
	if n := cursors(); n > 0 {
		t.Errorf("cursors went back %d times", n)
	}
}
