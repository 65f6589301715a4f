package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// enqueue stores work.
func enqueue(t *testing.T, b *broker.Broker, queue broker.Stream, webhook, key, id string) {
	t.Helper()
	e := events.New(id, "/webhooks/"+webhook, events.WebhookReceived.CloudEventType(), key, time.Now(), []byte(`{}`))
	if _, err := b.Enqueue(t.Context(), queue, webhook, key, e); err != nil {
		t.Fatal(err)
	}
}

// ids lists what is selected.
func ids(t *testing.T, b *broker.Broker, s replay.Selection, streams ...broker.Stream) (all []string) {
	t.Helper()
	for entry, err := range s.Newest(t.Context(), b, streams...) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Event.ID())
	}
	return all
}

func TestStreamsAreReadTogetherTheNewestFirst(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	if got := ids(t, b, replay.Selection{}, broker.Queues...); got != nil {
		t.Errorf("empty streams hold %v", got)
	}
	var want []string
	for i, queue := range []broker.Stream{"WEBHOOKS", "WEBHOOKS", "COMMANDS", "WEBHOOKS", "COMMANDS", "COMMANDS", "COMMANDS", "WEBHOOKS"} {
		id := fmt.Sprint("dlv_", i)
		enqueue(t, b, queue, "w", "k", id)
		want = append([]string{id}, want...)
	}
	if diff := cmp.Diff(want, ids(t, b, replay.Selection{}, broker.Webhooks, broker.Commands, broker.Events)); diff != "" {
		t.Error(diff)
	}
	for entry, err := range (replay.Selection{}).Newest(t.Context(), b, broker.Queues...) {
		if err != nil || entry.Event.ID() != "dlv_7" {
			t.Error(entry.Event.ID(), err)
		}
		break // early, with a second stream half read
	}
	ended, end := context.WithCancel(t.Context())
	end()
	last := error(nil)
	for _, err := range (replay.Selection{}).Newest(ended, b, broker.Queues...) {
		last = err
	}
	if last == nil {
		t.Error("that nothing could be read is not said")
	}
}

func TestManyPartiesAreReadInOneGo(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	var of []replay.Party
	for i := range 40 {
		webhook := fmt.Sprint("hook.", i) // a point is no token's
		enqueue(t, b, broker.Webhooks, webhook, "k", fmt.Sprint("dlv_", i))
		if i%2 == 0 {
			of = append(of, replay.Party{Webhook: webhook, Bot: "demo", Alias: webhook})
		}
	}
	got := ids(t, b, replay.Selection{Of: of, Keys: []string{"k"}}, broker.Webhooks)
	if len(got) != 20 || got[0] != "dlv_38" || got[19] != "dlv_0" {
		t.Errorf("selected %v", got)
	}
	if got := ids(t, b, replay.Selection{Of: of, Keys: []string{"other"}}, broker.Webhooks); got != nil {
		t.Errorf("of another key there is %v", got)
	}
	if got := ids(t, b, replay.Selection{Of: []replay.Party{}}, broker.Webhooks, broker.Events); got != nil {
		t.Errorf("of nobody there is %v", got)
	}
}

func TestFollowingBeginsNowAndHeedsTheSelection(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	enqueue(t, b, broker.Webhooks, "w1", "k", "dlv_old")
	enough := errors.New("enough")
	// The second party is a part of the first one, which NATS alone refuses.
	s := replay.Selection{Of: []replay.Party{{Bot: "demo"}, {Bot: "demo", Alias: "slack"}}}
	followed := make(chan string)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Follow(t.Context(), b, broker.Events, func(e replay.Entry) error {
			followed <- e.Event.ID()
			if e.Event.ID() == "evt_last" {
				return enough
			}
			return nil
		})
	}()
	tell := func(bot, id string) {
		e := events.New(id, "/bots/"+bot, "slack:ping", "", time.Now(), []byte(`{}`))
		if _, err := b.PublishEvent(t.Context(), bot, "slack", "ping", e); err != nil {
			t.Error(err)
		}
	}
	// Until it follows, what is told is not new to it.
	for i, begun := 0, false; !begun; i++ {
		tell("demo", fmt.Sprint("evt_first", i))
		select {
		case <-followed:
			begun = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	go func() { tell("other", "evt_other"); tell("demo", "evt_last") }()
	for id := range followed {
		if id == "evt_other" {
			t.Error("another bot's event is followed")
		}
		if id == "evt_last" {
			break
		}
	}
	if err := <-ended; !errors.Is(err, enough) {
		t.Error(err)
	}
}

func TestPartiesAreThoseThatTheWordsMean(t *testing.T) {
	t.Parallel()
	work := store.Installation{WebhookID: "hook_work", BotID: "demo", Alias: "work", Integration: "slack"}
	home := store.Installation{WebhookID: "hook_home", BotID: "other", Alias: "home", Integration: "shopify"}
	atWork, atHome := replay.Party{Webhook: "hook_work", Bot: "demo", Alias: "work"}, replay.Party{Webhook: "hook_home", Bot: "other", Alias: "home"}
	for _, test := range []struct {
		bot, installation, platform string
		want                        []replay.Party
	}{
		{"", "", "", nil},
		{"demo", "", "", []replay.Party{atWork, {Bot: "demo"}}},
		{"", "home", "", []replay.Party{atHome}},
		{"", "hook_work", "", []replay.Party{atWork}},
		{"", "", "shopify", []replay.Party{atHome}},
		{"demo", "", "shopify", []replay.Party{}},
		{"demo", "home", "", []replay.Party{}},
		{"", "gone", "", []replay.Party{{Webhook: "gone"}, {Alias: "gone"}}},
		{"demo", "gone", "", []replay.Party{{Bot: "demo", Alias: "gone"}}},
	} {
		got := replay.Parties([]store.Installation{work, home}, test.bot, test.installation, test.platform)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test, diff)
		}
	}
}
