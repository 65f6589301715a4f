package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/test/system"
)

// devFile is dev.json, as tools outside the repository read it.
type devFile struct {
	Ingest string `json:"ingest"`
	API    string `json:"api"`
	Ops    string `json:"ops"`
	NATS   string `json:"nats"`
	Fake   string `json:"fake"`
	Bots   []struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	} `json:"bots"`
	Installations []struct {
		Alias       string `json:"alias"`
		Integration string `json:"integration"`
		WebhookID   string `json:"webhookId"`
		WebhookURL  string `json:"webhookUrl"`
	} `json:"installations"`
}

// dev is a running `towpath dev` in a directory of its own.
type dev struct {
	*system.Process
	devFile
	dir  string
	fake platform
}

var anyPorts = []string{"--ingest=127.0.0.1:0", "--api=127.0.0.1:0", "--ops=127.0.0.1:0", "--nats=127.0.0.1:0"}

// startDev starts dev and waits until it says that it runs.
func startDev(t *testing.T, dir string, args ...string) *dev {
	t.Helper()
	return startDevWith(t, dir, nil, args...)
}

// startDevWith starts dev with settings in its environment.
func startDevWith(t *testing.T, dir string, env []string, args ...string) *dev {
	t.Helper()
	d := &dev{dir: dir}
	d.Process = start(t, system.Run{
		Name: "dev", Binary: binaries.Towpath, Dir: dir, Env: env,
		Args: append(append([]string{"dev", "--dir", filepath.Join(dir, "kept"), "--log-level=info"}, anyPorts...), args...),
	})
	system.Eventually(t, 20*time.Second, "dev.json", func() error {
		if !d.Runs() {
			t.Fatalf("dev ended:\n%s", d.Output)
		}
		data, err := os.ReadFile(d.file())
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		return decoder.Decode(&d.devFile)
	})
	d.fake = platform(d.Fake)
	return d
}

func (d *dev) file() string { return filepath.Join(d.dir, "kept", "dev.json") }

// verb runs an operator's verb against the dev.
func (d *dev) verb(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return finish(t, system.Run{Binary: binaries.Towpath, Args: append(args, "--dir", filepath.Join(d.dir, "kept")), Dir: d.dir})
}

// stop ends dev as an operator would, and leaves nothing behind that says that
// it runs.
func (d *dev) stop(t *testing.T) {
	t.Helper()
	d.Signal(syscall.SIGTERM)
	if status := d.Wait(15 * time.Second); status != 0 {
		t.Errorf("dev exits with %d:\n%s", status, system.Tail(d.Output.String(), 20))
	}
	if _, err := os.Stat(d.file()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dev.json is still there: %v", err)
	}
}

func TestDevTellsToolsWhereEverythingIs(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	info, err := os.Stat(d.file())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("dev.json holds tokens and has mode %o", mode)
	}
	for name, base := range map[string]string{"ingest": d.Ingest, "api": d.API, "ops": d.Ops, "fake": d.Fake} {
		if !strings.HasPrefix(base, "http://127.0.0.1:") || strings.HasSuffix(base, "/") {
			t.Errorf("%s is no base URL: %q", name, base)
		}
	}
	if !strings.HasPrefix(d.NATS, "nats://127.0.0.1:") {
		t.Errorf("nats is no URL: %q", d.NATS)
	}
	if len(d.Bots) != 1 || d.Bots[0].ID != "demo" || d.Bots[0].Token == "" {
		t.Errorf("bots: %+v", d.Bots)
	}
	var installed []string
	for _, i := range d.Installations {
		installed = append(installed, i.Alias+" is "+i.Integration+" at "+i.WebhookID)
		if i.WebhookURL != d.Ingest+"/webhooks/"+i.WebhookID {
			t.Errorf("webhook URL of %s: %q", i.Alias, i.WebhookURL)
		}
	}
	want := []string{"shopify is shopify at webhook_demo_shopify", "slack is slack at webhook_demo_slack"}
	if diff := cmp.Diff(want, installed); diff != "" {
		t.Error(diff)
	}
	for path, content := range map[string]string{"/healthz": "", "/readyz": "ready", "/metrics": "towpath_"} {
		a := get(t, d.Ops+path)
		if a.status != http.StatusOK {
			t.Errorf("%s answers %d: %s", path, a.status, a.body)
		}
		wantAll(t, a.body, content)
	}
	wantAll(t, d.Output.String(), "trigger slack message", d.Ingest, d.Bots[0].Token)
	d.stop(t)
}

// step is a line of `trigger --json`.
type step struct {
	Step   string         `json:"step"`
	MS     float64        `json:"ms"`
	At     time.Time      `json:"at"`
	ID     string         `json:"id"`
	Detail map[string]any `json:"detail"`
	Note   string         `json:"note"`
}

// trigger sends a sample and returns the steps that were shown.
func (d *dev) trigger(t *testing.T, args ...string) []step {
	t.Helper()
	status, stdout, stderr := d.verb(t, append([]string{"trigger", "--json"}, args...)...)
	if status != 0 {
		t.Fatalf("trigger %v exits with %d: %s\n%s", args, status, stderr, stdout)
	}
	var steps []step
	for line := range strings.Lines(stdout) {
		var one step
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		steps = append(steps, one)
	}
	return steps
}

