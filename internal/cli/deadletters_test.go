package cli_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/pkg/events"
)

// cemetery is a NATS with two installations, in which nobody works.
type cemetery struct {
	*testing.T
	*broker.Broker
	nats string
}

func newCemetery(t *testing.T) *cemetery {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	file := write(t, `
bots:
  - {id: demo, token: 0123456789abcdef}
  - {id: other, token: 0123456789abcdeg}
installations:
  - {bot: demo, integration: slack, alias: work, webhookId: hook_work, configuration: {botToken: xoxb-1, signingSecret: secret}}
  - {bot: other, integration: slack, alias: home, webhookId: hook_home, configuration: {botToken: xoxb-2, signingSecret: secret}}
`)
	nats := "--nats=" + server.ClientURL()
	if status, _, stderr := run(t, "provision", nats, "--config", file, "--partitions=2"); status != 0 {
		t.Fatal(stderr)
	}
	connected, err := broker.Connect(broker.Config{Name: t.Name(), Logger: brokertest.Logger(t), InProcess: server})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connected.Close)
	return &cemetery{t, connected, nats}
}

// bury stores what receipt says, or whatever stands there, as a dead letter.
func (c *cemetery) bury(receipt broker.Receipt, err error, letter broker.DeadLetter) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
	m, err := c.Get(c.Context(), receipt.Stream, receipt.Seq)
	if err != nil {
		c.Fatal(err)
	}
	letter.Attempts = 2
	letter.Errors = []broker.Failure{
		{Attempt: 1, At: time.Now(), Worker: "worker-a", Error: "first: timeout"}, {Attempt: 2, At: time.Now(), Worker: "worker-b", Error: "second: timeout"},
	}
	if err := c.Bury(c.Context(), m, letter, "test"); err != nil {
		c.Fatal(err)
	}
}

// webhook gives up a webhook.
func (c *cemetery) webhook(installation, key, id, reason string) {
	c.Helper()
	body, err := json.Marshal(events.Webhook{Req: &events.Request{
		Method: "POST", Path: "/", Header: map[string][]string{"X-Slack-Signature": {"v0=s3cret"}, "X-Shown": {"yes"}}, Body: []byte(`{"n":1}`),
	}})
	if err != nil {
		c.Fatal(err)
	}
	e := events.New(id, "/webhooks/"+installation, events.WebhookReceived.CloudEventType(), key, time.Now(), body)
	receipt, err := c.Enqueue(c.Context(), broker.Webhooks, installation, key, e)
	c.bury(receipt, err, broker.DeadLetter{Operation: events.WebhookReceived, Installation: installation, Reason: reason})
}

// message gives up an outgoing message.
func (c *cemetery) message(installation, conversation, id string) {
	c.Helper()
	e := events.New(id, "/bots/demo", events.MessageCreated.CloudEventType(), conversation, time.Now(), []byte(`{"message":{}}`))
	receipt, err := c.Enqueue(c.Context(), broker.Commands, installation, conversation, e)
	c.bury(receipt, err, broker.DeadLetter{Operation: events.MessageCreated, Installation: installation, Reason: "archived"})
}

// event gives up a bot's event.
func (c *cemetery) event(bot, id string) {
	c.Helper()
	e := events.New(id, "/bots/"+bot, "slack:ping", "conv_event", time.Now(), []byte(`{"payload":{}}`))
	receipt, err := c.PublishEvent(c.Context(), bot, "slack", "ping", e)
	c.bury(receipt, err, broker.DeadLetter{Operation: broker.EventReceived, Installation: bot, Reason: "the bot crashed", Subscription: "bot.demo.bot"})
}

// verb runs a verb of the dead letters that must succeed.
func (c *cemetery) verb(args ...string) string {
	c.Helper()
	status, stdout, stderr := run(c.T, append([]string{"dead-letters", args[0], c.nats}, args[1:]...)...)
	if status != 0 {
		c.Fatalf("%v exits with %d: %s", args, status, stderr)
	}
	return stdout
}

// refused runs a verb of the dead letters that must fail.
func (c *cemetery) refused(want string, args ...string) string {
	c.Helper()
	status, stdout, stderr := run(c.T, append([]string{"dead-letters", args[0], c.nats}, args[1:]...)...)
	if status != 1 || !strings.Contains(stderr, want) {
		c.Errorf("%v exits with %d: %s", args, status, stderr)
	}
	return stdout
}

type listed struct {
	ID, Delivery, Skipped string
	Time                  time.Time
}

