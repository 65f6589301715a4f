package worker_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

func TestAttemptsAreRecordedWithWhatTheyAskedForAndWereTold(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	if err := w.fake.Script(fake.Rule{Status: 500, Body: "broken", Times: 1}); err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	w.start("a")
	id := w.tell(w.talk("1"), "hello")
	w.settled(id)
	var kept []dispatch.Recording
	w.await("both recordings", func() bool {
		kept = nil
		for _, m := range w.all(broker.Recordings, broker.RecordingSubject("w1", id)) {
			var r dispatch.Recording
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Fatal(err)
			}
			kept = append(kept, r)
		}
		return len(kept) == 2
	})
	for i, r := range kept {
		if r.Delivery != id || r.Attempt != i+1 || r.Worker != "a" || r.Integration != "acme" || r.WebhookID != "w1" || r.Truncated || r.Began.IsZero() || r.Took <= 0 {
			t.Errorf("recording %+v", r)
		}
		if len(r.Exchanges) != 1 || r.Exchanges[0].Method != "POST" || r.Exchanges[0].Body != "hello" || !strings.HasSuffix(r.Exchanges[0].URL, "/api/send") {
			t.Errorf("exchanges %+v", r.Exchanges)
		}
	}
	if kept[0].Decision != handlers.Retry || kept[0].Exchanges[0].Status != 500 || kept[0].Exchanges[0].Answer != "" || len(kept[0].Calls) != 0 {
		t.Errorf("the first attempt is recorded as %+v", kept[0])
	}
	if kept[1].Decision != handlers.Done || kept[1].Exchanges[0].Status != 200 || len(kept[1].Calls) != 1 ||
		kept[1].Calls[0].Operation != "updateMessage" || !kept[1].Calls[0].Effect || !strings.Contains(string(kept[1].Calls[0].Output), id) {
		t.Errorf("the second attempt is recorded as %+v", kept[1])
	}
}
