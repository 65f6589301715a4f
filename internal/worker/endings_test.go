package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// unconfirmed is a backend whose first acks are stored, but not confirmed.
type unconfirmed struct {
	client.Backend
	left atomic.Int64
}

// Do implements client.Backend.
func (u *unconfirmed) Do(ctx context.Context, call client.Call, in, out any) error {
	err := u.Backend.Do(ctx, call, in, out)
	if err == nil && call.Operation.Name == "updateMessage" && u.left.Add(-1) >= 0 {
		return fmt.Errorf("ack: %w", broker.ErrUnavailable)
	}
	return err
}

func TestAnAckWithoutConfirmationIsRepeatedAndTheMessageIsNot(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.install("/api")
	w.start("a", func(c *worker.Config) {
		backend := &unconfirmed{Backend: c.Store}
		backend.left.Store(3)
		c.Dispatcher.Backend = backend
	})
	message := w.settled(w.tell(w.talk("c1"), "once"))
	if message.Status != client.Sent || message.AckedAt == nil || message.Ambiguous != 0 {
		t.Fatalf("the message ended as %+v", message)
	}
	if sent := w.fake.Requests(); len(sent) != 1 {
		t.Fatalf("the platform got %d requests", len(sent))
	}
}

func TestALargeDeliveryThatFailsForGoodDoesNotBlockItsLane(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.webhook = func(_ context.Context, _ handlers.WebhookProps[config], r run) error {
		if r.N == 0 {
			return handlers.Permanent(errors.New("never"))
		}
		return nil
	}
	w.install("/api")
	body := `{"key":"large","n":0,"pad":"` + strings.Repeat("x", 7<<20) + `"}`
	data, err := json.Marshal(events.Webhook{Req: &events.Request{Method: "POST", Path: "/", Body: []byte(body)}})
	if err != nil {
		t.Fatal(err)
	}
	e := events.New(delivery("large", 0), "/webhooks/w1", events.WebhookReceived.CloudEventType(), "large", time.Now(), data)
	if _, err := w.broker.Enqueue(t.Context(), broker.Webhooks, "w1", "large", e); err != nil {
		t.Fatal(err)
	}
	webhookEvent(w, "large", 1)
	w.start("a")
	w.await("the next of its lane", func() bool { return w.handled("large", 1) })
	letters := w.letters()
	if len(letters) != 1 || letters[0].Delivery != delivery("large", 0) || letters[0].Seq == 0 || letters[0].Body != nil {
		t.Fatalf("%d dead letters", len(letters))
	}
}

func TestOneInstallationDoesNotTakeEverySlot(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	release := make(chan struct{})
	var hanging atomic.Int64
	w.webhook = func(ctx context.Context, p handlers.WebhookProps[config], _ run) error {
		if p.Ctx.WebhookID != "w1" {
			return nil
		}
		hanging.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	configuration := json.RawMessage(`{"apiUrl":"` + w.url + `/api"}`)
	_, err := w.store.Apply(t.Context(), store.Desired{
		Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{
			{Bot: "demo", Integration: "acme", Alias: "acme", WebhookID: "w1", Configuration: configuration},
			{Bot: "demo", Integration: "acme", Alias: "other", WebhookID: "w2", Configuration: configuration},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.start("a", func(c *worker.Config) { c.Concurrency = 4 })
	for n := range 8 {
		w.enqueue(broker.Webhooks, fmt.Sprint("hangs", n), n, fmt.Sprint("hangs", n))
	}
	w.await("its share of the slots", func() bool { return hanging.Load() == 2 })
	data, err := json.Marshal(events.Webhook{Req: &events.Request{Method: "POST", Path: "/", Body: []byte(`{"key":"k","n":1}`)}})
	if err != nil {
		t.Fatal(err)
	}
	id := events.DeliveryID("w2", "1")
	e := events.New(id, "/webhooks/w2", events.WebhookReceived.CloudEventType(), "k", time.Now(), data)
	if _, err := w.broker.Enqueue(t.Context(), broker.Webhooks, "w2", "k", e); err != nil {
		t.Fatal(err)
	}
	w.await("the other installation's delivery", func() bool { return w.ended(id) })
	if n := hanging.Load(); n != 2 {
		t.Errorf("%d handlers of the hanging installation run at once, its share is 2", n)
	}
	close(release)
	for n := range 8 {
		w.await("those that hung", func() bool { return w.handled(fmt.Sprint("hangs", n), n) })
	}
}
