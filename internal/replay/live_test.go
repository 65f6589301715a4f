package replay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

func atOnce(context.Context) error { return nil }

// put lets a run put in so many, and returns their places.
func put(t *testing.T, r *replay.Run, n int) (places []uint64) {
	t.Helper()
	enough := errors.New("enough")
	err := r.Put(t.Context(), atOnce, func(_ replay.Entry, at broker.Receipt) error {
		places = append(places, at.Seq)
		if len(places) == n {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return places
}

// done notes that a delivery, at its place, came to an end, or is on its way.
func done(t *testing.T, n *nook, id string, record store.Delivery) {
	t.Helper()
	before, err := n.Store.Delivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	record.Replace(before)
	if err := n.Store.SaveDelivery(t.Context(), id, &record); err != nil {
		t.Fatal(err)
	}
}

func TestARunLeavesOutWhatIsNotDone(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	records := []store.Delivery{
		{}, {Outcome: store.Finished}, {Runs: 1, Begun: 1}, {Outcome: store.DeadLettered},
		{Runs: 1, Begun: 1, Attempts: 1, NotBefore: n.Broker.Now().Add(time.Hour)},
	}
	for i, record := range records {
		id := fmt.Sprint("dlv_", i)
		n.enqueue("w1", id, nil)
		done(t, n, id, record)
	}
	for _, selected := range []replay.Deliveries{
		{Operation: events.WebhookReceived}, {IDs: []string{"dlv_0", "dlv_1", "dlv_2", "dlv_3", "dlv_4"}},
	} {
		r, err := replay.Begin(t.Context(), n.Broker, n.Store, selected)
		if err != nil {
			t.Fatal(err)
		}
		left, out, err := r.Left(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := map[replay.LeftOut]int{}
		for _, state := range []replay.State{replay.Waiting, replay.AtWork, replay.Dead, replay.BackingOff} {
			want[replay.LeftOut{Operation: events.WebhookReceived, State: state}] = 1
		}
		if diff := cmp.Diff(want, out); diff != "" || left[events.WebhookReceived] != 1 {
			t.Errorf("left %v, left out (-want +got)\n%s", left, diff)
		}
		if places := put(t, r, 0); len(places) != 1 {
			t.Errorf("it runs %v", places)
		}
		done(t, n, "dlv_1.r"+r.ID, store.Delivery{Outcome: store.Finished})
	}
}

func TestARunThatDiedBeforeItNotedWhatItDidDoesItOnce(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	for _, id := range []string{"dlv_1", "dlv_2", "dlv_3"} {
		n.enqueue("w1", id, nil)
		done(t, n, id, store.Delivery{Outcome: store.Finished})
	}
	selected := replay.Deliveries{Operation: events.WebhookReceived}
	r, err := replay.Begin(t.Context(), n.Broker, n.Store, selected)
	if err != nil {
		t.Fatal(err)
	}
	left, out, err := r.Left(t.Context())
	if err != nil || left[events.WebhookReceived] != 3 || len(out) != 0 {
		t.Fatalf("left %v, left out %v, %v", left, out, err)
	}
	put(t, r, 1)
	cursors, err := n.Broker.Bucket(t.Context(), broker.Cursors)
	if err != nil {
		t.Fatal(err)
	}
	noted, err := cursors.Get(t.Context(), broker.Key("replay", r.ID))
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, 1)
	if _, err := cursors.Put(t.Context(), noted.Key, noted.Value); err != nil { // as if it had died
		t.Fatal(err)
	}
	// Whoever goes on with it shuts out the one that is taken for dead.
	resumed, err := replay.Resume(t.Context(), n.Broker, n.Store, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if places := put(t, resumed, 0); !slices.Equal(places, []uint64{5, 6}) || resumed.Sent != 3 || !resumed.Done {
		t.Errorf("it goes on at %v, with %d", places, resumed.Sent)
	}
	if err := r.Put(t.Context(), atOnce, func(replay.Entry, broker.Receipt) error { return nil }); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("two are at one run: %v", err)
	}
	var got []string
	for m, err := range n.Broker.Oldest(t.Context(), broker.Webhooks, broker.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSuffix(e.ID(), r.ID)+" "+strings.ReplaceAll(events.Extension(e, broker.Replayed), r.ID, "replayed"))
	}
	want := []string{"dlv_1 ", "dlv_2 ", "dlv_3 ", "dlv_1.r replayed", "dlv_2.r replayed", "dlv_3.r replayed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestARetriedLetterThatIsReplayedIsNoRetryAnyMore(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	bury(t, n.Broker, broker.Webhooks, "dlv_1")
	letters, _, err := replay.Letters{}.Select(t.Context(), n.Broker)
	if err != nil || len(letters) != 1 {
		t.Fatal(letters, err)
	}
	retried, err := replay.Retry(t.Context(), n.Broker, letters[0])
	if err != nil {
		t.Fatal(err)
	}
	done(t, n, "dlv_1", store.Delivery{Outcome: store.Finished, RetryOf: letters[0].ID, Stream: retried.Stream, Seq: retried.Seq})
	r, err := replay.Begin(t.Context(), n.Broker, n.Store, replay.Deliveries{IDs: []string{"dlv_1"}})
	if err != nil {
		t.Fatal(err)
	}
	places := put(t, r, 0)
	if len(places) != 1 || places[0] <= retried.Seq {
		t.Fatalf("it is at %v", places)
	}
	m, err := n.Broker.Get(t.Context(), broker.Webhooks, places[0])
	if err != nil {
		t.Fatal(err)
	}
	if e, err := m.Event(); err != nil || e.ID() != "dlv_1.r"+r.ID || events.Extension(e, broker.RetryOf) != "" {
		t.Errorf("it is %s, %v", e, err)
	}
}

func TestWhatWaitsForADisabledInstallationIsParked(t *testing.T) {
	t.Parallel()
	n := newNook(t)
	n.enqueue("w1", "dlv_1", nil)
	if _, err := n.Store.SetDisabled(t.Context(), "demo", "nook", true); err != nil {
		t.Fatal(err)
	}
	r, err := replay.NewReader(t.Context(), n.Broker, n.Store)
	if err != nil {
		t.Fatal(err)
	}
	for work, err := range r.Work(t.Context(), replay.Selection{IDs: []string{"dlv_1"}}) {
		if err != nil || work.State != replay.ParkedFor || work.Why != "its installation is disabled" {
			t.Errorf("it is %s: %s, %v", work.State, work.Why, err)
		}
	}
}
