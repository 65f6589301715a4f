package pace_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/pace"
)

// ward is some workers' breakers over one NATS, one clock and one log.
type ward struct {
	*stillClock
	t       *testing.T
	server  *brokertest.Server
	log     *test.Hook
	logger  *logrus.Logger
	workers []*pace.Breaker
	stop    []func()
}

func newWard(t *testing.T, workers int) *ward {
	t.Helper()
	w := &ward{stillClock: newStillClock(), t: t, server: brokertest.Start(t)}
	w.logger, w.log = test.NewNullLogger()
	for i := range workers {
		connected := w.server.Connect(t)
		bucket, err := connected.Bucket(t.Context(), broker.Pace)
		if err != nil {
			t.Fatal(err)
		}
		w.workers = append(w.workers, pace.NewBreaker(pace.BreakerConfig{
			Broker: connected, Bucket: bucket, Worker: fmt.Sprintf("worker-%d", i), Logger: w.logger, Now: w.now,
		}))
		w.stop = append(w.stop, nil)
		w.run(i)
	}
	return w
}

// run lets a worker hear of the others; its stop lets it not.
func (w *ward) run(i int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done, b := make(chan struct{}), w.workers[i]
	go func() {
		defer close(done)
		_ = b.Run(ctx)
	}()
	w.stop[i] = func() {
		cancel()
		<-done
	}
	w.t.Cleanup(w.stop[i])
}

// report lets a worker end attempts at w1, one for each key, that it began while
// all was well.
func (w *ward) report(i int, outcome pace.Outcome, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		w.workers[i].Report(w.t.Context(), pace.Allowed("w1"), key, outcome)
	}
}

func many(n int, keys ...string) []string {
	var all []string
	for i := range n {
		all = append(all, keys[i%len(keys)])
	}
	return all
}

// open opens the circuit of w1, and waits until all workers know.
func (w *ward) open() {
	w.t.Helper()
	w.report(0, pace.Failing, many(10, "a", "b", "c")...)
	w.await(pace.Open)
}

// await waits until all workers that listen know of a state of w1.
func (w *ward) await(want pace.State) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); ; <-tick.C {
		knowing := 0
		for _, b := range w.workers {
			if b.Snapshot()["w1"] == want {
				knowing++
			}
		}
		if knowing == len(w.workers) {
			return
		}
		if time.Since(begun) > 10*time.Second {
			w.t.Fatalf("%d of %d workers know that w1 is %s", knowing, len(w.workers), want)
		}
	}
}

