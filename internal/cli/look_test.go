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
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// museum is a NATS in which much lies and nobody works.
type museum struct {
	*cemetery
	*store.Store
}

func newMuseum(t *testing.T) *museum {
	t.Helper()
	c := newCemetery(t)
	opened, err := store.Open(t.Context(), c.Broker)
	if err != nil {
		t.Fatal(err)
	}
	return &museum{c, opened}
}

// accept stores a webhook, with secrets wherever a webhook can have some.
func (m *museum) accept(webhook, key, id, body string) broker.Receipt {
	m.Helper()
	data, err := json.Marshal(events.Webhook{Req: &events.Request{
		Method: "POST", Path: "/in", Query: "x=1&access_token=s3cret",
		Header: map[string][]string{"X-Slack-Signature": {"v0=s3cret"}, "X-Shown": {"yes"}}, Body: []byte(body),
	}})
	if err != nil {
		m.Fatal(err)
	}
	e := events.New(id, "/webhooks/"+webhook, events.WebhookReceived.CloudEventType(), key, time.Now(), data)
	e.SetExtension("providerid", "T1:Ev-"+id)
	e.SetExtension("apikey", "s3cret")
	e.SetExtension("traceparent", events.TraceParent(id, 0))
	return m.put(m.Enqueue(m.Context(), broker.Webhooks, webhook, key, e))
}

func (m *museum) put(receipt broker.Receipt, err error) broker.Receipt {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
	return receipt
}

// send stores a bot's message.
func (m *museum) send(webhook, conversation, id string) broker.Receipt {
	m.Helper()
	e := events.New(id, "/bots/demo", events.MessageCreated.CloudEventType(), conversation, time.Now(), []byte(`{"payload":{"text":"hi"}}`))
	return m.put(m.Enqueue(m.Context(), broker.Commands, webhook, conversation, e))
}

// tell stores an event that follows from a delivery.
func (m *museum) tell(bot, alias, typ, id, conversation, delivery string) {
	m.Helper()
	e := events.New(id, "/bots/"+bot, typ, conversation, time.Now(), []byte(`{"payload":{"total":"12.50"}}`))
	e.SetExtension("delivery", delivery)
	e.SetExtension("traceparent", events.TraceParent(delivery, 0))
	_, name, ok := strings.Cut(typ, ":")
	if !ok {
		name = typ
	}
	m.put(m.PublishEvent(m.Context(), bot, alias, name, e))
}

// record writes down what became of a delivery.
func (m *museum) record(id string, at broker.Receipt, d store.Delivery) {
	m.Helper()
	d.Stream, d.Seq = at.Stream, at.Seq
	if err := m.SaveDelivery(m.Context(), id, &d); err != nil {
		m.Fatal(err)
	}
}

// look runs a verb that must succeed.
func (m *museum) look(args ...string) string {
	m.Helper()
	status, stdout, stderr := run(m.T, append(args, m.nats)...)
	if status != 0 {
		m.Fatalf("%v exits with %d: %s", args, status, stderr)
	}
	if strings.Contains(stdout, "s3cret") {
		m.Errorf("%v shows a secret:\n%s", args, stdout)
	}
	return stdout
}

// seen is a row as --json prints it.
type seen struct {
	ID, Type, Status, Waits, LastError string
	Time                               time.Time
}

// list returns what --json lists, but for the registrations that come with the
// installations.
func (m *museum) list(args ...string) (all []seen) {
	m.Helper()
	for line := range strings.Lines(m.look(append(args, "--json")...)) {
		var one seen
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			m.Fatal(err)
		}
		if one.Type != string(events.Register) {
			all = append(all, one)
		}
	}
	return all
}

func idsOf(all []seen) []string {
	ids := make([]string, 0, len(all))
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids
}

