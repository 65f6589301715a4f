package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// installTwo installs the integration twice, as w1 and w2.
func (w *town) installTwo() {
	w.Helper()
	configuration := json.RawMessage(`{"apiUrl":"` + w.url + `/api"}`)
	_, err := w.store.Apply(w.Context(), store.Desired{
		Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{
			{Bot: "demo", Integration: "acme", Alias: "acme", WebhookID: "w1", Configuration: configuration},
			{Bot: "demo", Integration: "acme", Alias: "other", WebhookID: "w2", Configuration: configuration},
		},
	}, nil)
	if err != nil {
		w.Fatal(err)
	}
}

// event is step n of a key, padded.
func (w *town) event(installation, key string, n int, padding string) event.Event {
	w.Helper()
	body, err := json.Marshal(struct {
		step
		Padding string `json:"padding,omitempty"`
	}{step{key, n}, padding})
	if err != nil {
		w.Fatal(err)
	}
	data, err := json.Marshal(events.Webhook{Req: &events.Request{Method: "POST", Path: "/", Body: body}})
	if err != nil {
		w.Fatal(err)
	}
	id := events.DeliveryID(installation, fmt.Sprintf("%s/%d", key, n))
	return events.New(id, "/webhooks/"+installation, events.WebhookReceived.CloudEventType(), key, time.Now(), data)
}

// post stores step n of a key for an installation and returns its delivery.
func (w *town) post(installation, key string, n int) string {
	w.Helper()
	e := w.event(installation, key, n, "")
	if _, err := w.broker.Enqueue(w.Context(), broker.Webhooks, installation, key, e); err != nil {
		w.Fatal(err)
	}
	return e.ID()
}

// flood posts n steps for each of many keys, and as many without a key.
func (w *town) flood(installation string, keys, n int) {
	w.Helper()
	var publishers sync.WaitGroup
	for part := range 8 {
		publishers.Go(func() {
			for k := part; k < keys; k += 8 {
				for i := range n {
					w.post(installation, fmt.Sprintf("%s-%04d", installation, k), i)
				}
			}
		})
	}
	publishers.Wait()
}

// parked counts what is written down as waiting.
func (w *town) parked() int {
	w.Helper()
	notes, err := w.broker.Bucket(w.Context(), broker.Waiting)
	if err != nil {
		w.Fatal(err)
	}
	keys, err := notes.Keys(w.Context(), ">")
	if err != nil {
		w.Fatal(err)
	}
	return len(keys)
}

// wantEachOnce fails unless the bot was told each step of an installation's
// keys once and in order.
func (w *town) wantEachOnce(keys, n int) {
	w.Helper()
	told := w.steps()
	wrong := 0
	for k := range keys {
		if key := fmt.Sprintf("w1-%04d", k); !cmp.Equal(upTo(n), told[key]) {
			if wrong++; wrong < 4 {
				w.Errorf("key %s: told %v", key, told[key])
			}
		}
	}
	if wrong > 0 {
		w.Errorf("%d of %d keys are wrong", wrong, keys)
	}
}

func TestMoreFailingKeysThanNATSRingsForHoldUpNoOther(t *testing.T) {
	t.Parallel()
	const keys = 1500
	w := newTown(t, 1)
	var mended sync.Map
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if _, ok := mended.Load(0); !ok && r.Key != "good" {
			return handlers.RetryAfter(errors.New("not now"), 15*time.Second)
		}
		return nil
	}
	w.installTwo()
	w.flood("w1", keys, 1)
	a := w.start("a")
	good := w.post("w1", "good", 0)
	began := time.Now()
	w.await("the good key of the same installation", func() bool { return w.ended(good) })
	t.Logf("the good key was through after %s, %d parked", time.Since(began), w.parked())
	w.await("the failing keys to be parked", func() bool { return w.parked() == keys })
	mended.Store(0, true)
	// Whoever comes after knows what is parked, and wakes it.
	a.kill()
	w.start("b")
	w.await("all", func() bool { return w.parked() == 0 && len(w.steps()) == keys+1 })
	w.wantEachOnce(keys, 1)
	for _, r := range w.ran("w1-0000") {
		t.Logf("attempt %d at %s", r.Attempt, r.Worker)
	}
}

func TestBacklogOfADisabledInstallationHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const keys, each = 400, 3
	for _, name := range []string{"drained", "killed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 1)
			w.installTwo()
			if _, err := w.store.SetDisabled(t.Context(), "demo", "acme", true); err != nil {
				t.Fatal(err)
			}
			w.flood("w1", keys, each)
			a := w.start("a")
			other := w.post("w2", "k", 0)
			w.await("the other installation", func() bool { return w.ended(other) })
			if name == "drained" {
				a.drain()
			} else {
				a.kill()
			}
			w.start("b")
			other = w.post("w2", "k", 1)
			w.await("the other installation, at the next worker", func() bool { return w.ended(other) })
			if n := w.parked(); n == 0 || n > 10 {
				t.Errorf("%d places are parked for one backlog", n)
			}
			if _, err := w.store.SetDisabled(t.Context(), "demo", "acme", false); err != nil {
				t.Fatal(err)
			}
			w.await("all", func() bool { return w.parked() == 0 && w.told(keys) == keys*each })
			w.wantEachOnce(keys, each)
		})
	}
}

