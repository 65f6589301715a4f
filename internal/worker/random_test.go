package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/handlers"
)

// reckoning is an account of what went in and what came out, kept apart from
// what is tested.
type reckoning struct {
	accepted, stored, handled, events, lost, doubled, misordered int
}

func (r reckoning) String() string {
	return fmt.Sprintf("accepted=%d stored=%d handled=%d events=%d lost=%d doubled=%d misordered=%d",
		r.accepted, r.stored, r.handled, r.events, r.lost, r.doubled, r.misordered)
}

// reckon counts the events of what was accepted, by key.
func (w *town) reckon(accepted map[string]int) reckoning {
	w.Helper()
	r := reckoning{stored: len(w.all(broker.Webhooks, ">"))}
	told := w.steps()
	for key, n := range accepted {
		r.accepted += n
		times := make([]int, n)
		last := -1
		for _, one := range told[key] {
			r.events++
			times[one]++
			if one < last && key != "" {
				r.misordered++
			}
			last = max(last, one)
		}
		for i, seen := range times {
			if w.handled(key, i) {
				r.handled++
			}
			if seen == 0 {
				r.lost++
			}
			r.doubled += max(seen-1, 0)
		}
	}
	return r
}

// flaky fails at random, in every way a handler can, before and after its
// effect. Most attempts succeed.
func flaky(dice *dice) func(context.Context, handlers.WebhookProps[config], run) error {
	return func(ctx context.Context, p handlers.WebhookProps[config], r run) error {
		pause := time.NewTimer(time.Duration(dice.n(8)) * time.Millisecond)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if dice.n(4) > 0 {
			return nil
		}
		switch dice.n(4) {
		case 0:
			panic("at random")
		case 1:
			return handlers.RetryAfter(errors.New("too many requests"), 10*time.Millisecond)
		case 2: // the effect is made, and the attempt fails after it
			return errors.Join(stepped.Fire(ctx, p.Client, r.step), errors.New("afterwards"))
		}
		return errors.New("at random")
	}
}

// dice are thrown by many.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

// TestNothingIsLostDoubledOrMisordered restarts and kills workers at random
// while webhooks come in. TOWPATH_RANDOM_STEPS and TOWPATH_RANDOM_SEED make it
// longer and make it the same again.
func TestNothingIsLostDoubledOrMisordered(t *testing.T) {
	t.Parallel()
	steps, seed := fromEnvironment(t, "TOWPATH_RANDOM_STEPS", 40), fromEnvironment(t, "TOWPATH_RANDOM_SEED", int(time.Now().UnixNano()))
	t.Logf("seed %d", seed)
	const keys, workers = 8, 3
	d := &dice{rand: rand.New(rand.NewPCG(uint64(seed), 1))}
	w := newTown(t, 4)
	w.webhook = flaky(d)
	w.install("/api")
	begin := func(name string) *process {
		return w.start(name, func(c *worker.Config) {
			c.Retry = handlers.RetryPolicy{MaxAttempts: 1000, Base: 5 * time.Millisecond, Cap: 50 * time.Millisecond}
			c.Grace = time.Duration(d.n(20)) * time.Millisecond
			if c.Grace == 0 {
				c.Grace = time.Second
			}
		})
	}
	var running []*process
	for i := range workers {
		running = append(running, begin(fmt.Sprint("w", i)))
	}
	cursors := w.watchCursors()
	accepted := map[string]int{}
	restarts, kills := 0, 0
	for n := range steps {
		for k := range keys {
			key := fmt.Sprintf("k%d", k)
			if k == 0 {
				key = ""
			}
			webhookEvent(w, key, n)
			if d.n(10) == 0 {
				webhookEvent(w, key, d.n(n+1)) // the platform says it again
			}
			accepted[key]++
		}
		if n%(steps/10) != steps/20 {
			continue
		}
		victim := d.n(workers)
		if d.n(2) == 0 {
			kills++
			running[victim].kill()
		} else {
			restarts++
			running[victim].drain()
		}
		running[victim] = begin(fmt.Sprintf("w%d.%d", victim, n))
	}
	w.await("the end of all", func() bool {
		for key, n := range accepted {
			for i := n - 1; i >= 0; i-- {
				if !w.handled(key, i) {
					return false
				}
				if key != "" {
					break // in order, so the last one is enough
				}
			}
		}
		return true
	})
	got := w.reckon(accepted)
	t.Logf("%s runs=%d drained=%d killed=%d", got, len(w.runs), restarts, kills)
	want := reckoning{accepted: keys * steps, stored: keys * steps, handled: keys * steps, events: keys * steps}
	if got != want {
		t.Errorf("seed %d: %s", seed, got)
	}
	if n := cursors(); n > 0 {
		t.Errorf("cursors went back %d times", n)
	}
	if letters := w.letters(); len(letters) > 0 {
		t.Errorf("%d dead letters, the first for %s", len(letters), letters[0].Reason)
	}
}

func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
