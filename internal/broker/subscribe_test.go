package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/pkg/events"
)

func TestSubscriptionGoesOnWhereItWasInOrderPerConversation(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	const conversations, each = 5, 20
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			for c := range conversations {
				id := fmt.Sprintf("msg_%d_%d", c, i)
				e := events.New(id, "/bots/demo", "message_created", fmt.Sprintf("conv_%d", c), time.Now(), []byte(`{}`))
				if _, err := b.PublishEvent(t.Context(), "demo", "slack", "message_created", e); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var mu sync.Mutex
	got := map[string][]string{}
	failures := 0
	read := func(want int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen := 0
		err := b.Subscribe(ctx, broker.Subscription{Bot: "demo", Name: "test"}, func(_ context.Context, m broker.Message) error {
			e, err := m.Event()
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if failures < 3 {
				failures++
				return errors.New("the bot is not ready")
			}
			got[e.Subject()] = append(got[e.Subject()], e.ID())
			if seen++; seen == want {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	publish(0, each/2)
	read(conversations * each / 2)
	publish(each/2, each)
	read(conversations * each / 2)
	for c := range conversations {
		ids := got[fmt.Sprintf("conv_%d", c)]
		if len(ids) != each {
			t.Fatalf("conversation %d got %d events, want %d", c, len(ids), each)
		}
		for i, id := range ids {
			if want := fmt.Sprintf("msg_%d_%d", c, i); id != want {
				t.Fatalf("conversation %d: event %d is %s", c, i, id)
			}
		}
	}
}

func TestASubscriptionToTypesSeesNoOthers(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	for i, typ := range []string{"slack:ping", "slack:pong", "other:ping", "message_created"} {
		alias, name, ok := strings.Cut(typ, ":")
		if !ok {
			alias, name = "slack", typ
		}
		e := events.New(fmt.Sprintf("evt_%d", i), "/bots/demo", typ, "", time.Now(), []byte(`{}`))
		if _, err := b.PublishEvent(t.Context(), "demo", alias, name, e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	got := map[string]bool{}
	subscription := broker.Subscription{Bot: "demo", Name: "typed", Types: []string{"slack:message_created", "message_created", "slack:ping", "slack:ping"}}
	err := b.Subscribe(ctx, subscription, func(_ context.Context, m broker.Message) error {
		e, err := m.Event()
		mu.Lock()
		defer mu.Unlock()
		got[e.Type()] = true
		if len(got) == 2 {
			cancel()
		}
		return err
	})
	if !errors.Is(err, context.Canceled) || !got["slack:ping"] || !got["message_created"] || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

// publishTo stores events of a conversation for the bot demo, as many as there
// are ids.
func publishTo(t *testing.T, b *broker.Broker, conversation string, ids ...string) (last uint64) {
	t.Helper()
	for _, id := range ids {
		e := events.New(id, "/bots/demo", "message_created", conversation, time.Now(), []byte(`{}`))
		receipt, err := b.PublishEvent(t.Context(), "demo", "slack", "message_created", e)
		if err != nil {
			t.Fatal(err)
		}
		last = receipt.Seq
	}
	return last
}

// subscribe reads in the background until the test ends, or stop is called.
func subscribe(t *testing.T, b *broker.Broker, s broker.Subscription, handle func(context.Context, event.Event) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- b.Subscribe(ctx, s, func(ctx context.Context, m broker.Message) error {
			e, err := m.Event()
			if err != nil {
				return err
			}
			return handle(ctx, e)
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func receive(t *testing.T, got <-chan string) string {
	t.Helper()
	select {
	case id := <-got:
		return id
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is handed over any more")
		return ""
	}
}

func TestConversationsGoOnBesideOneThatIsStuck(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	var stuck []string
	for i := range 300 {
		stuck = append(stuck, fmt.Sprintf("stuck_%d", i))
	}
	publishTo(t, b, "conv_stuck", stuck...)
	for i := range 300 { // and beside many
		publishTo(t, b, fmt.Sprintf("conv_stuck_%d", i), fmt.Sprintf("alone_%d", i))
	}
	publishTo(t, b, "conv_good", "good")
	got := make(chan string, 1000)
	subscribe(t, b, broker.Subscription{Bot: "demo", Name: "test"}, func(_ context.Context, e event.Event) error {
		if e.Subject() != "conv_good" {
			return errors.New("the bot cannot do this")
		}
		got <- e.ID()
		return nil
	})
	if id := receive(t, got); id != "good" {
		t.Errorf("got %s", id)
	}
}

func TestAnEventThatABotCannotHandleBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	publishTo(t, b, "conv_1", "one")
	poison := publishTo(t, b, "conv_1", "poison")
	last := publishTo(t, b, "conv_1", "three", "four")
	got := make(chan string, 10)
	subscription := broker.Subscription{Bot: "demo", Name: "test", Attempts: 2}
	stop := subscribe(t, b, subscription, func(_ context.Context, e event.Event) error {
		got <- e.ID()
		if e.ID() == "poison" {
			return errors.New("the bot cannot do this")
		}
		return nil
	})
	for _, want := range []string{"one", "poison", "poison", "three", "four"} {
		if id := receive(t, got); id != want {
			t.Fatalf("got %s, want %s", id, want)
		}
	}
	stop()
	if cursor := cursorOf(t, b); cursor != last {
		t.Errorf("the cursor is at %d of %d", cursor, last)
	}
	message, err := b.Next(t.Context(), broker.DeadLetters, "deadletters.demo.event_received", 0)
	if err != nil {
		t.Fatal(err)
	}
	var letter struct {
		Delivery, Operation, Installation, Reason string
		Attempts                                  int
		Stream                                    broker.Stream
		Seq                                       uint64
		Body                                      []byte
	}
	if err := json.Unmarshal(message.Data, &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Delivery != "poison" || letter.Operation != string(broker.EventReceived) || letter.Installation != "demo" ||
		letter.Reason != "the bot cannot do this" || letter.Attempts != 2 || letter.Stream != broker.Events ||
		letter.Seq != poison || string(letter.Body) != "{}" {
		t.Errorf("letter %+v", letter)
	}
	if _, err := b.Next(t.Context(), broker.DeadLetters, ">", message.Seq); !errors.Is(err, broker.ErrNoMessage) {
		t.Errorf("there is a second letter, or %v", err)
	}
}

func cursorOf(t *testing.T, b *broker.Broker) uint64 {
	t.Helper()
	cursors, err := b.Bucket(t.Context(), broker.Cursors)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := cursors.Get(t.Context(), broker.Key("bot", "demo", "test"))
	if errors.Is(err, broker.ErrNoKey) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := strconv.ParseUint(string(entry.Value), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

func TestASubscriptionWritesOnWhenItsCursorIsNotAsItBelieved(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	cursors, err := b.Bucket(t.Context(), broker.Cursors)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	stop := subscribe(t, b, broker.Subscription{Bot: "demo", Name: "test"}, func(_ context.Context, e event.Event) error {
		got <- e.ID()
		return nil
	})
	last := publishTo(t, b, "conv_1", "one")
	for receive(t, got); cursorOf(t, b) != last; { // it is written down from time to time
		if t.Context().Err() != nil {
			t.Fatal("the cursor was never written")
		}
	}
	// As if the ack of a write of its own had been lost.
	if _, err := cursors.Put(t.Context(), broker.Key("bot", "demo", "test"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	last = publishTo(t, b, "conv_1", "two")
	receive(t, got)
	stop()
	if cursor := cursorOf(t, b); cursor != last {
		t.Errorf("the cursor is at %d, want %d", cursor, last)
	}
	stop = subscribe(t, b, broker.Subscription{Bot: "demo", Name: "test"}, func(_ context.Context, e event.Event) error {
		// Somebody else under the same name has come further.
		_, err := cursors.Put(t.Context(), broker.Key("bot", "demo", "test"), []byte("1000"))
		got <- e.ID()
		return err
	})
	publishTo(t, b, "conv_1", "three")
	if id := receive(t, got); id != "three" {
		t.Errorf("got %s", id)
	}
	stop()
	if cursor := cursorOf(t, b); cursor != 1000 {
		t.Errorf("the cursor went back to %d", cursor)
	}
}

func TestASubscriptionEndsWhenItsConnectionDoes(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	publishTo(t, server.Connect(t), "conv_1", "one")
	own := server.Connect(t)
	ended := make(chan error, 1)
	entered := make(chan string, 1)
	go func() {
		ended <- own.Subscribe(t.Context(), broker.Subscription{Bot: "demo", Name: "test"}, func(ctx context.Context, m broker.Message) error {
			entered <- m.Subject
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	receive(t, entered)
	own.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended as if all were well")
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}