// probes asks for every worker, with many callers at once, and returns those
// who may go.
func (w *ward) probes() (found []pace.Decision, by []int) {
	w.t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, b := range w.workers {
		for range 10 {
			all.Go(func() {
				if d := b.Allow(w.t.Context(), "w1"); d.Go {
					mu.Lock()
					found, by = append(found, d), append(by, i)
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return found, by
}

// probe is the one attempt that is let through.
func (w *ward) probe() (d pace.Decision, by int) {
	w.t.Helper()
	found, workers := w.probes()
	if len(found) != 1 || !found[0].Probe {
		w.t.Fatalf("%d attempts were let through, want one probe", len(found))
	}
	return found[0], workers[0]
}

func (w *ward) lines() []string {
	var lines []string
	for _, e := range w.log.AllEntries() {
		lines = append(lines, e.Level.String()+": "+e.Message)
	}
	return lines
}

func TestCircuitOpensOnlyOnFailuresInARowOfSeveralKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *ward)
		want pace.State
	}{
		"ten failures of three keys": {func(w *ward) { w.report(0, pace.Failing, many(10, "a", "b", "c")...) }, pace.Open},
		"nine failures":              {func(w *ward) { w.report(0, pace.Failing, many(9, "a", "b", "c")...) }, pace.Closed},
		"two poisoned conversations": {func(w *ward) { w.report(0, pace.Failing, many(500, "a", "b")...) }, pace.Closed},
		"and then a third":           {func(w *ward) { w.report(0, pace.Failing, append(many(500, "a", "b"), "c")...) }, pace.Open},
		"answers only":               {func(w *ward) { w.report(0, pace.Answered, many(50, "a", "b", "c")...) }, pace.Closed},
		"nothing found out":          {func(w *ward) { w.report(0, pace.Untouched, many(50, "a", "b", "c")...) }, pace.Closed},
		"nothing found out between": {func(w *ward) {
			w.report(0, pace.Failing, "a", "b", "c", "d", "e")
			w.report(0, pace.Untouched, "a")
			w.report(0, pace.Failing, "a", "b", "c", "d", "e")
		}, pace.Open},
		"an answer between": {func(w *ward) {
			w.report(0, pace.Failing, many(9, "a", "b", "c")...)
			w.report(0, pace.Answered, "d")
			w.report(0, pace.Failing, many(9, "a", "b", "c")...)
		}, pace.Closed},
		"nine seen by each of two": {func(w *ward) {
			w.report(0, pace.Failing, many(9, "a", "b", "c")...)
			w.report(1, pace.Failing, many(9, "a", "b", "c")...)
		}, pace.Closed},
		"ten seen by each of the two": {func(w *ward) {
			w.report(0, pace.Failing, many(10, "a", "b", "c")...)
			w.report(1, pace.Failing, many(10, "a", "b", "c")...)
		}, pace.Open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, 2)
			c.do(w)
			w.await(c.want)
			for i, b := range w.workers {
				if d := b.Allow(t.Context(), "w1"); d.Go != (c.want == pace.Closed) {
					t.Errorf("worker %d is let through: %v", i, d.Go)
				}
				if d := b.Allow(t.Context(), "w2"); !d.Go || d.Probe {
					t.Errorf("another installation is held up: %+v", d)
				}
			}
			if changes := len(w.lines()); changes > 1 || changes == 1 && c.want == pace.Closed {
				t.Errorf("the log says %q", w.lines())
			}
		})
	}
}

func TestOneOfAllWorkersProbesAndItsAnswerClosesTheCircuitForAll(t *testing.T) {
	t.Parallel()
	w := newWard(t, 8)
	w.open()
	var waiting []pace.Decision
	for _, b := range w.workers {
		waiting = append(waiting, b.Allow(t.Context(), "w1"))
	}
	if d := waiting[0]; d.Go || d.Until.Sub(w.now()) > time.Second || d.Until.Sub(w.now()) < 800*time.Millisecond {
		t.Fatalf("refused until %s, %+v", d.Until.Sub(w.now()), d)
	}
	w.pass(time.Second)
	w.await(pace.HalfOpen)
	d, by := w.probe()
	if more, _ := w.probes(); len(more) != 0 {
		t.Fatalf("%d more were let through", len(more))
	}
	for i, d := range waiting {
		select {
		case <-d.Changed:
			t.Errorf("worker %d was woken by the beginning of a probe", i)
		default:
		}
	}
	w.workers[by].Report(t.Context(), d, "a", pace.Answered)
	for _, d := range waiting {
		<-d.Changed
	}
	w.await(pace.Closed)
	if all, _ := w.probes(); len(all) != 80 {
		t.Errorf("%d of 80 are let through when it is closed", len(all))
	}
	want := []string{"warning: platform is failing, its installation's work waits", "info: platform answers again, its installation's work goes on"}
	if diff := cmp.Diff(want, w.lines()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	// It begins anew: one failure of those that are left opens nothing.
	w.report(0, pace.Failing, "a", "b", "c")
	if d := w.workers[0].Allow(t.Context(), "w1"); !d.Go {
		t.Error("three failures opened it again")
	}
}

func TestCircuitIsOpenTwiceAsLongWithEachProbeThatFailsUpToAMinute(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2)
	w.open()
	for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		open := w.workers[1].Allow(t.Context(), "w1").Until.Sub(w.now())
		longest := time.Duration(want) * time.Second
		if open > longest || open < longest*4/5 {
			t.Errorf("the circuit is open for %s the %dth time, want about %s", open, i+1, longest)
		}
		w.pass(open - time.Millisecond)
		if found, _ := w.probes(); len(found) != 0 {
			t.Fatalf("%d were let through early", len(found))
		}
		w.pass(time.Millisecond)
		before := w.workers[0].Allow(t.Context(), "w1")
		if !before.Probe {
			t.Fatalf("no probe: %+v", before)
		}
		w.workers[0].Report(t.Context(), before, "a", pace.Failing)
		w.await(pace.Open)
	}
	for _, line := range w.lines()[1:] {
		if line != "warning: platform is still failing, its installation's work waits" {
			t.Errorf("the log says %q", line)
		}
	}
}

