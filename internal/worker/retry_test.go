package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func attempts(runs []run) []int {
	var all []int
	for _, r := range runs {
		all = append(all, r.Attempt)
	}
	return all
}

func TestAttemptsGoOnCountingAtAnotherWorker(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k", ""} {
		t.Run("key "+key, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 2)
			failed := make(chan int, 9)
			w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
				failed <- r.Attempt
				if r.Attempt < 6 {
					return fmt.Errorf("failure %d", r.Attempt)
				}
				return nil
			}
			w.install("/api")
			slow := func(c *worker.Config) {
				c.Retry = handlers.RetryPolicy{MaxAttempts: 9, Base: 300 * time.Millisecond, Cap: 300 * time.Millisecond}
			}
			a := w.start("a", slow)
			webhookEvent(w, key, 0)
			for range 2 {
				receive(w, "an attempt at a", failed)
			}
			a.drain()
			b := w.start("b", slow)
			for range 2 {
				receive(w, "an attempt at b", failed)
			}
			b.kill()
			w.start("c", slow)
			w.await("the end", func() bool { return w.handled(key, 0) })
			var counts []int
			for _, r := range w.ran(key) {
				counts = append(counts, r.Attempt)
			}
			t.Logf("attempts %v", counts)
			for i, n := range counts {
				if n != i+1 {
					t.Errorf("attempts %v", counts)
				}
			}
			if last := counts[len(counts)-1]; last != 6 {
				t.Errorf("the last attempt was %d", last)
			}
			if diff := cmp.Diff(map[string][]int{key: {0}}, w.steps()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatThePlatformAskedForIsWaitedAlsoThroughADrain(t *testing.T) {
	t.Parallel()
	const keys, asked = 8, 2 * time.Second
	w := newTown(t, 2)
	failed := make(chan struct{}, keys)
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.Attempt == 1 {
			failed <- struct{}{}
			return handlers.RetryAfter(errors.New("too many requests"), asked)
		}
		return nil
	}
	w.install("/api")
	a := w.start("a")
	name := func(k int) string {
		if k%2 == 0 {
			return "" // without a key
		}
		return fmt.Sprint(k)
	}
	for k := range keys {
		webhookEvent(w, name(k), k)
	}
	for range keys {
		receive(w, "a first attempt", failed)
	}
	// Every lane waits now, or is about to.
	w.start("b")
	a.drain()
	for k := range keys {
		w.await("the end", func() bool { return w.handled(name(k), k) })
	}
	first := map[string]time.Time{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		id := fmt.Sprint(r.Key, "/", r.N)
		if r.Attempt == 1 {
			first[id] = r.At
			continue
		}
		if waited := r.At.Sub(first[id]); waited < asked || r.Worker != "b" || r.Attempt != 2 {
			t.Errorf("%s: attempt %d at %s after %s, asked for %s", id, r.Attempt, r.Worker, waited, asked)
		}
	}
	if len(w.runs) != 2*keys {
		t.Errorf("%d runs, want %d", len(w.runs), 2*keys)
	}
}

