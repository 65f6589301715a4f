package worker_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// What is scheduled is due while workers come and go: each is told once.
func TestWhatIsScheduledIsDoneOnceByWorkersThatComeAndGo(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	w.install("/api")
	acme := client.New(w.store, client.Caller{BotID: "demo", Alias: "acme", IntegrationID: "intver_acme_1"})
	schedule := func(from, to int, delay int64) {
		for i := from; i < to; i++ {
			_, err := acme.CreateEvent(t.Context(), client.CreateEventInput{
				Type: "stepped", Payload: json.RawMessage(fmt.Sprintf(`{"key":"k","n":%d}`, i)), Schedule: client.Schedule{Delay: delay},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	schedule(0, 20, 1)
	first, second := w.start("first"), w.start("second")
	schedule(20, 40, 1500)
	w.await("the first ones", func() bool { return len(w.steps()["k"]) >= 20 })
	first.kill()
	second.drain()
	w.start("third")
	schedule(40, 50, 1)
	w.await("all", func() bool { return len(w.steps()["k"]) >= 50 })
	w.await("the end", func() bool {
		_, err := w.broker.Next(t.Context(), broker.Wakeups, ">", 0)
		return err != nil
	})
	if got := w.all(broker.Events, "events.demo.acme.stepped"); len(got) != 50 {
		t.Errorf("50 events are told %d times", len(got))
	}
	if got := w.letters(); len(got) != 0 {
		t.Errorf("dead letters: %+v", got)
	}
}
