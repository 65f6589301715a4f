package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers"
)

// many is how many webhooks a test replays; TOWPATH_REPLAY_WEBHOOKS says how
// many for once.
func many(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("TOWPATH_REPLAY_WEBHOOKS"))
	if err != nil {
		return 200
	}
	return n
}

func TestReplayingLeavesNoTraceAndTellsExactlyWhatChanged(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	stop := m.work(stallBuild{})
	n := many(t)
	var ids []string
	for i := range n {
		ids = append(ids, m.order(order{ID: 1000 + i, Customer: fmt.Sprintf("c%d", i%17), Total: "5.00"}))
	}
	ids = append(ids, m.say("hello"), m.say("goodbye"))
	m.settled(ids...)
	stop()
	requests, before := len(m.fake.Requests()), m.hash()

	status, stdout, stderr := m.run(stallBuild{}, "replay", "--since=1h", "--operation=webhook_received", "--json")
	if lines := strings.Count(stdout, "\n"); status != 0 || lines != n+1 {
		t.Errorf("replay exits with %d and prints %d lines: %s", status, lines, stderr)
	}
	if strings.Contains(stdout, "s3cret") {
		t.Error("replay shows a secret")
	}
	status, stdout, stderr = m.run(stallBuild{}, "replay", "--since=1h", "--compare")
	// The installation's registration is a delivery, too.
	if want := fmt.Sprintf("same=%d changed=0 not_recorded=0\n", n+3); status != 0 || stdout != want {
		t.Errorf("unchanged code exits with %d and prints\n%s, want %s%s", status, stdout, want, stderr)
	}

	dearer := stallBuild{total: func(o order) string {
		switch o.ID % 50 {
		case 7:
			return "" // it is not told of
		case 8:
			return "6.00"
		default:
			return o.Total
		}
	}}
	var got, want []string
	status, stdout, stderr = m.run(dearer, "replay", "--since=1h", "--compare", "--json")
	for line := range strings.Lines(stdout) {
		var row struct {
			Delivery    string
			Differences []struct {
				Kind, What string
				Fields     []struct{ Path, Then, Now string }
			}
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for _, d := range row.Differences {
			change := fmt.Sprintf("%s %s %s", row.Delivery, d.Kind, d.What)
			if d.Kind == "changed" {
				change += fmt.Sprint(d.Fields)
			}
			got = append(got, change)
		}
	}
	for i := range n {
		switch (1000 + i) % 50 {
		case 7:
			want = append(want, ids[i]+" gone createEvent orderTaken")
		case 8:
			want = append(want, ids[i]+` changed createEvent orderTaken[{payload.total "5.00" "6.00"}]`)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || status != 1 {
		t.Errorf("changed code exits with %d: %s (-want +got)\n%s", status, stderr, diff)
	}
	told := ""
	for message, err := range m.Oldest(t.Context(), broker.Events, broker.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e, err := message.Event(); err == nil && strings.Contains(string(e.Data()), `"order":1009`) {
			told = e.ID()
		}
	}
	status, stdout, _ = m.run(dearer, "replay", "order-1008", "order-1007", told, "--compare")
	for _, part := range []string{ids[7] + "  webhook_received  stall of demo", "  - createEvent orderTaken", "  ~ createEvent orderTaken", `      payload.total  "5.00" → "6.00"`, "same=1 changed=2 not_recorded=0"} {
		if status != 1 || !strings.Contains(stdout, part) {
			t.Errorf("%q is missing in:\n%s", part, stdout)
		}
	}
	if strings.Index(stdout, ids[7]) > strings.Index(stdout, ids[8]) {
		t.Errorf("the order is not that of then:\n%s", stdout)
	}
	if after := m.hash(); after != before {
		t.Error("replaying changed what is stored")
	}
	if sent := len(m.fake.Requests()); sent != requests {
		t.Errorf("replaying sent %d requests", sent-requests)
	}
}

// interrupted cancels as soon as so many lines are written.
type interrupted struct {
	output
	after  int
	cancel context.CancelFunc
}

// Write implements io.Writer.
func (w *interrupted) Write(p []byte) (int, error) {
	n, err := w.output.Write(p)
	if strings.Count(w.String(), "\n") >= w.after {
		w.cancel()
	}
	return n, err
}

func TestALiveReplayThatIsInterruptedAndResumedRunsEachOnceInOrder(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	var mu sync.Mutex
	runs := map[string][]int{} // of replays, by customer
	b := stallBuild{ran: func(o order, d handlers.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		if d.Replayed {
			runs[o.Customer] = append(runs[o.Customer], o.ID)
		}
	}}
	m.work(b)
	const n = 60
	want := map[string][]int{}
	var ids []string
	for i := range n {
		o := order{ID: i, Customer: fmt.Sprintf("c%d", i%4), Total: "5.00"}
		want[o.Customer] = append(want[o.Customer], i)
		ids = append(ids, m.order(o))
	}
	ids = append(ids, m.say("hello"))
	m.settled(ids...)
	events := m.last(broker.Events)

	status, _, stderr := m.run(b, "replay", "--live", "--since=1h")
	if status != 1 || !strings.Contains(stderr, "Run again for real 60 deliveries (60 × webhook_received) at "+strings.TrimPrefix(m.nats, "--nats=")+"? Nobody is here to say so: add --yes") ||
		!strings.Contains(stderr, "1 × message_created left out") || !strings.Contains(stderr, "bots are told nothing new") {
		t.Fatalf("without --yes it exits with %d: %s", status, stderr)
	}
	run := ""
	for resumptions := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		stdout, complaints := interrupted{after: 17, cancel: cancel}, output{}
		args := []string{"replay", m.nats, "--live", "--yes", "--rate=2000", "--json"}
		if resumptions == 0 {
			args = append(args, "--since=1h")
		} else {
			args = append(args, "--run="+run)
		}
		status := cli.Run(ctx, args, &stdout, &complaints, []handlers.Registrable{b.integration()})
		cancel()
		if status != 1 || !strings.Contains(complaints.String(), "interrupted") {
			t.Fatalf("interrupted, it exits with %d: %s", status, complaints.String())
		}
		_, rest, _ := strings.Cut(complaints.String(), "--run ")
		run, _, _ = strings.Cut(rest, "`")
	}
	status, stdout, stderr := m.run(b, "replay", "--live", "--yes", "--rate=0", "--run="+run)
	if status != 0 || !strings.Contains(stdout, "sent=9\n") {
		t.Fatalf("the last part exits with %d: %s%s", status, stdout, stderr)
	}
	for i, id := range ids[:n] {
		ids[i] = id + ".r" + run
	}
	m.settled(ids[:n]...)
	mu.Lock()
	diff := cmp.Diff(want, runs)
	mu.Unlock()
	if diff != "" {
		t.Errorf("replays ran as (-want +got)\n%s", diff)
	}
	if got := m.last(broker.Webhooks); got != 2*n {
		t.Errorf("%d webhooks are stored, want each twice: %d", got, 2*n)
	}
	if got := m.last(broker.Events) - events; got != n {
		t.Errorf("the replay told the bot of %d events, want %d", got, n)
	}
	// Once more there is nothing left, and another run leaves replays out.
	if status, stdout, stderr := m.run(b, "replay", "--live", "--yes", "--run="+run); status != 0 || !strings.Contains(stdout, "sent=0\n") {
		t.Errorf("a run that is done exits with %d: %s%s", status, stdout, stderr)
	}
	if _, _, stderr := m.run(b, "replay", "--live", "--since=1h", "--operation=webhook_received"); !strings.Contains(stderr, "60 × webhook_received left out: they are replays") {
		t.Errorf("replays are replayed: %s", stderr)
	}
	if status, _, stderr := m.run(b, "replay", "--live", "--run=nosuch"); status != 1 || !strings.Contains(stderr, "no such run") {
		t.Errorf("an unknown run exits with %d: %s", status, stderr)
	}
}

func TestAnEmptyIDMeansNothing(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.order(order{ID: 1, Customer: "guest", Total: "5.00"})
	for _, args := range [][]string{
		{"replay", "", "--live", "--yes"}, {"replay", "dlv_1", " "}, {"trace", ""}, {"webhooks", "show", ""}, {"deliveries", "show", ""},
		{"events", "show", ""}, {"dead-letters", ""}, {"dead-letters", "show", ""}, {"dead-letters", "retry", ""}, {"dead-letters", "drop", ""},
	} {
		status, stdout, stderr := run(t, append(args, m.nats)...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, "an id is empty") {
			t.Errorf("%q exits with %d, prints %q and says %q", args, status, stdout, stderr)
		}
	}
}

func TestReplayRefusesWhatItsFlagsCannotMean(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	for args, want := range map[string]string{
		"":                            "say what to replay",
		"--run=x":                     "add --live",
		"--live --run=x dlv_1":        "knows what was selected",
		"--live --run=x --since=1h":   "knows what was selected",
		"--live --run=x --bot=demo":   "knows what was selected",
		"--live --run=x --type=ping":  "knows what was selected",
		"--live --compare --since=1h": "without consequences",
		"--since=1h --type=fax":       `"fax" is no operation`,
		"dlv_nobody":                  "nothing that is called dlv_nobody is stored",
		"--dead-letters":              "no such dead letter",
		"--dead-letters dead_x":       "no dead letter dead_x",
	} {
		status, stdout, stderr := m.run(stallBuild{}, append([]string{"replay"}, strings.Fields(args)...)...)
		if status != 1 || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("replay %s exits with %d, prints %q and says %q", args, status, stdout, stderr)
		}
	}
}