func TestGivenUpDeliveriesAreDeadLettersAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail   func(attempt int) error
		want   []string // errors of the letter
		reason string
	}{
		"permanent": {func(int) error { return handlers.Permanent(errors.New("no such channel")) },
			[]string{"no such channel"}, "an unexpected error occurred in the integration; its log has the cause"},
		"for the bot's owner": {func(int) error { return handlers.NewRuntimeError("invite the bot first", errors.New("private")) },
			[]string{"invite the bot first: private"}, "invite the bot first"},
		"too often": {func(n int) error { return fmt.Errorf("failure %d", n) },
			[]string{"failure 1", "failure 2", "failure 3", "failure 4", "failure 5"},
			"an unexpected error occurred in the integration; its log has the cause"},
		"permanent at last": {func(n int) error {
			if n == 3 {
				return handlers.Permanent(errors.New("enough"))
			}
			return fmt.Errorf("failure %d", n)
		}, []string{"failure 1", "failure 2", "enough"}, "an unexpected error occurred in the integration; its log has the cause"},
		"panics": {func(n int) error { panic(n) }, []string{"panic: 1", "panic: 2", "panic: 3", "panic: 4", "panic: 5"},
			"an unexpected error occurred in the integration; its log has the cause"},
		"longer than a day": {func(int) error { return handlers.RetryAfter(errors.New("come back on Monday"), 72*time.Hour) },
			[]string{"come back on Monday"}, "an unexpected error occurred in the integration; its log has the cause"},
	} {
		for _, key := range []string{"k", ""} {
			t.Run(name+" "+key, func(t *testing.T) {
				t.Parallel()
				w := newTown(t, 1)
				w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
					if r.N == 0 {
						return c.fail(r.Attempt)
					}
					return nil
				}
				w.install("/api")
				receipt := webhookEvent(w, key, 0)
				webhookEvent(w, key, 1)
				w.start("a")
				w.await("the next delivery", func() bool { return w.handled(key, 1) && w.handled(key, 0) })
				letters := w.letters()
				if len(letters) != 1 {
					t.Fatalf("%d dead letters", len(letters))
				}
				letter := letters[0]
				var got []string
				for i, e := range letter.Errors {
					got = append(got, e.Error)
					if e.Attempt != i+1 || e.Worker != "a" || time.Since(e.At) > time.Minute {
						t.Errorf("failure %+v", e)
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				stored, err := w.broker.Get(t.Context(), broker.Webhooks, receipt.Seq)
				if err != nil {
					t.Fatal(err)
				}
				want := broker.DeadLetter{
					Delivery: delivery(key, 0), Operation: events.WebhookReceived, Installation: "w1", Reason: c.reason, Attempts: len(c.want),
					Errors: letter.Errors, Stream: broker.Webhooks, Subject: stored.Subject, Seq: stored.Seq, Stored: letter.Stored,
					Header: stored.Header, Body: stored.Data,
				}
				if diff := cmp.Diff(want, letter); diff != "" || !letter.Stored.Equal(stored.Stored) {
					t.Error(diff)
				}
				if diff := cmp.Diff(map[string][]int{key: {1}}, w.steps()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestWhatCannotBeDecodedIsADeadLetterAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.install("/api")
	w.start("a")
	put := func(queue broker.Stream, id, typ, lane, data string) {
		t.Helper()
		if _, err := w.broker.Enqueue(t.Context(), queue, "w1", lane, events.New(id, "/bots/demo", typ, "", time.Now(), []byte(data))); err != nil {
			t.Fatal(err)
		}
	}
	for _, lane := range []string{"k", ""} {
		webhookEvent(w, "before"+lane, 0)
		put(broker.Webhooks, "not UTF-8: \xff"+lane, "towpath.webhook_received", lane, `{}`)
		put(broker.Webhooks, "no operation"+lane, "acme.thing", lane, `{}`)
		put(broker.Webhooks, "no JSON"+lane, "towpath.webhook_received", lane, `{"req":`)
		put(broker.Commands, "msg_no_JSON"+lane, "towpath.message_created", lane, `{"message":`)
		put(broker.Commands, "msg_no_message"+lane, "towpath.message_created", lane, `{}`)
		put(broker.Commands, "act_no_JSON"+lane, "towpath.action_triggered", lane, `[]`)
		put(broker.Commands, "not supported"+lane, "towpath.create_user", lane, `{}`)
		w.enqueue(broker.Webhooks, "after"+lane, 1, lane)
		w.enqueue(broker.Commands, "after"+lane, 2, lane)
	}
	for _, lane := range []string{"k", ""} {
		for n := 1; n <= 2; n++ {
			w.await("what comes after", func() bool { return w.handled("after"+lane, n) })
		}
	}
	w.await("14 dead letters", func() bool { return len(w.letters()) == 14 })
	for _, letter := range w.letters() {
		t.Logf("%s %q: %s", letter.Stream, letter.Delivery, letter.Reason)
		if len(letter.Body) == 0 || len(letter.Header) == 0 || letter.Installation != "w1" {
			t.Errorf("letter %+v", letter)
		}
	}
}

// The stream knows ids for two minutes, in each queue apart; a worker knows
// them for a week, wherever the delivery comes from.
func TestDeliveryThatWasHandledRunsNoSecondTime(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	w.install("/api")
	a := w.start("a")
	webhookEvent(w, "k", 0)
	webhookEvent(w, "", 0)
	w.await("the first ones", func() bool { return w.handled("k", 0) && w.handled("", 0) })
	w.enqueue(broker.Commands, "k", 0, "k")
	w.enqueue(broker.Commands, "", 0, "")
	w.enqueue(broker.Commands, "last", 0, "k")
	w.await("what comes after", func() bool { return w.handled("last", 0) })
	a.drain()
	w.start("b")
	w.enqueue(broker.Webhooks, "last", 1, "last")
	w.await("what comes after at another worker", func() bool { return w.handled("last", 1) })
	if n := len(w.ran("k")) + len(w.ran("")); n != 2 {
		t.Errorf("2 deliveries that came twice ran %d times", n)
	}
	if diff := cmp.Diff(map[string][]int{"k": {0}, "": {0}, "last": {0, 1}}, w.steps()); diff != "" {
		t.Error(diff)
	}
}

// A platform that was not answered sends again, maybe after the stream has
// forgotten the id, and while no worker has come to the first copy yet.
func TestCopiesOfADeliveryThatWaitTogetherRunOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	began, release := make(chan run, 9), make(chan struct{})
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		began <- r
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.install("/api")
	for _, key := range []string{"k", ""} {
		w.enqueue(broker.Webhooks, key, 0, key)
		if key == "" { // a lane is serial anyway
			w.enqueue(broker.Commands, key, 0, key)
		}
	}
	w.start("a")
	for range 2 {
		receive(w, "a run", began)
	}
	select {
	case r := <-began:
		t.Errorf("%+v began beside its copy", r)
	case <-time.After(300 * time.Millisecond):
	}
	close(release)
	w.enqueue(broker.Webhooks, "last", 0, "last")
	w.await("the end", func() bool { return w.handled("k", 0) && w.handled("", 0) && w.handled("last", 0) })
	if diff := cmp.Diff(map[string][]int{"k": {0}, "": {0}, "last": {0}}, w.steps()); diff != "" {
		t.Error(diff)
	}
}

func TestHandledTellsHowItEnded(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.Attempt < 3 {
			return errors.New("not now")
		}
		return nil
	}
	w.install("/api")
	w.start("a")
	webhookEvent(w, "k", 0)
	var got store.Delivery
	if err := w.store.WatchEnd(t.Context(), delivery("k", 0), func(h store.Delivery) { got = h }); err != nil {
		t.Fatal(err)
	}
	if got.Outcome != store.Finished || got.Attempts != 3 || got.Worker != "a" {
		t.Errorf("handled %+v", got)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, attempts(w.ran("k"))); diff != "" {
		t.Error(diff)
	}
}
