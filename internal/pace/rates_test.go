package pace_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/pace"
	"github.com/towpath/towpath/pkg/handlers"
)

// bucketOf opens the bucket over a connection of its own, as another worker
// has.
func bucketOf(t *testing.T, server *brokertest.Server) *broker.Bucket {
	t.Helper()
	bucket, err := server.Connect(t).Bucket(t.Context(), broker.Pace)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// stillClock is a clock that moves only when it is told to.
type stillClock struct {
	mu sync.Mutex
	at time.Time
}

func newStillClock() *stillClock {
	return &stillClock{at: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)}
}

func (c *stillClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *stillClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// reserve books a place, and tells what was said as "1s" or "no, 1s".
func reserve(t *testing.T, rates *pace.Rates, name string, rate handlers.Rate, most time.Duration) string {
	t.Helper()
	wait, booked, err := rates.Reserve(t.Context(), name, rate, most)
	if err != nil {
		t.Fatal(err)
	}
	if !booked {
		return "no, " + wait.String()
	}
	return wait.String()
}

func TestPlacesAreOneIntervalApartAfterTheBurst(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	for name, c := range map[string]struct {
		rate handlers.Rate
		want []string
	}{
		"one a second":         {handlers.Rate{Limit: 1, Per: time.Second}, []string{"0s", "1s", "2s", "3s", "after 10s", "0s", "1s"}},
		"with a burst":         {handlers.Rate{Limit: 2, Per: time.Second, Burst: 3}, []string{"0s", "0s", "0s", "500ms", "1s", "after 1s", "500ms", "after 3s", "0s", "0s", "0s", "500ms"}},
		"a thousand an hour":   {handlers.Rate{Limit: 1000, Per: time.Hour}, []string{"0s", "3.6s", "7.2s", "after 8s", "2.8s"}},
		"no more than an hour": {handlers.Rate{Limit: 1, Per: 40 * time.Minute}, []string{"0s", "40m0s", "no, 1h20m0s", "no, 1h20m0s", "after 20m", "1h0m0s"}},
		"no limit":             {handlers.Rate{}, []string{"0s", "0s", "0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newStillClock()
			workers := []*pace.Rates{pace.NewRates(bucketOf(t, server), clock.now), pace.NewRates(bucketOf(t, server), clock.now)}
			var got []string
			for i, want := range c.want {
				if pause, ok := after(want); ok {
					clock.pass(pause)
					got = append(got, want)
					continue
				}
				got = append(got, reserve(t, workers[i%2], name, c.rate, time.Hour))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
}

// after reads "after 10s".
func after(s string) (time.Duration, bool) {
	var pause string
	if _, err := fmt.Sscanf(s, "after %s", &pause); err != nil {
		return 0, false
	}
	d, err := time.ParseDuration(pause)
	return d, err == nil
}

func TestPostponedDestinationHasNoPlaceForAnyWorkerBeforeThat(t *testing.T) {
	t.Parallel()
	server, clock := brokertest.Start(t), newStillClock()
	a, b := pace.NewRates(bucketOf(t, server), clock.now), pace.NewRates(bucketOf(t, server), clock.now)
	rate := handlers.Rate{Limit: 10, Per: time.Second, Burst: 5}
	postpone := func(name string, by time.Duration) {
		t.Helper()
		if err := a.Postpone(t.Context(), name, clock.now().Add(by)); err != nil {
			t.Fatal(err)
		}
	}
	postpone("limited", 30*time.Second)
	postpone("limited", 10*time.Second) // asks for less than is agreed
	postpone("unlimited", 30*time.Second)
	postpone("unlimited", -time.Second)
	got := []string{
		reserve(t, b, "limited", rate, 10*time.Second), // parks
		reserve(t, b, "limited", rate, time.Minute), reserve(t, a, "limited", rate, time.Minute),
		reserve(t, b, "unlimited", handlers.Rate{}, time.Minute), reserve(t, a, "unlimited", handlers.Rate{}, time.Second),
		reserve(t, a, "other", rate, time.Minute),
	}
	if diff := cmp.Diff([]string{"no, 30s", "30s", "30.1s", "30s", "no, 30s", "0s"}, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	clock.pass(31 * time.Second)
	got = []string{reserve(t, b, "limited", rate, 0), reserve(t, a, "unlimited", handlers.Rate{}, 0)}
	if diff := cmp.Diff([]string{"0s", "0s"}, got); diff != "" {
		t.Errorf("waits after that (-want +got):\n%s", diff)
	}
}

// together lets callers of each of some workers ask at the same time until all
// have asked so often, and hands over each wait that was told, many at once.
func together(t *testing.T, server *brokertest.Server, now func() time.Time, rate handlers.Rate, workers, callers, times int, told func(time.Duration)) {
	t.Helper()
	var all sync.WaitGroup
	for range workers {
		rates := pace.NewRates(bucketOf(t, server), now)
		for range callers {
			all.Go(func() {
				for range times {
					wait, booked, err := rates.Reserve(t.Context(), "C1", rate, time.Hour)
					if err != nil || !booked {
						t.Errorf("booked %v: %v", booked, err)
						return
					}
					told(wait)
				}
			})
		}
	}
	all.Wait()
}

func TestEightWorkersBookEachPlaceOnceAndLeaveNoneEmpty(t *testing.T) {
	t.Parallel()
	rate := handlers.Rate{Limit: 20, Per: time.Second, Burst: 5}
	var mu sync.Mutex
	var got, want []time.Duration
	together(t, brokertest.Start(t), newStillClock().now, rate, 8, 5, 10, func(wait time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, wait)
	})
	slices.Sort(got)
	for i := range 400 {
		want = append(want, max(0, time.Duration(i-4)*50*time.Millisecond))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func TestEightWorkersKeepTheRateWhileTimeGoesOn(t *testing.T) {
	t.Parallel()
	// A caller may wait longer than it was told to, on a busy machine.
	const late = 150 * time.Millisecond
	rate := handlers.Rate{Limit: 20, Per: time.Second, Burst: 5}
	var mu sync.Mutex
	var passed []time.Time
	together(t, brokertest.Start(t), time.Now, rate, 8, 2, 6, func(wait time.Duration) {
		<-time.After(wait)
		mu.Lock()
		defer mu.Unlock()
		passed = append(passed, time.Now())
	})
	slices.SortFunc(passed, time.Time.Compare)
	for i, begin := range passed {
		for _, window := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			end, _ := slices.BinarySearchFunc(passed, begin.Add(window), time.Time.Compare)
			if most := rate.Burst + int((window+late)/rate.Interval()); end-i > most {
				t.Errorf("%d passed within %s, want at most %d", end-i, window, most)
			}
		}
	}
}

func TestCallersOfOneWorkerShareAWrite(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	together(t, server, time.Now, handlers.Rate{Limit: 10_000, Per: time.Second}, 1, 1000, 1, func(time.Duration) {})
	bucket := bucketOf(t, server)
	keys, err := bucket.Keys(t.Context(), ">")
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v: %v", keys, err)
	}
	if entry, err := bucket.Get(t.Context(), keys[0]); err != nil || entry.Revision > 500 {
		t.Errorf("1000 places took %d writes: %v", entry.Revision, err)
	}
}

func TestFullDestinationIsRefusedFromMemory(t *testing.T) {
	t.Parallel()
	server, clock := brokertest.Start(t), newStillClock()
	connected := server.Connect(t)
	bucket, err := connected.Bucket(t.Context(), broker.Pace)
	if err != nil {
		t.Fatal(err)
	}
	rates, rate := pace.NewRates(bucket, clock.now), handlers.Rate{Limit: 1, Per: time.Minute}
	if got := reserve(t, rates, "C1", rate, 0); got != "0s" {
		t.Fatalf("told %s", got)
	}
	connected.Close()
	if got := reserve(t, rates, "C1", rate, 30*time.Second); got != "no, 1m0s" {
		t.Errorf("told %s", got)
	}
	if _, booked, err := rates.Reserve(t.Context(), "C1", rate, time.Hour); !errors.Is(err, broker.ErrUnavailable) || booked {
		t.Errorf("booked %v without NATS: %v", booked, err)
	}
	if err := rates.Postpone(t.Context(), "C1", clock.now().Add(time.Hour)); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("postponed without NATS: %v", err)
	}
}

func TestCallerThatGivesUpHoldsUpNobody(t *testing.T) {
	t.Parallel()
	rates := pace.NewRates(bucketOf(t, brokertest.Start(t)), time.Now)
	enough := errors.New("enough")
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if i%2 == 0 { // at some moment on the way
				defer time.AfterFunc(time.Duration(i)*50*time.Microsecond, func() { cancel(enough) }).Stop()
			}
			_, booked, err := rates.Reserve(ctx, "C1", handlers.Rate{Limit: 100, Per: time.Second}, time.Hour)
			if gaveUp := i%2 == 0 && errors.Is(err, enough); !booked && !gaveUp {
				t.Errorf("caller %d has no place: %v", i, err)
			}
		})
	}
	all.Wait()
}

func TestIdleDestinationVanishesAndBeginsAnew(t *testing.T) {
	t.Parallel()
	bucket := bucketOf(t, brokertest.Start(t))
	rates, rate := pace.NewRates(bucket, time.Now), handlers.Rate{Limit: 1, Per: time.Second}
	_ = reserve(t, rates, "C1", rate, 0)
	gone, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := bucket.Watch(gone, ">", func() {}, func(e broker.Entry) {
		if e.Deleted {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("it did not vanish: %v", err)
	}
	if got := reserve(t, rates, "C1", rate, time.Minute); got != "0s" {
		t.Errorf("told %s after it had vanished", got)
	}
	if got := reserve(t, rates, "C1", rate, 0); got[:3] != "no," {
		t.Errorf("told %s, the place after it had vanished was not booked", got)
	}
}
