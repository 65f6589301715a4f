package e2e_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

// slow makes a load last long enough to be cut into.
const slow = `[{"path": "` + postMessage + `", "delay": "25ms"}]`

func TestAKilledWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	a := startApart(t, 3)
	a.fake.script(t, slow)
	l := a.write()
	a.untilHeard(60)
	a.processes["worker1"].Kill()
	killed := time.Now()
	a.settle(l).wantExact(t)
	t.Logf("settled %s after the kill", time.Since(killed).Round(time.Millisecond))
	a.wantAlive("worker1")
}

func TestADrainedWorkerHandsOverAndExitsWithZero(t *testing.T) {
	t.Parallel()
	a := startApart(t, 2)
	a.fake.script(t, slow)
	l := a.write()
	a.untilHeard(60)
	drained := a.processes["worker1"]
	began := time.Now()
	drained.Signal(syscall.SIGTERM)
	if status := drained.Wait(10 * time.Second); status != 0 {
		t.Errorf("exits with %d", status)
	}
	t.Logf("drained in %s", time.Since(began).Round(time.Millisecond))
	c := a.settle(l)
	c.wantExact(t)
	if c.ambiguous != 0 {
		t.Errorf("a drain cut %d sends short", c.ambiguous)
	}
	a.wantAlive("worker1")
}

func TestAnOutageOfNATSNeedsNoRestart(t *testing.T) {
	t.Parallel()
	a := startApart(t, 2)
	a.fake.script(t, slow)
	l := a.write()
	l.untilAccepted(t, 100)
	a.nats.Kill()
	a.waitReady(http.StatusServiceUnavailable)
	sample, err := a.slack.Sample("message_bot", handlers.SampleArgs{ID: "away", Text: "away", Conversation: "C", User: "U", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := send(a.ingest+"/webhooks/webhook_slack", sample); err != nil || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without NATS, ingest answers %+v, %v", got, err)
	}
	a.wantAlive()
	a.nats.Start(t)
	back := time.Now()
	a.waitReady(http.StatusOK)
	t.Logf("ready %s after NATS was", time.Since(back).Round(time.Millisecond))
	c := a.settle(l)
	c.wantExact(t)
	if c.refused == 0 {
		t.Error("the outage went past the load")
	}
	a.wantAlive()
}