func names(steps []step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Step)
	}
	return all
}

func TestTriggerShowsTheWayOfAMessageThereAndBack(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	steps := d.trigger(t, "slack", "message_bot", "an echo")
	if diff := cmp.Diff([]string{"accepted", "stored", "handled"}, names(steps)); diff != "" {
		t.Error("the bot's own message:", diff)
	}

	steps = d.trigger(t, "slack", "message", "hello")
	t.Logf("steps: %s", strings.Join(names(steps), ", "))
	place := map[string]int{}
	for i, s := range steps {
		if s.ID == "" || s.At.IsZero() || s.MS < 0 || s.MS > 15000 {
			t.Errorf("step without id or time: %+v", s)
		}
		if _, twice := place[s.Step]; twice {
			t.Errorf("%s is shown twice", s.Step)
		}
		place[s.Step] = i
	}
	// The bot may answer before the handler has returned.
	for _, chain := range [][]string{
		{"accepted", "stored", "message created", "handled"},
		{"message created", "bot answered", "sending", "sent", "acked"},
	} {
		for i, name := range chain {
			at, shown := place[name]
			if !shown {
				t.Fatalf("%s is missing in %v", name, names(steps))
			}
			if i > 0 && place[chain[i-1]] > at {
				t.Errorf("%s is shown before %s", name, chain[i-1])
			}
		}
	}
	if posted := d.fake.posted(t); len(posted) != 1 || posted[0].Get("text") != "hello" || posted[0].Get("channel") != "C0TOWPATH" {
		t.Errorf("Slack was sent %v", posted)
	}

	d.trigger(t, "slack", "message_thread", "and then")
	posted := d.fake.posted(t)
	if len(posted) != 2 || posted[0].Get("thread_ts") != "" || posted[1].Get("text") != "and then" || posted[1].Get("thread_ts") == "" {
		t.Errorf("Slack was sent %v, want the second in its thread alone", posted)
	}

	status, table, stderr := d.verb(t, "installations")
	if status != 0 {
		t.Error(stderr)
	}
	wantAll(t, table, "slack", "registered", d.Ingest+"/webhooks/webhook_demo_slack")
	d.stop(t)
}

func TestTriggerFiresEventsThatTheAPILists(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	for _, one := range []struct{ integration, sample, fires string }{
		{"slack", "reaction_added", "slack:reactionAdded"},
		{"slack", "team_join", "slack:memberJoined"},
		{"shopify", "orders/create", "shopify:newOrderCreated"},
	} {
		steps := d.trigger(t, one.integration, one.sample, "--conversation", "820982911946154508")
		if diff := cmp.Diff([]string{"accepted", "stored", "event fired", "handled"}, names(steps)); diff != "" {
			t.Error(one.sample, diff)
			continue
		}
		if fired := steps[2].Detail["type"]; fired != one.fires {
			t.Errorf("%s fires %v", one.sample, fired)
		}
		header := http.Header{"Authorization": {"Bearer " + d.Bots[0].Token}, "X-Bot-Id": {"demo"}}
		listed, err := ask(http.MethodGet, d.API+"/v1/chat/events?type="+one.fires, header, nil)
		if err != nil || listed.status != http.StatusOK {
			t.Fatal(err, listed)
		}
		if n := strings.Count(listed.body, `"type":"`+one.fires+`","payload"`); n != 1 {
			t.Errorf("%s is listed %d times: %s", one.fires, n, listed.body)
		}
		if one.integration == "shopify" {
			wantAll(t, listed.body, `"order_id":820982911946154508,`, `"order_id_string":"820982911946154508"`)
		}
	}
	steps := d.trigger(t, "slack", "url_verification", "--id", "is-this-yours")
	if len(steps) != 2 || !strings.Contains(steps[1].Note, `"is-this-yours"`) {
		t.Errorf("challenge: %+v", steps)
	}
	if posted := d.fake.posted(t); len(posted) != 0 {
		t.Errorf("Slack was sent %v", posted)
	}
}

func TestDevKeepsEverythingOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startDev(t, dir)
	first.trigger(t, "slack", "message", "once", "--id", "X")
	again := first.trigger(t, "slack", "message", "once", "--id", "X")
	if diff := cmp.Diff([]string{"accepted", "handled"}, names(again)); diff != "" {
		t.Error(diff)
	}
	before := messages(t, bot(first.API, first.Bots[0].Token))
	if posted := first.fake.posted(t); len(posted) != 1 {
		t.Errorf("Slack was sent %v", posted)
	}
	first.stop(t)

	second := startDev(t, dir)
	if first.Bots[0].Token != second.Bots[0].Token {
		t.Error("the demo's token changed")
	}
	second.trigger(t, "slack", "message", "once", "--id", "X")
	after := messages(t, bot(second.API, second.Bots[0].Token))
	if diff := cmp.Diff(before, after); diff != "" || len(after) != 2 {
		t.Errorf("%d messages before, %d after the restart: %s", len(before), len(after), diff)
	}
	if posted := second.fake.posted(t); len(posted) != 0 {
		t.Errorf("after the restart, Slack was sent %v", posted)
	}
	second.trigger(t, "slack", "message", "twice")
	if posted := second.fake.posted(t); len(posted) != 1 {
		t.Errorf("after the restart, Slack was sent %v", posted)
	}
	second.stop(t)
}
