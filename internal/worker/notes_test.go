package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// wire is a connection to NATS that can be cut.
type wire struct {
	to interface{ InProcessConn() (net.Conn, error) }

	mu  sync.Mutex
	at  net.Conn
	cut bool
}

// InProcessConn implements nats.InProcessConnProvider.
func (w *wire) InProcessConn() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil, errors.New("cut")
	}
	var err error
	w.at, err = w.to.InProcessConn()
	return w.at, err
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut = cut; cut {
		_ = w.at.Close()
	}
}

// wired has a worker use a connection that can be cut, and a lease that
// outlives that.
func (w *town) wired() (*wire, func(*worker.Config)) {
	w.Helper()
	own := &wire{to: w.server.Server}
	b, err := broker.Connect(broker.Config{Name: "wired", Logger: brokertest.Logger(w.T), InProcess: own})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(b.Close)
	opened, err := store.Open(w.Context(), b)
	if err != nil {
		w.Fatal(err)
	}
	return own, func(c *worker.Config) { c.Broker, c.Store, c.Lease.TTL = b, opened, 20*time.Second }
}

// note returns the only note there is.
func (w *town) note() (key string, bucket *broker.Bucket) {
	w.Helper()
	bucket, err := w.broker.Bucket(w.Context(), broker.Waiting)
	if err != nil {
		w.Fatal(err)
	}
	keys, err := bucket.Keys(w.Context(), ">")
	if err != nil || len(keys) != 1 {
		w.Fatalf("notes %v, %v", keys, err)
	}
	return keys[0], bucket
}

func TestVerdictThatNATSMissesAtFirstStands(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	own, change := w.wired()
	runs := make(chan struct{}, 9)
	w.message = func(context.Context, handlers.MessageProps[config, events.Text], string) error {
		runs <- struct{}{}
		if len(runs) == 1 {
			own.set(true)
			time.AfterFunc(time.Second, func() { own.set(false) })
		}
		return handlers.Permanent(errors.New("the platform says 400"))
	}
	w.install("/api")
	w.start("a", change)
	id := w.tell(w.talk("1"), "x")
	m := w.settled(id)
	d, err := w.store.Delivery(t.Context(), id)
	if err != nil || len(runs) != 1 || m.Ambiguous != 0 || len(d.Errors) != 1 || d.Errors[0].Error != "the platform says 400" {
		t.Errorf("%d runs, message %+v, delivery %+v, %v", len(runs), m, d, err)
	}
}

// A note may be gone while a lane relies on it: by an unpark whose answer was
// lost, or by an owner that was frozen.
func TestNoteThatIsGoneUnderALaneAtWorkStrandsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	began, phase := make(chan struct{}, 9), make(chan struct{})
	w.webhook = func(ctx context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.N == 0 && r.Attempt == 1 {
			return handlers.RetryAfter(errors.New("later"), 6*time.Second)
		}
		began <- struct{}{}
		select {
		case <-phase:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.install("/api")
	a := w.start("a")
	webhookEvent(w, "k", 0)
	w.await("it to be parked", func() bool { return w.parked() == 1 })
	receive(w, "the run with its note still there", began)
	key, notes := w.note()
	if err := notes.Delete(t.Context(), key, 0); err != nil {
		t.Fatal(err)
	}
	webhookEvent(w, "k", 1)
	w.await("another note", func() bool { return w.parked() == 1 })
	a.kill()
	close(phase)
	w.start("b")
	w.await("both", func() bool { return w.handled("k", 0) && w.handled("k", 1) })
}

func TestNoteThatIsGoneUnderABacklogStrandsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.install("/api")
	a := w.start("a")
	w.await("the registration", func() bool {
		i, err := w.store.Installation(t.Context(), "w1")
		return err == nil && i.Status == store.Registered && a.directory.Ready()
	})
	if _, err := w.store.SetDisabled(t.Context(), "demo", "acme", true); err != nil {
		t.Fatal(err)
	}
	w.await("the worker to know", func() bool { i, _ := a.directory.Installation("w1"); return i.Disabled })
	webhookEvent(w, "k", 0)
	w.await("the backlog", func() bool { return w.parked() == 1 })
	key, notes := w.note()
	if err := notes.Delete(t.Context(), key, 0); err != nil {
		t.Fatal(err)
	}
	w.await("another note", func() bool { return w.parked() == 1 })
	webhookEvent(w, "k", 1)
	a.kill()
	if _, err := w.store.SetDisabled(t.Context(), "demo", "acme", false); err != nil {
		t.Fatal(err)
	}
	w.start("b")
	w.await("both", func() bool { return w.handled("k", 0) && w.handled("k", 1) && w.parked() == 0 })
}

// A platform is down and all that waits for it is parked; the worker is
// replaced; the platform comes back.
func TestWhatWaitsForAPlatformGoesOnAtTheNextWorker(t *testing.T) {
	t.Parallel()
	const conversations = 12
	w := newTown(t, 1)
	if err := w.fake.Script(fake.Rule{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	patient := func(c *worker.Config) { c.Retry.MaxAttempts = 100 }
	a := w.start("a", patient)
	var ids []string
	for c := range conversations {
		ids = append(ids, w.tell(w.talk(fmt.Sprint(c)), fmt.Sprint(c)))
	}
	circuits, err := w.broker.Bucket(t.Context(), broker.Pace)
	if err != nil {
		t.Fatal(err)
	}
	w.await("all to be parked, and the circuit open", func() bool {
		left := time.Duration(0)
		err := circuits.Scan(t.Context(), "breaker.*", func(e broker.Entry) {
			var c struct{ Until time.Time }
			if json.Unmarshal(e.Value, &c) == nil {
				left = time.Until(c.Until)
			}
		})
		return err == nil && w.parked() == conversations && left > 4*time.Second
	})
	a.drain()
	w.fake.ClearScript()
	w.start("b", patient)
	for _, id := range ids {
		if m := w.settled(id); m.Status != client.Sent {
			t.Errorf("message %+v", m)
		}
	}
}