// told counts what the bot was told of the flood's keys.
func (w *town) told(keys int) int {
	told, n := w.steps(), 0
	for k := range keys {
		n += len(told[fmt.Sprintf("w1-%04d", k)])
	}
	return n
}

func TestSlowInstallationWithALongQueueHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const keys, each = 1200, 2
	w := newTown(t, 1)
	release := make(chan struct{})
	w.webhook = func(ctx context.Context, p handlers.WebhookProps[config], _ run) error {
		if p.Ctx.WebhookID != "w1" {
			return nil
		}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.installTwo()
	w.flood("w1", keys, each)
	few := func(c *worker.Config) { c.Concurrency, c.Grace = 8, 100*time.Millisecond }
	a := w.start("a", few)
	quick := func() {
		began := time.Now()
		var last string
		for n := range 20 {
			last = w.post("w2", fmt.Sprint("k", n%4), n)
		}
		w.await("the quick installation", func() bool { return w.ended(last) })
		t.Logf("twenty of the quick installation took %s", time.Since(began))
	}
	quick()
	a.drain()
	w.start("b", few)
	w.post("w1", "w1-0000", each) // comes after what waits
	close(release)
	w.await("all", func() bool { return w.parked() == 0 && w.told(keys) == keys*each+1 })
	told := w.steps()
	if diff := cmp.Diff(upTo(each+1), told["w1-0000"]); diff != "" {
		t.Error(diff)
	}
	for k := 1; k < keys; k++ {
		if key := fmt.Sprintf("w1-%04d", k); !cmp.Equal(upTo(each), told[key]) {
			t.Errorf("key %s: told %v", key, told[key])
		}
	}
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestPartitionIsHandedOverWhileAHandlerStillRuns(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"busy", ""} {
		t.Run("key "+key, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 1)
			began, release := make(chan struct{}, 9), make(chan struct{})
			w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
				if r.Key == key && r.N == 0 {
					began <- struct{}{}
					<-release
				}
				return nil
			}
			w.install("/api")
			a := w.start("a")
			webhookEvent(w, key, 0)
			receive(w, "the long run", began)
			if key != "" {
				webhookEvent(w, key, 1)
			}
			a.stop()
			drained := time.Now()
			w.start("b")
			webhookEvent(w, "idle", 0)
			w.await("an idle key at the next worker", func() bool { return w.handled("idle", 0) })
			t.Logf("an idle key went on %s after the drain began", time.Since(drained))
			if w.handled(key, 0) {
				t.Fatal("the long run has ended")
			}
			// Longer than the loan lasts that is not renewed.
			webhookEvent(w, "later", 0)
			w.await("the loan's renewal", func() bool { return time.Since(drained) > 7*time.Second })
			close(release)
			<-a.ended
			w.await("the rest of the busy key", func() bool { return w.handled(key, 0) && (key == "" || w.handled(key, 1)) })
			if diff := cmp.Diff([]int{1}, attempts(w.ran(key)[:1])); diff != "" || len(w.ran(key)) != map[bool]int{true: 1, false: 2}[key == ""] {
				t.Errorf("runs %+v", w.ran(key))
			}
			w.await("nothing parked", func() bool { return w.parked() == 0 })
		})
	}
}

func TestHandledHistoryMakesRoomButNotWhatIsParked(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	if err := w.broker.Provision(t.Context(), broker.Topology{Partitions: 1, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	var mended sync.Map
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if _, ok := mended.Load(0); !ok && r.Key == "parked" {
			return handlers.RetryAfter(errors.New("not now"), 10*time.Second)
		}
		return nil
	}
	w.install("/api")
	w.start("a", func(c *worker.Config) { c.Retry.MaxAttempts = 100 })
	accepted, refused := 0, 0
	fill := func(from, n int) (last string) {
		for i := range n {
			e := w.event("w1", "large", from+i, strings.Repeat("x", 4<<10))
			_, err := w.broker.Enqueue(t.Context(), broker.Webhooks, "w1", "large", e)
			switch {
			case errors.Is(err, broker.ErrFull):
				refused++
				continue
			case err != nil:
				t.Fatal(err)
			}
			accepted++
			last = e.ID()
		}
		return last
	}
	early := fill(0, 100)
	w.await("the early ones", func() bool { return w.ended(early) })
	parked := w.post("w1", "parked", 0)
	w.await("it to be parked", func() bool { return w.parked() == 1 })
	late := fill(100, 100)
	w.await("the late ones", func() bool { return w.ended(late) })
	w.await("room", func() bool {
		if _, err := w.broker.TrimHistory(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := w.broker.Get(t.Context(), broker.Webhooks, 1)
		return errors.Is(err, broker.ErrNoMessage)
	})
	fill(200, 200) // until nothing is taken any more: what is parked stays
	if _, err := w.broker.TrimHistory(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(0, true)
	w.await("what was parked", func() bool { return w.ended(parked) })
	w.await("everything accepted", func() bool { return len(w.steps()["large"]) == accepted })
	if n := len(w.letters()); n != 0 || refused == 0 {
		t.Errorf("%d dead letters, %d refused", n, refused)
	}
	t.Logf("accepted=%d refused=%d handled=%d", accepted, refused, len(w.steps()["large"]))
}