func TestProbeThatFindsNothingOutMakesWayForAnother(t *testing.T) {
	t.Parallel()
	w := newWard(t, 4)
	w.open()
	w.pass(time.Second)
	for range 5 {
		d, by := w.probe()
		var waiting []pace.Decision
		for _, b := range w.workers {
			if refused := b.Allow(t.Context(), "w1"); refused.Changed != nil {
				waiting = append(waiting, refused)
			}
		}
		interrupted, cancel := context.WithCancel(t.Context())
		cancel()
		w.workers[by].Report(interrupted, d, "a", pace.Untouched)
		for _, refused := range waiting {
			<-refused.Changed
		}
	}
}

func TestProbeOfADeadWorkerExpiresAndLateAnswersCount(t *testing.T) {
	t.Parallel()
	w := newWard(t, 4)
	w.open()
	w.pass(time.Second)
	first, by := w.probe()
	w.pass(9 * time.Second)
	if found, _ := w.probes(); len(found) != 0 {
		t.Fatalf("%d were let through while the probe is under way", len(found))
	}
	w.pass(time.Second)
	second, other := w.probe()
	w.workers[by].Report(t.Context(), first, "a", pace.Untouched) // says nothing of the second
	if found, _ := w.probes(); len(found) != 0 {
		t.Fatalf("%d were let through while the second probe is under way", len(found))
	}
	w.workers[other].Report(t.Context(), second, "a", pace.Failing)
	w.await(pace.Open)
	w.workers[by].Report(t.Context(), first, "a", pace.Failing)
	if open := w.workers[by].Allow(t.Context(), "w1").Until.Sub(w.now()); open > 2*time.Second {
		t.Errorf("two probes that failed together opened it for %s", open)
	}
	w.workers[by].Report(t.Context(), first, "a", pace.Answered)
	w.await(pace.Closed)
}

func TestFailuresThatBeganBeforeItOpenedDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWard(t, 1)
	w.open()
	w.report(0, pace.Failing, many(100, "a", "b", "c")...)
	w.report(0, pace.Answered, "a")
	if open := w.workers[0].Allow(t.Context(), "w1"); open.Go || open.Until.Sub(w.now()) > time.Second {
		t.Errorf("what began before changed the circuit: %+v", open)
	}
}

func TestWorkerThatHearsNothingGoesOnWithWhatItKnows(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2)
	w.open()
	w.stop[1]()
	w.pass(time.Second)
	d := w.workers[0].Allow(t.Context(), "w1")
	w.workers[0].Report(t.Context(), d, "a", pace.Answered)
	refused := w.workers[1].Allow(t.Context(), "w1")
	if refused.Go {
		t.Fatal("it is let through by what it cannot know")
	}
	w.run(1)
	<-refused.Changed
	w.await(pace.Closed)
	w.stop[1]()
	w.report(0, pace.Failing, many(10, "a", "b", "c")...)
	if d := w.workers[1].Allow(t.Context(), "w1"); !d.Go || d.Probe {
		t.Fatalf("it is held up by what it cannot know: %+v", d)
	}
	w.run(1)
	w.await(pace.Open)
}

func TestCircuitChangesForNobodyWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	w := newWard(t, 1)
	w.open()
	w.pass(time.Second)
	w.server.Stop()
	d := w.workers[0].Allow(t.Context(), "w1")
	if d.Go || !d.Until.After(w.now()) {
		t.Errorf("probed without NATS: %+v", d)
	}
	other := w.workers[0].Allow(t.Context(), "w2")
	for _, key := range many(12, "a", "b", "c") {
		w.workers[0].Report(t.Context(), other, key, pace.Failing)
	}
	if !w.workers[0].Allow(t.Context(), "w2").Go {
		t.Error("a circuit was opened for one worker only")
	}
	for _, line := range w.lines() {
		if !strings.HasPrefix(line, "debug") && !strings.Contains(line, "platform is failing") {
			t.Errorf("the log says %q", line)
		}
	}
}
