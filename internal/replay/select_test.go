package replay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/events"
)

func TestADeadLetterOfWhatIsGoneFromItsQueueIsRunAgain(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	gone := bury(t, n.Broker, broker.Webhooks, "dlv_1")
	gone.Seq, gone.Header = 99, map[string][]string{
		"ce-id": {"dlv_9"}, "ce-specversion": {"1.0"}, "ce-source": {"/webhooks/w1"}, "ce-type": {events.WebhookReceived.CloudEventType()},
	}
	gone.Data = []byte(`{"req":{"body":"lost"}}`)
	if err := n.Broker.Bury(t.Context(), gone, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "w1"}, "test"); err != nil {
		t.Fatal(err)
	}
	body := ""
	n.do = func(_ context.Context, p nookProps) error {
		body = string(p.Req.Body)
		return nil
	}
	if shadowed := n.replay("dlv_9"); shadowed.Delivery != "dlv_9" || body != "lost" {
		t.Errorf("%s was run on %q", shadowed.Delivery, body)
	}
}

func TestWhatCameTwiceIsRunOnceAndInTheOrderOfItsStorage(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	for _, id := range []string{"dlv_b", "dlv_a"} {
		n.enqueue("w1", id, nil)
	}
	bury(t, n.Broker, broker.Commands, "upd_1")
	n.enqueue("w2", "dlv_c", nil)
	selected, _, err := replay.Letters{}.Select(t.Context(), n.Broker)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Retry(t.Context(), n.Broker, selected[0]); err != nil {
		t.Fatal(err)
	}
	for filter, expected := range map[*replay.Deliveries]string{
		{}:                                    "dlv_b dlv_a upd_1 dlv_c",
		{Of: []string{"w1"}}:                  "dlv_b dlv_a upd_1",
		{Key: "k"}:                            "upd_1",
		{IDs: []string{"dlv_c", "dlv_b"}}:     "dlv_b dlv_c",
		{Until: time.Now().Add(-time.Hour)}:   "",
		{Since: time.Now().Add(-time.Minute)}: "dlv_b dlv_a upd_1 dlv_c",
	} {
		var got []string
		for found, err := range filter.Oldest(t.Context(), n.Broker, n.Store, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if found.Operation != events.Register {
				got = append(got, found.Event.ID())
			}
		}
		if strings.Join(got, " ") != expected {
			t.Errorf("%+v selects %v, want %s", *filter, got, expected)
		}
	}
}
