package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

func TestADeliveryIsRecordedByOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	s, _, first := installed(t)
	second := s.open(s.connect())
	var group sync.WaitGroup
	var seen store.Delivery
	group.Go(func() {
		if err := second.WatchEnd(t.Context(), "dlv_1", func(d store.Delivery) { seen = d }); err != nil {
			t.Error(err)
		}
	})
	mine, theirs := must[store.Delivery](t)(first.Delivery(t.Context(), "dlv_1")), must[store.Delivery](t)(second.Delivery(t.Context(), "dlv_1"))
	mine.Begun, theirs.Begun = 1, 1
	if err := first.SaveDelivery(t.Context(), "dlv_1", &mine); err != nil {
		t.Fatal(err)
	}
	if err := second.SaveDelivery(t.Context(), "dlv_1", &theirs); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("both began: %v", err)
	}
	mine.Outcome, mine.Attempts = store.Finished, 1
	if err := first.SaveDelivery(t.Context(), "dlv_1", &mine); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if seen.Outcome != store.Finished || seen.Attempts != 1 || seen.At.IsZero() {
		t.Errorf("remembered %+v", seen)
	}
	if now := must[store.Delivery](t)(second.Delivery(t.Context(), "dlv_1")); now.Outcome != store.Finished {
		t.Errorf("read %+v", now)
	}
}

func TestOfManyFailuresTheFirstAndTheNewestAreKept(t *testing.T) {
	t.Parallel()
	var d store.Delivery
	for n := 1; n <= 50; n++ {
		d.Fail(broker.Failure{Attempt: n}, time.Time{})
	}
	if d.Attempts != 50 || len(d.Errors) != 20 || d.Errors[0].Attempt != 1 || d.Errors[1].Attempt != 32 || d.Errors[19].Attempt != 50 {
		t.Errorf("kept %+v", d)
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
			must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1)))
		case client.Sending:
			if now.Ambiguous == 0 {
				if _, err := s.MarkAmbiguous(t.Context(), demo, m.ID, 1); err != nil {
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
	if _, err := s.MarkAmbiguous(t.Context(), demo, m.ID, 1); err != nil {
		t.Fatal(err)
	}
	if after := must[*client.MessageOutput](t)(as(s, bot).GetMessage(t.Context(), m.ID)).Message; after.Ambiguous != 1 {
		t.Errorf("a message that is sent became ambiguous: %+v", after)
	}
}

// The message that carries an answer is stored nowhere; the answer is.
func TestAnAnswerThatIsNotHeardIsFound(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() {
		out, err := as(s, bot).CallAction(ctx, client.CallActionInput{Type: "slack:run", Input: json.RawMessage(`{}`)})
		if err != nil || string(out.Output) != `{"n":1}` {
			t.Errorf("answered %+v, %v", out, err)
		}
	})
	called := calledAction(t, b)
	bucket := must[*broker.Bucket](t)(b.Bucket(ctx, broker.Seen))
	must[uint64](t)(bucket.Create(ctx, broker.Key("answer", called), []byte(`{"output":{"n":1}}`)))
	group.Wait()
}

func TestACallThatIsCutOffDidNotTimeOut(t *testing.T) {
	t.Parallel()
	server, b, _ := installed(t)
	closing := server.connect()
	s := server.open(closing)
	var group sync.WaitGroup
	group.Go(func() {
		_, err := as(s, bot).CallAction(t.Context(), client.CallActionInput{Type: "slack:run", Input: json.RawMessage(`{}`)})
		if got := client.AsError(err); err == nil || got.Type == client.OperationTimeout {
			t.Errorf("cut off: %v", err)
		}
	})
	calledAction(t, b)
	closing.Close()
	group.Wait()
}

// calledAction waits for an action to be asked for and returns its delivery.
func calledAction(t *testing.T, b *broker.Broker) string {
	t.Helper()
	var called []broker.Message
	eventually(t, "the call", 20*time.Second, func() bool {
		called = stored(t.Context(), t, b, broker.Commands, "towpath.action_triggered")
		return len(called) == 1
	})
	return called[0].Header["ce-id"][0]
}
