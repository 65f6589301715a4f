package store_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

func TestTheFirstEndOfADeliveryIsRemembered(t *testing.T) {
	t.Parallel()
	s, _, first := installed(t)
	second := s.open(s.connect())
	if done := must[bool](t)(first.Handled(t.Context(), "dlv_1")); done {
		t.Error("handled before it was")
	}
	var group sync.WaitGroup
	var seen store.Handled
	group.Go(func() {
		if err := second.WatchHandled(t.Context(), "dlv_1", func(h store.Handled) { seen = h }); err != nil {
			t.Error(err)
		}
	})
	for _, h := range []store.Handled{{Outcome: store.Finished, Attempts: 2}, {Outcome: store.DeadLettered, Attempts: 3}} {
		if err := first.Remember(t.Context(), "dlv_1", h); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if seen.Outcome != store.Finished || seen.Attempts != 2 {
		t.Errorf("remembered %+v", seen)
	}
	if done := must[bool](t)(second.Handled(t.Context(), "dlv_1")); !done {
		t.Error("forgotten")
	}
}

func TestAWatchedMessageShowsEachStep(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	var steps []client.Status
	err := s.WatchMessage(t.Context(), demo, m.ID, func(now client.Message) bool {
		steps = append(steps, now.Status)
		switch now.Status {
		case client.Queued:
			must[client.Message](t)(s.BeginSend(t.Context(), slack, m, 1))
		case client.Sending:
			if now.Ambiguous == 0 {
				if err := s.MarkAmbiguous(t.Context(), demo, m.ID); err != nil {
					t.Error(err)
				}
				return false
			}
			if err := s.FinishSend(t.Context(), demo, m.ID, client.Sent); err != nil {
				t.Error(err)
			}
		}
		return now.Status == client.Sent
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []client.Status{client.Queued, client.Sending, client.Sending, client.Sent}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if err := s.MarkAmbiguous(t.Context(), demo, m.ID); err != nil {
		t.Fatal(err)
	}
	if after := must[*client.MessageOutput](t)(as(s, bot).GetMessage(t.Context(), m.ID)).Message; after.Ambiguous != 1 {
		t.Errorf("a message that is sent became ambiguous: %+v", after)
	}
}
