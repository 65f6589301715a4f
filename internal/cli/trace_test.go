package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// node is a part of a tree as --json prints it.
type node struct {
	Kind, Name, ID, Status, Error, Worker string
	At                                    time.Time
	MS, TookMS                            float64
	Detail                                map[string]any
	Children                              []node
}

// find returns the parts of a kind, from cause to effect.
func (n node) find(kind string) (all []node) {
	if n.Kind == kind {
		all = append(all, n)
	}
	for _, child := range n.Children {
		all = append(all, child.find(kind)...)
	}
	return all
}

// stage is a dev whose Slack can be told to fail.
type stage struct {
	*testing.T
	dir, fake string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, dir: t.TempDir()}
	beginDev(t, s.dir)
	data, err := os.ReadFile(filepath.Join(s.dir, "dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dev struct{ Fake string }
	if err := json.Unmarshal(data, &dev); err != nil {
		t.Fatal(err)
	}
	s.fake = dev.Fake
	return s
}

// script tells the platforms how to fail.
func (s *stage) script(rules string) {
	s.Helper()
	response, err := http.Post(s.fake+"/_script", "application/json", strings.NewReader(rules))
	if err != nil {
		s.Fatal(err)
	}
	if _ = response.Body.Close(); response.StatusCode > 299 {
		s.Fatal(response.Status)
	}
}

// verb runs a verb, and holds its output to being free of secrets.
func (s *stage) verb(args ...string) (status int, stdout, stderr string) {
	s.Helper()
	status, stdout, stderr = run(s.T, append(args, "--dir", s.dir)...)
	for _, secret := range []string{"xoxb", "signingSecret", "x-slack-signature", "clientSecret"} {
		if strings.Contains(strings.ToLower(stdout), strings.ToLower(secret)) {
			s.Errorf("%v shows %s:\n%s", args, secret, stdout)
		}
	}
	return status, stdout, stderr
}

// must runs a verb that must succeed.
func (s *stage) must(args ...string) string {
	s.Helper()
	status, stdout, stderr := s.verb(args...)
	if status != 0 {
		s.Fatalf("%v exits with %d: %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// thread is the only one that an id means.
func (s *stage) thread(id string) (trace string, tree node) {
	s.Helper()
	text := s.must("trace", id, "--json")
	var thread struct {
		Trace string
		Tree  []node
	}
	if err := json.Unmarshal([]byte(text), &thread); err != nil {
		s.Fatalf("%v: %s", err, text)
	}
	if len(thread.Tree) != 1 {
		s.Fatalf("the thread has %d beginnings:\n%s", len(thread.Tree), s.must("trace", id))
	}
	return thread.Trace, thread.Tree[0]
}

// names draws a tree without what differs from run to run.
func (n node) names() []string {
	name, _, _ := strings.Cut(n.Name, " 127.0.0.1")
	if n.Status != "" {
		name += ": " + n.Status
	}
	names := []string{name}
	for _, child := range n.Children {
		for _, below := range child.names() {
			names = append(names, "  "+below)
		}
	}
	return names
}

func TestATraceIsTheSameFromWhateverPart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must("trigger", "slack", "message", "hello", "--id=first")
	var webhook struct{ ID, ProviderID, Trace string }
	if err := json.Unmarshal([]byte(s.must("webhooks", "--json")), &webhook); err != nil {
		t.Fatal(err)
	}
	// The bot says that it processed the message, and the record that the send
	// is done, after trigger has seen the ack.
	var tree node
	until(t, "the end of everything", func() bool {
		_, tree = s.thread(webhook.ID)
		text := strings.Join(tree.names(), "\n")
		return strings.Contains(text, "bot demo: processed") && strings.Contains(text, "message_created → slack: done") && strings.Contains(text, "updateMessage")
	})
	want := []string{
		"webhook ← slack: done",
		"  attempt 1: done",
		"    getOrCreateConversation",
		"    getOrCreateUser",
		"    getOrCreateMessage",
		"      message_created → bot demo: processed",
		"        message_created → slack: done",
		"          attempt 1: done",
		"            POST: 200",
		"            updateMessage",
		"          sent",
		"          acked",
	}
	if diff := cmp.Diff(want, tree.names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	told, sent := tree.find("event")[0], tree.find("command")[0]
	conversation, ok := told.Detail["conversation"].(string)
	if !ok {
		t.Fatalf("the event's details are %v", told.Detail)
	}
	same := s.must("trace", webhook.ID, "--json")
	for what, id := range map[string]string{
		"the provider's id": webhook.ProviderID, "its end": webhook.ProviderID[strings.Index(webhook.ProviderID, ":")+1:],
		"the message": told.ID, "the event": "evt_" + strings.TrimPrefix(told.ID, "msg_"), "the answer": sent.ID,
		"the conversation": conversation, "the trace": webhook.Trace, "the traceparent": events.TraceParent(webhook.ID, 1),
	} {
		if diff := cmp.Diff(same, s.must("trace", id, "--json")); diff != "" {
			t.Errorf("from %s, %s:\n%s", what, id, diff)
		}
	}
	text := s.must("trace", webhook.ID)
	for _, part := range []string{"trace " + webhook.Trace, "└─ attempt 1", "+0.0 ms", told.ID, "messageId"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}

	s.must("trigger", "slack", "message", "hello again")
	if threads := strings.Count(s.must("trace", conversation, "--json"), "\n"); threads != 2 {
		t.Errorf("the conversation has %d threads", threads)
	}
	if threads := strings.Count(s.must("trace", conversation, "--json", "--limit=1"), "\n"); threads != 1 {
		t.Errorf("of one thread %d are shown", threads)
	}
	if keyed := strings.Count(s.must("webhooks", "list", "--json", "--conversation", conversation), "\n"); keyed != 2 {
		t.Errorf("the conversation has %d webhooks", keyed)
	}
	if status, _, stderr := s.verb("trace", "dlv_00000000000000000000000000"); status != 1 || !strings.Contains(stderr, "WEBHOOKS goes back to ") {
		t.Errorf("of what is not there it says %d, %s", status, stderr)
	}
}

func TestATraceShowsWhatWentWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.script(`[{"path": "/slack/api/chat.postMessage", "status": 503, "times": 1}]`)
	s.must("trigger", "slack", "message", "to be sent twice")
	var tree node
	last := func() node {
		var webhook struct{ ID string }
		if err := json.Unmarshal([]byte(s.must("webhooks", "--json", "--limit=1")), &webhook); err != nil {
			t.Fatal(err)
		}
		_, tree := s.thread(webhook.ID)
		return tree
	}
	until(t, "the second attempt", func() bool {
		tree = last()
		return len(tree.find("attempt")) == 3 && tree.find("command")[0].Status == "done"
	})
	failed := tree.find("attempt")[1]
	if failed.Status != "retry" || !strings.Contains(failed.Error, "503") || failed.Worker == "" {
		t.Errorf("the failed attempt is shown as %+v", failed)
	}
	if exchanged := failed.find("exchange"); len(exchanged) != 1 || exchanged[0].Status != "503" {
		t.Errorf("its exchange is shown as %+v", exchanged)
	}

	s.script(`[{"path": "/slack/api/chat.postMessage", "status": 200, "body": "{\"ok\":false,\"error\":\"is_archived\"}", "times": 1}]`)
	if status, _, _ := s.verb("trigger", "slack", "message", "to an archived channel"); status != 1 {
		t.Error("what is given up is no failure")
	}
	until(t, "the dead letter", func() bool {
		tree = last()
		return len(tree.find("dead_letter")) == 1 && tree.find("command")[0].Status == "dead_letter" && len(tree.find("attempt")) == 2
	})
	letter := tree.find("dead_letter")[0]
	if !strings.Contains(letter.Error, "archived") || tree.find("command")[0].find("attempt")[0].Status != "give_up" {
		t.Errorf("the dead letter is shown as %+v in %v", letter, tree.names())
	}
	if _, again := s.thread(letter.ID); len(again.find("dead_letter")) != 1 {
		t.Errorf("from the letter it is %v", again.names())
	}
	if text := s.must("trace", letter.ID); !strings.Contains(text, "✗ Slack says is_archived") {
		t.Errorf("the error is missing in:\n%s", text)
	}

	// Sent again it is one thread with what it was before.
	s.must("dead-letters", "retry", letter.ID)
	until(t, "its retry", func() bool {
		tree = last()
		commands := tree.find("command")
		return len(commands) == 2 && commands[0].Status == "sent_again" && commands[1].Status == "done" &&
			len(commands[0].find("attempt")) == 1 && len(commands[1].find("attempt")) == 1
	})
}

func TestATraceTellsOfAttemptsWithoutARecording(t *testing.T) {
	t.Parallel()
	m := newMuseum(t)
	at := m.accept("hook_work", "channel", "dlv_1", "{}")
	m.record("dlv_1", at, store.Delivery{
		Attempts: 1, Begun: 2, Runs: 2, Worker: "worker-b",
		Errors: []broker.Failure{{Attempt: 1, At: time.Now(), Worker: "worker-a", Error: "first line\nsecond line"}},
	})
	text := m.look("trace", "dlv_1")
	for _, part := range []string{"at_work", "├─ attempt 1", "✗ first line", "✗ second line", "└─ attempt 2", "under way", "worker-b"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
	old := m.accept("hook_home", "channel", "dlv_2", "{}")
	m.record("dlv_2", old, store.Delivery{Outcome: store.Finished, Attempts: 1})
	if text := m.look("trace", "dlv_2"); !strings.Contains(text, "not known what they did") {
		t.Errorf("nothing is said of what is missing in:\n%s", text)
	}
}

func TestATraceSetsAReplayApart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must("trigger", "slack", "message", "hello")
	var webhook struct{ ID string }
	if err := json.Unmarshal([]byte(s.must("webhooks", "--json")), &webhook); err != nil {
		t.Fatal(err)
	}
	s.must("replay", webhook.ID, "--live", "--yes")
	var again struct{ ID string }
	if err := json.Unmarshal([]byte(s.must("webhooks", "--json", "--limit=1")), &again); err != nil || again.ID == webhook.ID {
		t.Fatal(again, err)
	}
	until(t, "both ways of the webhook", func() bool {
		var thread struct{ Tree []node }
		text := s.must("trace", again.ID, "--json")
		if err := json.Unmarshal([]byte(text), &thread); err != nil {
			t.Fatal(err, text)
		}
		if len(thread.Tree) != 2 {
			return false
		}
		then, now := thread.Tree[0], thread.Tree[1]
		return then.ID == webhook.ID && now.ID == again.ID && now.Detail["replayed"] != nil &&
			then.MS == 0 && now.MS > 0 && len(then.find("event")) == 1 && len(now.find("call")) == 3
	})
}