// furnish puts something of everything in.
func furnish(t *testing.T) *museum {
	t.Helper()
	m := newMuseum(t)
	first := m.accept("hook_work", "channel-1", "dlv_1", `{"order":1041}`)
	m.record("dlv_1", first, store.Delivery{Outcome: store.Finished, Attempts: 1, Worker: "worker-a"})
	m.tell("demo", "work", "work:ordered", "evt_1", "", "dlv_1")
	m.tell("demo", "work", "message_created", "msg_in", "conv_1", "dlv_1")
	m.accept("hook_home", "channel-2", "dlv_2", `{"order":1042}`)
	m.tell("other", "home", "home:ordered", "evt_2", "", "dlv_2")
	m.accept("hook_gone", "", "dlv_3", `not even JSON`)
	m.send("hook_work", "conv_1", "msg_1")
	return m
}

func TestWhatFlowedIsListedByFilter(t *testing.T) {
	t.Parallel()
	m := furnish(t)
	all := m.list("webhooks")
	second := all[1].Time.Format(time.RFC3339Nano)
	for _, test := range []struct {
		args string
		want []string
	}{
		{"webhooks", []string{"dlv_3", "dlv_2", "dlv_1"}},
		{"webhooks list --limit=2", []string{"dlv_3", "dlv_2"}},
		{"webhooks list --limit=0", []string{"dlv_3", "dlv_2", "dlv_1"}},
		{"webhooks list --since=1h", []string{"dlv_3", "dlv_2", "dlv_1"}},
		{"webhooks list --until=1h", []string{}},
		{"webhooks list --until=" + second, []string{"dlv_1"}},
		{"webhooks list --since=" + second, []string{"dlv_3", "dlv_2"}},
		{"webhooks list --bot=demo", []string{"dlv_1"}},
		{"webhooks list --bot=nobody", []string{}},
		{"webhooks list --installation=home", []string{"dlv_2"}},
		{"webhooks list --installation=hook_gone", []string{"dlv_3"}},
		{"webhooks list --installation=work --bot=other", []string{}},
		{"webhooks list --platform=slack", []string{"dlv_2", "dlv_1"}},
		{"webhooks list --platform=shopify", []string{}},
		{"webhooks list --key=channel-2", []string{"dlv_2"}},
		{"webhooks list --conversation=conv_1", []string{"dlv_1"}},
		{"webhooks list --contains=1042", []string{"dlv_2"}},
		{"deliveries", []string{"msg_1", "dlv_3", "dlv_2", "dlv_1"}},
		{"deliveries list --limit=3", []string{"msg_1", "dlv_3", "dlv_2"}},
		{"deliveries list --type=message_created", []string{"msg_1"}},
		{"deliveries list --operation=webhook_received --bot=demo", []string{"dlv_1"}},
		{"deliveries list --status=done", []string{"dlv_1"}},
		{"deliveries list --status=done,waiting --installation=work", []string{"msg_1", "dlv_1"}},
		{"deliveries list --conversation=conv_1", []string{"msg_1", "dlv_1"}},
		{"events", []string{"evt_2", "msg_in", "evt_1"}},
		{"events list --bot=demo", []string{"msg_in", "evt_1"}},
		{"events list --installation=home", []string{"evt_2"}},
		{"events list --installation=hook_work", []string{"msg_in", "evt_1"}},
		{"events list --platform=slack --limit=1", []string{"evt_2"}},
		{"events list --type=ordered", []string{"evt_2", "evt_1"}},
		{"events list --type=work:ordered", []string{"evt_1"}},
		{"events list --type=message_created", []string{"msg_in"}},
		{"events list --conversation=conv_1", []string{"msg_in"}},
		{"events list --contains=12.50 --bot=other", []string{"evt_2"}},
		{"events list --status=processed", []string{}},
	} {
		if diff := cmp.Diff(test.want, idsOf(m.list(strings.Fields(test.args)...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.args, diff)
		}
	}
	if status, _, stderr := run(t, "deliveries", "list", "--status=asleep", m.nats); status == 0 || !strings.Contains(stderr, `"asleep" is none of`) {
		t.Errorf("an unknown status: %d: %s", status, stderr)
	}
}

func TestAPageSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	m := newMuseum(t)
	var want []string
	for i := range 7 {
		id := fmt.Sprint("dlv_", i)
		m.accept("hook_work", "k", id, "{}")
		want = append([]string{id}, want...)
	}
	var got []string
	for args := []string{"webhooks", "list", "--limit=3", "--json", m.nats}; args != nil; {
		status, stdout, stderr := run(t, args...)
		if status != 0 {
			t.Fatal(stderr)
		}
		for line := range strings.Lines(stdout) {
			var one seen
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(err)
			}
			got = append(got, one.ID)
		}
		args = nil
		if _, until, ok := strings.Cut(stderr, "Older ones: "); ok {
			args = append([]string{"webhooks", "list", "--limit=3", "--json", m.nats}, strings.Fields(until)...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADeliveryTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	m := newMuseum(t)
	in := func(d time.Duration) time.Time { return time.Now().Add(d).UTC() }
	failed := []broker.Failure{{Attempt: 1, At: in(-time.Second), Worker: "worker-a", Error: "first: timeout"}, {Attempt: 2, At: in(0), Worker: "worker-b", Error: "second: timeout"}}
	for id, d := range map[string]store.Delivery{
		"dlv_done": {Outcome: store.Finished, Attempts: 1, Worker: "worker-a"},
		"dlv_dead": {Outcome: store.DeadLettered, Attempts: 2, Errors: failed},
		"dlv_work": {Begun: 1, Runs: 1},
		"dlv_back": {Attempts: 2, Begun: 2, Runs: 2, Errors: failed, NotBefore: in(time.Hour)},
	} {
		m.record(id, m.accept("hook_work", id, id, "{}"), d)
	}
	m.accept("hook_work", "k", "dlv_wait", "{}")
	parked := m.accept("hook_home", "busy", "dlv_park", "{}")
	lane, err := m.Get(t.Context(), parked.Stream, parked.Seq)
	if err == nil {
		_, err = m.Park(t.Context(), broker.Parked{Place: lane.Lane().Place(lane.Seq), Until: in(time.Minute), Why: "limited"})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.record("dlv_copy", broker.Receipt{Stream: broker.Webhooks, Seq: 1}, store.Delivery{Outcome: store.Finished})
	m.accept("hook_work", "k", "dlv_copy", "{}")
	m.record("dlv_again", broker.Receipt{Stream: broker.Webhooks, Seq: 99}, store.Delivery{Outcome: store.Finished, RetryOf: "dead_1"})
	m.accept("hook_work", "k", "dlv_again", "{}")

	got := map[string]string{}
	for _, one := range m.list("deliveries") {
		got[one.ID] = strings.Trim(one.Status+", "+one.LastError+", "+one.Waits, ", ")
	}
	want := map[string]string{
		"dlv_done": "done", "dlv_dead": "dead_letter, second: timeout", "dlv_work": "at_work", "dlv_back": "backing_off, second: timeout",
		"dlv_wait": "waiting", "dlv_park": "parked, , the platform takes no more at the moment", "dlv_copy": "duplicate", "dlv_again": "sent_again",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	shown := m.look("deliveries", "show", "dlv_back")
	for _, part := range []string{"backing_off", "first: timeout", "second: timeout", "worker-b", "until "} {
		if !strings.Contains(shown, part) {
			t.Errorf("%q is missing in:\n%s", part, shown)
		}
	}
}

func TestWhatIsShownHoldsNoSecret(t *testing.T) {
	t.Parallel()
	m := furnish(t)
	for _, verb := range []string{"webhooks", "deliveries", "events"} {
		for _, format := range []string{"", "--json"} {
			m.look(slices.DeleteFunc([]string{verb, "list", format}, func(s string) bool { return s == "" })...)
		}
	}
	for _, test := range []struct {
		args, want string
	}{
		{"webhooks show dlv_1", `\"order\":1041`},
		{"webhooks show --json Ev-dlv_1", `"headers":{"x-shown":"yes"}`},
		{"webhooks show T1:Ev-dlv_2", "access_token=[secret]"},
		{"webhooks show dlv_3", "not even JSON"},
		{"deliveries show dlv_1 msg_1", `"text": "hi"`},
		{"events show evt_1 msg_in", `"total": "12.50"`},
		{"trace dlv_1", "work:ordered → bot demo"},
		{"trace --json dlv_2", `"providerId":"T1:Ev-dlv_2"`},
	} {
		if text := m.look(strings.Fields(test.args)...); !strings.Contains(text, test.want) {
			t.Errorf("%s: %q is missing in:\n%s", test.args, test.want, text)
		}
	}
	e := events.New("dlv_9", "/webhooks/hook_work", events.WebhookReceived.CloudEventType(), "", time.Now(), []byte(`{"req": "s3cret`))
	m.put(m.Enqueue(t.Context(), broker.Webhooks, "hook_work", "", e))
	if text := m.look("webhooks", "show", "dlv_9"); !strings.Contains(text, "bytes are not shown") {
		t.Errorf("shown as:\n%s", text)
	}
	status, _, stderr := run(t, "events", "show", events.EffectID("evt", time.Now().AddDate(0, -2, 0), "x"), m.nats)
	if status != 1 || !strings.Contains(stderr, "EVENTS goes back to ") || !strings.Contains(stderr, ", from ") {
		t.Errorf("of what is long gone it says %s", stderr)
	}
}

func TestTailShowsWhatIsNew(t *testing.T) {
	t.Parallel()
	m := furnish(t)
	webhooks, deliveries, told := begin(t, "webhooks", "tail", "--json", "--installation=work", m.nats),
		begin(t, "deliveries", "tail", "--bot=demo", m.nats), begin(t, "events", "tail", "--bot=demo", "--type=ordered", m.nats)
	// Nobody says when a tail begins to follow, so there is something new until
	// each has seen some of it.
	n := 0
	until(t, "what is new", func() bool {
		n++
		id := fmt.Sprint("new_", n)
		at := m.accept("hook_work", "k", id, "{}")
		m.accept("hook_home", "k", "home_"+id, "{}")
		m.record(id, at, store.Delivery{Begun: 1})
		d, err := m.Delivery(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		d.Outcome, d.Attempts = store.DeadLettered, 1
		d.Errors = []broker.Failure{{Attempt: 1, At: time.Now(), Error: "it is broken"}}
		if err := m.SaveDelivery(t.Context(), id, &d); err != nil {
			t.Fatal(err)
		}
		m.tell("demo", "work", "work:ordered", "evt_"+id, "", id)
		m.tell("demo", "work", "work:other", "other_"+id, "", id)
		return strings.Contains(webhooks.stdout.String(), `"id":"new_`) && strings.Contains(deliveries.stdout.String(), "it is broken") &&
			strings.Contains(told.stdout.String(), "evt_new_")
	})
	for _, v := range []*verb{webhooks, deliveries, told} {
		v.end()
		text := v.stdout.String()
		if strings.Contains(text, "home_") || strings.Contains(text, "other_") || strings.Contains(text, "dlv_1") ||
			strings.Contains(text, "at_work") || strings.Contains(text, "s3cret") {
			t.Errorf("there is too much in:\n%s", text)
		}
	}
	if header := strings.Fields(deliveries.stdout.String())[0]; header != "TIME" {
		t.Errorf("tail begins with %q", header)
	}
}

func TestAnEventTellsWhatItsBotDid(t *testing.T) {
	t.Parallel()
	m := newMuseum(t)
	own := client.New(m.Store, client.Caller{BotID: "demo", Alias: "work"})
	if err := own.FireEvent(t.Context(), "ordered", events.Refs{}, map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	id := m.list("events")[0].ID
	if err := m.SetEventStatus(t.Context(), "demo", id, client.EventFailed, "no stock"); err != nil {
		t.Fatal(err)
	}
	if got := m.list("events", "list", "--status=failed"); len(got) != 1 || got[0].LastError != "no stock" {
		t.Errorf("listed as %v", got)
	}
	if text := m.look("trace", id); !strings.Contains(text, "✗ no stock") {
		t.Errorf("traced as:\n%s", text)
	}
}
