package replay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bury enqueues a delivery and gives it up.
func bury(t *testing.T, b *broker.Broker, queue broker.Stream, id string) broker.Message {
	t.Helper()
	e := events.New(id, "/webhooks/w1", events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(`{}`))
	receipt, err := b.Enqueue(t.Context(), queue, "w1", "k", e)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Get(t.Context(), queue, receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Bury(t.Context(), m, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "w1"}, "test"); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLettersAreSelectedInTheOrderOfTheirStreams(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	bury(t, b, broker.Webhooks, "dlv_1")
	bury(t, b, broker.Commands, "msg_1")
	late := bury(t, b, broker.Webhooks, "dlv_2")
	bury(t, b, broker.Webhooks, "dlv_3")
	// The same delivery once more, by somebody else, after its successor.
	if err := b.Bury(t.Context(), late, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "w1"}, "another"); err != nil {
		t.Fatal(err)
	}
	selected, missing, err := replay.Letters{IDs: []string{"dlv_3", "dlv_2", "dlv_9", "msg_1", "dlv_1"}}.Select(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, letter := range selected {
		got = append(got, fmt.Sprintf("%s %s", letter.Stream, letter.Delivery))
		if letter.Body != nil || letter.Header != nil {
			t.Errorf("%s is held whole", letter.ID)
		}
	}
	want := []string{"COMMANDS msg_1", "WEBHOOKS dlv_1", "WEBHOOKS dlv_2", "WEBHOOKS dlv_2", "WEBHOOKS dlv_3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"dlv_9"}, missing); diff != "" {
		t.Error(diff)
	}
	// A letter's own id is never two.
	only, _, err := replay.Letters{IDs: []string{selected[3].ID}}.Select(t.Context(), b)
	if err != nil || len(only) != 1 || only[0].Place != selected[3].Place {
		t.Errorf("selected %v, %v", only, err)
	}
}

func TestALetterThatSomebodyElseRetriedIsSkipped(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	bury(t, b, broker.Webhooks, "dlv_1")
	selected, _, err := replay.Letters{}.Select(t.Context(), b)
	if err != nil || len(selected) != 1 {
		t.Fatal(selected, err)
	}
	receipt, err := replay.Retry(t.Context(), b, selected[0])
	if err != nil || receipt.Seq != 2 {
		t.Fatal(receipt, err)
	}
	if _, err := replay.Retry(t.Context(), b, selected[0]); !replay.Skippable(err) {
		t.Errorf("retried twice: %v", err)
	}
	if last, err := b.LastSeq(t.Context(), broker.Webhooks); err != nil || last != 2 {
		t.Errorf("%d messages, %v", last, err)
	}
	if replay.Skippable(broker.ErrUnavailable) || replay.Skippable(errors.New("x")) || replay.Skippable(nil) {
		t.Error("what concerns all letters is taken for one letter's fault")
	}
}
