package broker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/pkg/events"
)

// buried stores a webhook of the installation w1, gives it up, and returns its
// letter.
func buried(t *testing.T, b *broker.Broker, key, id, data string) broker.Letter {
	t.Helper()
	receipt, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", key, webhook(id, data))
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Get(t.Context(), broker.Webhooks, receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Bury(t.Context(), m, broker.DeadLetter{
		Operation: events.WebhookReceived, Installation: "w1", Reason: "it failed", Attempts: 1,
		Errors: []broker.Failure{{Attempt: 1, Worker: "a", Error: "boom"}},
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return newestLetter(t, b)
}

func newestLetter(t *testing.T, b *broker.Broker) broker.Letter {
	t.Helper()
	for m, err := range b.Newest(t.Context(), broker.DeadLetters, broker.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		return m.Letter()
	}
	t.Fatal("there is no letter")
	return broker.Letter{}
}

func TestALetterIsSentAgainIntoItsLaneUnderItsOwnID(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	for _, key := range []string{"channel-1", ""} {
		id := "dlv_of_" + key
		letter := buried(t, b, key, id, `{"n":1}`)
		original, err := b.Get(t.Context(), broker.Webhooks, letter.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if letter.Keyed("channel-1") != (key != "") || letter.Keyed("") || letter.Keyed("other") {
			t.Errorf("of %q, the letter tells another key", key)
		}
		var first broker.Receipt
		for again := range 2 { // as after a crash before the letter was removed
			receipt, err := b.Resend(t.Context(), letter)
			if err != nil {
				t.Fatal(err)
			}
			if again == 0 {
				first = receipt
			}
			if receipt.Seq != first.Seq || receipt.Duplicate != (again > 0) || receipt.Seq == letter.Seq {
				t.Errorf("of %q, sent again as %+v", key, receipt)
			}
		}
		m, err := b.Get(t.Context(), broker.Webhooks, first.Seq)
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		want, err := original.Event()
		if err != nil {
			t.Fatal(err)
		}
		want.SetExtension(broker.RetryOf, letter.ID)
		if diff := cmp.Diff(want, e); diff != "" || m.Subject != original.Subject {
			t.Errorf("of %q, in %s instead of %s:\n%s", key, m.Subject, original.Subject, diff)
		}
		if len(m.Header["Nats-Sequence"]) > 1 {
			t.Errorf("headers of NATS are stored: %v", m.Header)
		}
		if err := b.DropLetter(t.Context(), letter.Place); err != nil {
			t.Fatal(err)
		}
		if err := b.DropLetter(t.Context(), letter.Place); err != nil {
			t.Errorf("dropped twice: %v", err)
		}
		if _, err := b.Letter(t.Context(), letter.Place); !errors.Is(err, broker.ErrNoMessage) {
			t.Errorf("the letter is still there: %v", err)
		}
	}
}

func TestALargeBodyIsSentAgainFromItsStreamOrIsLost(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	large := `"` + strings.Repeat("x", 7<<20) + `"`
	letter := buried(t, b, "k", "dlv_large", large)
	if letter.Body != nil {
		t.Fatal("the letter has the body")
	}
	receipt, err := b.Resend(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Get(t.Context(), broker.Webhooks, receipt.Seq)
	if err != nil || string(m.Data) != large {
		t.Fatalf("%d bytes, %v", len(m.Data), err)
	}
	for name, spoil := range map[string]func(l *broker.Letter){
		"gone":           func(l *broker.Letter) { l.Seq = 1000 },
		"another's body": func(l *broker.Letter) { l.Stored = l.Stored.Add(time.Second) },
		"no queue":       func(l *broker.Letter) { l.Stream = broker.Logs },
		"nowhere":        func(l *broker.Letter) { *l = broker.Letter{ID: "dead_1"} },
		"no lane":        func(l *broker.Letter) { l.Subject = "webhooks.1" },
	} {
		spoiled := letter
		spoil(&spoiled)
		if _, err := b.Resend(t.Context(), spoiled); !errors.Is(err, broker.ErrLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCannotBeDecodedIsSentAgainAsItWas(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	letter := buried(t, b, "k", "not UTF-8: \xff", `{}`)
	if letter.Delivery != "" || letter.ID == "" {
		t.Fatalf("letter %+v", letter)
	}
	receipt, err := b.Resend(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Get(t.Context(), broker.Webhooks, receipt.Seq)
	if err != nil || m.Header["ce-id"][0] != letter.Header["ce-id"][0] || m.Header["ce-retryof"][0] != letter.ID {
		t.Errorf("header %v, %v", m.Header, err)
	}
}

func TestWhatIsNoLetterSaysSo(t *testing.T) {
	t.Parallel()
	for _, m := range []broker.Message{
		{Seq: 3, Data: []byte(`{}`)},
		{Seq: 3, Header: map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {"dead_1"}, "ce-source": {"/a"}, "ce-type": {"b"}, "content-type": {"application/json"},
		}, Data: []byte(`[]`)},
	} {
		if letter := m.Letter(); letter.Place != 3 || !strings.Contains(letter.Reason, "cannot be read") {
			t.Errorf("letter %+v", letter)
		}
	}
}

func TestAnEventSentAgainComesToItsOwnSubscriptionAlone(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	failed := make(chan string, 10)
	broken := broker.Subscription{Bot: "demo", Name: "broken", Attempts: 1}
	stop := subscribe(t, b, broken, func(_ context.Context, e event.Event) error {
		defer func() { failed <- e.ID() }()
		return errors.New("the bot cannot do this")
	})
	well := make(chan string, 10)
	subscribe(t, b, broker.Subscription{Bot: "demo", Name: "well"}, func(_ context.Context, e event.Event) error {
		well <- e.ID()
		return nil
	})
	publishTo(t, b, "conv_1", "one")
	receive(t, failed)
	receive(t, well)
	until(t, func() bool { seq, err := b.LastSeq(t.Context(), broker.DeadLetters); return err == nil && seq == 1 })
	stop()
	letter := newestLetter(t, b)
	if !letter.Keyed("conv_1") || letter.Keyed("conv_2") || letter.Subscription == "" {
		t.Errorf("letter %+v", letter)
	}
	receipt, err := b.Resend(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	mended := make(chan string, 10)
	subscribe(t, b, broken, func(_ context.Context, e event.Event) error {
		mended <- e.ID() + " " + events.Extension(e, broker.RetryOf)
		return nil
	})
	got, want := receive(t, mended), "one "+letter.ID
	if got == "one " { // it was stopped before it knew that the letter is stored
		got = receive(t, mended)
	}
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	last := publishTo(t, b, "conv_1", "two")
	if last != receipt.Seq+1 {
		t.Errorf("sent again as %d, before %d", receipt.Seq, last)
	}
	if id := receive(t, well); id != "two" {
		t.Errorf("the other subscription got %s", id)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatal("not in time")
		case <-tick.C:
		}
	}
}

func TestLetterSubjectsSelect(t *testing.T) {
	t.Parallel()
	var got []string
	for _, installation := range []string{"", "w.1"} {
		for _, operation := range []events.Operation{"", events.Ping} {
			got = append(got, broker.LetterSubject(installation, operation))
		}
	}
	want := []string{"deadletters.*.*", "deadletters.*.ping", "deadletters.w=2E1.*", "deadletters.w=2E1.ping"}
	if !slices.Equal(got, want) {
		t.Error(got)
	}
}