// list returns the letters as --json lists them.
func (c *cemetery) list(args ...string) (all []listed) {
	c.Helper()
	for line := range strings.Lines(c.verb(append([]string{"list", "--json"}, args...)...)) {
		var one listed
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			c.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func deliveries(letters []listed) []string {
	ids := make([]string, 0, len(letters))
	for _, l := range letters {
		ids = append(ids, l.Delivery)
	}
	return ids
}

// enqueued returns the ids that a stream holds, the newest first.
func (c *cemetery) enqueued(stream broker.Stream) (ids []string) {
	c.Helper()
	for m, err := range c.Newest(c.Context(), stream, broker.Range{}) {
		if err != nil {
			c.Fatal(err)
		}
		id := m.Header["ce-id"][0]
		if of := m.Header["ce-retryof"]; of != nil {
			id += " again"
		}
		ids = append(ids, id)
	}
	return ids
}

func TestDeadLettersAreListedByFilter(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	if got := c.list(); got != nil {
		t.Fatalf("there are %v", got)
	}
	c.webhook("hook_work", "channel-1", "dlv_1", "Timeout of the API")
	c.webhook("hook_home", "channel-1", "dlv_2", "the order is\nunknown")
	c.message("hook_work", "conv_1", "msg_3")
	c.event("demo", "evt_4")
	c.webhook("hook_gone", "channel-2", "dlv_5", "its installation was removed")
	all := c.list()
	if diff := cmp.Diff([]string{"dlv_5", "evt_4", "msg_3", "dlv_2", "dlv_1"}, deliveries(all)); diff != "" {
		t.Fatal(diff)
	}
	third := all[2].Time.Format(time.RFC3339Nano)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"--limit=2"}, []string{"dlv_5", "evt_4"}},
		{[]string{"--limit=0"}, deliveries(all)},
		{[]string{"--bot=demo"}, []string{"evt_4", "msg_3", "dlv_1"}},
		{[]string{"--bot=demo", "--operation=event_received"}, []string{"evt_4"}},
		{[]string{"--bot=nobody"}, []string{}},
		{[]string{"--installation=work"}, []string{"msg_3", "dlv_1"}},
		{[]string{"--installation=hook_home"}, []string{"dlv_2"}},
		{[]string{"--installation=hook_gone"}, []string{"dlv_5"}},
		{[]string{"--installation=work", "--bot=other"}, []string{}},
		{[]string{"--operation=webhook_received"}, []string{"dlv_5", "dlv_2", "dlv_1"}},
		{[]string{"--reason=timeout"}, []string{"dlv_1"}},
		{[]string{"--key=channel-1"}, []string{"dlv_2", "dlv_1"}},
		{[]string{"--conversation=conv_1"}, []string{"msg_3"}},
		{[]string{"--conversation=conv_event"}, []string{"evt_4"}},
		{[]string{"--since=1h"}, deliveries(all)},
		{[]string{"--until=1h"}, []string{}},
		{[]string{"--since=" + third}, []string{"dlv_5", "evt_4", "msg_3"}},
		{[]string{"--until=" + third}, []string{"dlv_2", "dlv_1"}},
		{[]string{"dlv_1", "msg_3"}, []string{"msg_3", "dlv_1"}},
		{[]string{all[0].ID}, []string{"dlv_5"}},
		{[]string{all[4].ID, all[0].ID}, []string{"dlv_5", "dlv_1"}},
	} {
		if diff := cmp.Diff(test.want, deliveries(c.list(test.args...))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.args, diff)
		}
	}
	table := strings.Split(strings.TrimSpace(c.verb("list")), "\n")
	if len(table) != 6 || !strings.HasPrefix(table[0], "TIME ") || !strings.HasSuffix(table[4], "the order is unknown") ||
		!strings.Contains(table[4], all[3].ID+"  dlv_2     hook_home     webhook_received  2         ") {
		t.Errorf("table:\n%s", strings.Join(table, "\n"))
	}
}

func TestADeadLetterIsShownWithEveryErrorAndWithoutSecrets(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	c.webhook("hook_work", "channel-1", "dlv_1", "Timeout")
	e := events.New("dlv_2", "/webhooks/hook_work", events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(`{"req": "s3cret`))
	receipt, err := c.Enqueue(t.Context(), broker.Webhooks, "hook_work", "", e)
	c.bury(receipt, err, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "hook_work", Reason: "no JSON"})
	for _, format := range [][]string{{"show", "dlv_1", "dlv_2"}, {"show", "--json"}} {
		text := c.verb(format...)
		for _, want := range []string{"first: timeout", "worker-b", "dlv_1", "dead_", "x-shown", "channel-1", "ce-time", "bytes are not shown"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in:\n%s", want, text)
			}
		}
		if strings.Contains(text, "s3cret") || strings.Contains(strings.ToLower(text), "nats-") {
			t.Errorf("there is too much in:\n%s", text)
		}
	}
	c.refused("no dead letter dlv_9", "show", "dlv_9")
}

func TestLettersAreRetriedInTheirOrderAndOnce(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	var want, letters []string
	for i := range 6 {
		id := fmt.Sprintf("dlv_%d", i)
		c.webhook("hook_work", fmt.Sprintf("channel-%d", i%2), id, "Timeout")
		want = append(want, id+" again")
	}
	c.message("hook_work", "conv_1", "msg_1")
	c.event("demo", "evt_1")
	for _, l := range c.list() {
		letters = append(letters, l.ID)
	}
	// The first one was sent again by somebody who then died.
	letter, err := c.Letter(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resend(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	c.refused("Send again 8 dead letters at nats://127.0.0.1:", "retry")
	if got := c.verb("retry", "--yes"); got != "retried=8 skipped=0\n" {
		t.Errorf("it prints %q", got)
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want, c.enqueued(broker.Webhooks)[:6]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"msg_1 again", "msg_1"}, c.enqueued(broker.Commands)[:2]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"evt_1 again", "evt_1"}, c.enqueued(broker.Events)); diff != "" {
		t.Error(diff)
	}
	if left := c.list(); left != nil {
		t.Errorf("there still are %v", left)
	}
	c.refused("no dead letter "+letters[0], "retry", letters[0], "--yes")
	if got := c.verb("retry", "--json"); got != `{"retried":0,"skipped":0}`+"\n" {
		t.Errorf("with nothing left it prints %q", got)
	}
}

func TestWhatWasNamedNeedsNoConfirmation(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	for i := range 4 {
		c.webhook("hook_work", "channel", fmt.Sprintf("dlv_%d", i), "Timeout")
	}
	if got := c.verb("retry", "dlv_2", "dlv_0"); got != "retried=2 skipped=0\n" {
		t.Errorf("retry prints %q", got)
	}
	if diff := cmp.Diff([]string{"dlv_2 again", "dlv_0 again"}, c.enqueued(broker.Webhooks)[:2]); diff != "" {
		t.Error(diff)
	}
	c.refused("no dead letter dlv_2", "drop", "dlv_1", "dlv_2") // and nothing is dropped
	c.refused("Remove for ever 2 dead letters at nats://", "drop", "--reason=timeout")
	if got := c.verb("drop", "--json", "--yes", "--reason=timeout"); got != `{"dropped":2}`+"\n" {
		t.Errorf("drop prints %q", got)
	}
	c.webhook("hook_work", "channel", "dlv_9", "Timeout")
	if got := c.verb("drop", "--bot=demo"); got != "dropped=1\n" { // a single one
		t.Errorf("drop prints %q", got)
	}
	if left := c.list(); left != nil {
		t.Errorf("there still are %v", left)
	}
	if got := len(c.enqueued(broker.Webhooks)); got != 7 {
		t.Errorf("%d messages are in the queue, want 5 and 2 again", got)
	}
}

func TestALetterThatCannotBeSentStaysAndSaysWhy(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	e := events.New("dlv_large", "/webhooks/hook_work", events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(`"`+strings.Repeat("x", 7<<20)+`"`))
	receipt, err := c.Enqueue(t.Context(), broker.Webhooks, "hook_work", "k", e)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Get(t.Context(), receipt.Stream, receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	m.Seq = 1000 // which is gone
	if err := c.Bury(t.Context(), m, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "hook_work"}, "test"); err != nil {
		t.Fatal(err)
	}
	c.webhook("hook_work", "k", "dlv_2", "Timeout")
	if got := c.refused("holds the original (1000) no longer", "retry", "--yes"); got != "retried=1 skipped=1\n" {
		t.Errorf("it prints %q", got)
	}
	if got := deliveries(c.list()); len(got) != 1 || got[0] != "dlv_large" {
		t.Errorf("there are %v", got)
	}
	lines := c.refused("cannot be sent again", "retry", "dlv_large", "--json")
	if !strings.Contains(lines, `"skipped":"it is lost: its body`) || !strings.Contains(lines, `{"retried":0,"skipped":1}`) {
		t.Errorf("it prints %s", lines)
	}
	if text := c.verb("show", "dlv_large"); !strings.Contains(text, "no longer") {
		t.Errorf("shown as %s", text)
	}
}

func TestLettersAreFollowed(t *testing.T) {
	t.Parallel()
	c := newCemetery(t)
	c.webhook("hook_work", "k", "dlv_old", "Timeout")
	work, all := begin(t, "dead-letters", "tail", "--bot=demo", c.nats), begin(t, "dead-letters", "tail", "--json", "--reason=order", c.nats)
	n := 0
	until(t, "the letters", func() bool {
		n++
		c.webhook("hook_work", "k", fmt.Sprint("dlv_work", n), "Timeout")
		c.webhook("hook_home", "k", fmt.Sprint("dlv_home", n), "the order is unknown")
		c.event("demo", fmt.Sprint("evt_", n))
		text := work.stdout.String()
		return strings.Contains(text, "dlv_work") && strings.Contains(text, "evt_") && strings.Contains(all.stdout.String(), `"delivery":"dlv_home`)
	})
	work.end()
	all.end()
	if text := work.stdout.String(); strings.Contains(text, "dlv_home") || strings.Contains(text, "dlv_old") || !strings.HasPrefix(text, "TIME ") {
		t.Errorf("followed of the bot:\n%s", text)
	}
	if text := all.stdout.String(); strings.Contains(text, "dlv_work") {
		t.Errorf("followed by reason:\n%s", text)
	}
}
