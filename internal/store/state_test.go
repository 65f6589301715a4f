package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

func TestAStateIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	set := func(caller client.Caller, typ client.StateType, id, payload string) error {
		_, err := as(s, caller).SetState(ctx, client.SetStateInput{Type: typ, ID: id, Name: "n", Payload: json.RawMessage(payload)})
		return err
	}
	get := func(caller client.Caller, typ client.StateType, id string) (string, error) {
		out, err := as(s, caller).GetState(ctx, client.StateInput{Type: typ, ID: id, Name: "n"})
		if err != nil {
			return "", err
		}
		return string(out.State.Payload), nil
	}
	for _, owner := range []struct {
		typ client.StateType
		id  string
	}{
		{client.IntegrationState, slack.IntegrationID}, {client.ConversationState, conversation},
		{client.UserState, user}, {client.BotState, demo},
	} {
		if err := set(slack, owner.typ, owner.id, `{"of":"slack"}`); err != nil {
			t.Fatal(err)
		}
		if got, err := get(slack, owner.typ, owner.id); got != `{"of":"slack"}` || err != nil {
			t.Errorf("%s: %s, %v", owner.typ, got, err)
		}
		for _, stranger := range []client.Caller{other, bot} {
			if got, err := get(stranger, owner.typ, owner.id); err == nil {
				t.Errorf("%v reads slack's state of a %s: %s", stranger, owner.typ, got)
			}
		}
	}
	if err := set(other, client.IntegrationState, slack.IntegrationID, `{}`); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("another integration writes slack's state: %v", err)
	}
	if err := set(other, client.UserState, user, `{}`); client.AsError(err).Type != client.ReferenceNotFound {
		t.Errorf("another integration writes a state of slack's user: %v", err)
	}
	if err := set(bot, client.BotState, "second", `{}`); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a bot writes another's state: %v", err)
	}
	newer := slack
	newer.IntegrationID = "intver_slack_2"
	if got, err := get(newer, client.IntegrationState, newer.IntegrationID); got != `{"of":"slack"}` || err != nil {
		t.Errorf("a new version of the integration lost its state: %s, %v", got, err)
	}
}

func TestAStateIsReplacedAndDeleted(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	c := as(s, bot)
	write := func(payload string) (*client.StateOutput, error) {
		return c.SetState(t.Context(), client.SetStateInput{Type: client.BotState, ID: demo, Name: "n", Payload: json.RawMessage(payload)})
	}
	first := must[*client.StateOutput](t)(write(`{"a":1}`)).State
	second := must[*client.StateOutput](t)(write(`{"b":2}`)).State
	read := must[*client.StateOutput](t)(c.GetState(t.Context(), client.StateInput{Type: client.BotState, ID: demo, Name: "n"})).State
	if second.ID != first.ID || !second.CreatedAt.Equal(first.CreatedAt) || string(read.Payload) != `{"b":2}` {
		t.Errorf("first %+v, second %+v, read %+v", first, second, read)
	}
	for range 2 {
		if _, err := write(`null`); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := c.GetState(t.Context(), client.StateInput{Type: client.BotState, ID: demo, Name: "n"}); !errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), "not found") {
		t.Errorf("deleted: %v", err)
	}
	if _, err := write(`{"c":3}`); err != nil {
		t.Errorf("set after delete: %v", err)
	}
	for payload, want := range map[string]client.ErrorType{
		`"` + strings.Repeat("x", 131_072) + `"`: client.PayloadTooLarge,
		``:                                       client.InvalidPayload,
	} {
		if _, err := write(payload); client.AsError(err).Type != want {
			t.Errorf("payload of %d bytes: %v", len(payload), err)
		}
	}
}

func TestAStateExpires(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	c := as(s, bot)
	in := client.SetStateInput{Type: client.BotState, ID: demo, Name: "n", Payload: json.RawMessage(`1`), Expiry: 1}
	name := client.StateInput{Type: client.BotState, ID: demo, Name: "n"}
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), broker.States))
	key := broker.Key(demo, "", "bot", demo, "n")
	gone := func() bool {
		_, err := bucket.Get(t.Context(), key)
		return errors.Is(err, broker.ErrNoKey)
	}
	for range 2 { // fresh, and after it has expired
		must[*client.StateOutput](t)(c.SetState(t.Context(), in))
		must[*client.StateOutput](t)(c.SetState(t.Context(), in))
		eventually(t, "expiry", 20*time.Second, gone)
		if _, err := c.GetState(t.Context(), name); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
	}
	in.Expiry = 2_592_000_001
	if _, err := c.SetState(t.Context(), in); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("more than 30 days: %v", err)
	}
}

func TestAnEventIsToldOnceAndListed(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, _ := talk(t, s)
	in := client.CreateEventInput{Type: "orderCreated", Payload: json.RawMessage(`{"n":1}`), ConversationID: conversation}
	attempt := func() []string {
		c := as(s, slack, "dlv_1")
		first := must[*client.EventOutput](t)(c.CreateEvent(ctx, in)).Event
		second := must[*client.EventOutput](t)(c.CreateEvent(ctx, in)).Event
		if first.Type != "slack:orderCreated" || first.Status != "pending" {
			t.Errorf("event %+v", first)
		}
		return []string{first.ID, second.ID}
	}
	ids := attempt()
	if diff := cmp.Diff(ids, attempt()); diff != "" || ids[0] == ids[1] {
		t.Errorf("ids of the second attempt (-first +second):\n%s", diff)
	}
	told := stored(ctx, t, b, broker.Events, "slack:orderCreated")
	if len(told) != 2 || told[0].Subject != "events.demo.slack.orderCreated" {
		t.Errorf("the bot is told %d times, want 2: %+v", len(told), told)
	}
	for range 21 {
		must[*client.EventOutput](t)(as(s, other).CreateEvent(ctx, client.CreateEventInput{Type: "tick", Payload: json.RawMessage(`{}`)}))
	}
	list := func(caller client.Caller, in client.ListEventsInput) *client.ListEventsOutput {
		t.Helper()
		return must[*client.ListEventsOutput](t)(as(s, caller).ListEvents(ctx, in))
	}
	if got := list(bot, client.ListEventsInput{Type: "slack:orderCreated", ConversationID: conversation, Status: "pending"}); len(got.Events) != 2 {
		t.Errorf("by filters: %d", len(got.Events))
	}
	if got := list(slack, client.ListEventsInput{}); len(got.Events) != 2 {
		t.Errorf("slack sees %d events, want its own 2", len(got.Events))
	}
	page := list(bot, client.ListEventsInput{})
	rest := list(bot, client.ListEventsInput{NextToken: page.Meta.NextToken})
	if len(page.Events) != 20 || len(rest.Events) != 3 || rest.Meta.NextToken != "" {
		t.Errorf("pages of %d and %d", len(page.Events), len(rest.Events))
	}
	if got := must[*client.EventOutput](t)(as(s, bot).GetEvent(ctx, ids[0])); got.Event.ConversationID != conversation {
		t.Errorf("got %+v", got.Event)
	}
	if _, err := as(s, other).GetEvent(ctx, ids[0]); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("another integration's: %v", err)
	}
	if _, err := as(s, bot).CreateEvent(ctx, in); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a bot fires: %v", err)
	}
	for _, bad := range []client.CreateEventInput{
		{Type: "x", Payload: in.Payload, ConversationID: "conv_x"}, {Type: "x", Payload: in.Payload, UserID: "user_x"},
		{Type: "x", Payload: in.Payload, MessageID: "msg_x"},
	} {
		if _, err := as(s, slack).CreateEvent(ctx, bad); client.AsError(err).Type != client.ReferenceNotFound {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// answer does a worker's part for the next action.
func answer(t *testing.T, b *broker.Broker, s *store.Store, with store.ActionAnswer) {
	t.Helper()
	var after uint64
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		message, err := b.Next(t.Context(), broker.Commands, ">", after)
		if err != nil {
			select {
			case <-tick.C:
				continue
			case <-t.Context().Done():
				return
			}
		}
		after = message.Seq
		if e, _ := message.Event(); e.Type() == "towpath.action_triggered" {
			if err := s.FinishAction(t.Context(), e.ID(), with); err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func TestAnActionAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer store.ActionAnswer
		want   client.ErrorType
	}{
		"with its output": {answer: store.ActionAnswer{Output: json.RawMessage(`{"ok":true}`)}},
		"with its error":  {answer: store.ActionAnswer{Error: client.NewError(client.Runtime, "no such channel")}, want: client.Runtime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b, caller := installed(t)
			var group sync.WaitGroup
			group.Go(func() {
				worker := s.connect()
				answer(t, worker, s.open(worker), test.answer)
			})
			in := client.CallActionInput{Type: "slack:send", Input: json.RawMessage(`{"a":1}`)}
			var ids []string
			// The second attempt finds the answer of the first.
			for range 2 {
				out, err := as(caller, bot, "dlv_1").CallAction(t.Context(), in)
				if test.want == "" && (err != nil || string(out.Output) != `{"ok":true}`) {
					t.Errorf("output %+v, %v", out, err)
				}
				if test.want != "" && client.AsError(err).Type != test.want {
					t.Errorf("error %v, want %s", err, test.want)
				}
			}
			group.Wait()
			for _, message := range stored(t.Context(), t, b, broker.Commands, "towpath.action_triggered") {
				ids = append(ids, message.Header["ce-id"][0])
				if !message.Lane().Keyless() || string(message.Data) != `{"type":"send","input":{"a":1}}` {
					t.Errorf("operation %s under %s", message.Data, message.Subject)
				}
			}
			if len(ids) != 1 {
				t.Errorf("the action was asked for %d times", len(ids))
			}
		})
	}
}

func TestAStateIsPatchedAndSetOnce(t *testing.T) {
	t.Parallel()
	s, _, first := installed(t)
	ctx := t.Context()
	c := as(first, bot)
	name := client.StateInput{Type: client.BotState, ID: demo, Name: "n"}
	patch := func(payload string) (*client.StateOutput, error) {
		return c.PatchState(ctx, client.PatchStateInput{Type: name.Type, ID: name.ID, Name: name.Name, Payload: json.RawMessage(payload)})
	}
	if _, err := c.SetStateExpiry(ctx, client.SetStateExpiryInput{Type: name.Type, ID: name.ID, Name: name.Name, Expiry: 1000}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("expiry of what is not there: %v", err)
	}
	for payload, want := range map[string]string{`{"a":1,"b":{"c":1}}`: `{"a":1,"b":{"c":1}}`} {
		if got := must[*client.StateOutput](t)(patch(payload)); string(got.State.Payload) != want {
			t.Errorf("patch of nothing: %s", got.State.Payload)
		}
	}
	if got := must[*client.StateOutput](t)(patch(`{"b":{"d":2},"n":12345678901234567890.10}`)); string(got.State.Payload) != `{"a":1,"b":{"d":2},"n":12345678901234567890.10}` {
		t.Errorf("shallow, and digit by digit: %s", got.State.Payload)
	}
	for payload, want := range map[string]client.ErrorType{
		`[]`: client.InvalidPayload, `null`: client.InvalidPayload,
		`{"x":"` + strings.Repeat("x", 131_060) + `"}`: client.PayloadTooLarge,
	} {
		if _, err := patch(payload); client.AsError(err).Type != want {
			t.Errorf("patch of %d bytes: %v", len(payload), err)
		}
	}
	stores := []*store.Store{first, s.open(s.connect())}
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			_, err := as(stores[i%2], bot).PatchState(ctx, client.PatchStateInput{
				Type: name.Type, ID: name.ID, Name: name.Name, Payload: json.RawMessage(fmt.Sprintf(`{"k%d":1}`, i)),
			})
			once, failed := as(stores[i%2], bot).GetOrSetState(ctx, client.SetStateInput{
				Type: name.Type, ID: name.ID, Name: "once", Payload: json.RawMessage(`{"n":1}`),
			})
			if err := errors.Join(err, failed); err != nil || string(once.State.Payload) != `{"n":1}` {
				t.Errorf("%v, %v", once, err)
			}
		})
	}
	group.Wait()
	var fields map[string]any
	if err := json.Unmarshal(must[*client.StateOutput](t)(c.GetState(ctx, name)).State.Payload, &fields); err != nil || len(fields) != 3+32 {
		t.Errorf("%d fields after 32 patches at once, want %d: %v", len(fields), 3+32, err)
	}
}

// The clock of expiry starts again with every use.
func TestAStateThatIsUsedDoesNotExpire(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	c := as(s, bot)
	for _, name := range []string{"read", "idle", "kept"} {
		must[*client.StateOutput](t)(c.SetState(ctx, client.SetStateInput{Type: client.BotState, ID: demo, Name: name, Payload: json.RawMessage(`{}`), Expiry: 2000}))
	}
	must[*client.StateOutput](t)(c.SetStateExpiry(ctx, client.SetStateExpiryInput{Type: client.BotState, ID: demo, Name: "kept"}))
	bucket := must[*broker.Bucket](t)(b.Bucket(ctx, broker.States))
	eventually(t, "the end of the idle one", 20*time.Second, func() bool {
		if _, err := c.GetState(ctx, client.StateInput{Type: client.BotState, ID: demo, Name: "read"}); err != nil {
			t.Fatalf("the one that is read: %v", err)
		}
		_, err := bucket.Get(ctx, broker.Key(demo, "", "bot", demo, "idle"))
		return errors.Is(err, broker.ErrNoKey)
	})
	must[*client.StateOutput](t)(c.GetState(ctx, client.StateInput{Type: client.BotState, ID: demo, Name: "kept"}))
}

func TestACountIsCountedOncePerEffect(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	for range 2 {
		c := as(s, slack, "dlv_1")
		for range 2 {
			if err := c.TrackAnalytics(ctx, client.TrackAnalyticsInput{Name: "sent", Count: 3}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := as(s, slack).TrackAnalytics(ctx, client.TrackAnalyticsInput{Name: "sent", Count: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := must[int64](t)(s.Analytics(ctx, demo, "slack", "sent")); n != 26 {
		t.Errorf("counted %d, want 26", n)
	}
	if n := must[int64](t)(s.Analytics(ctx, demo, "", "sent")); n != 0 {
		t.Errorf("the bot counted %d", n)
	}
	for _, in := range []client.TrackAnalyticsInput{{Count: 1}, {Name: "x"}, {Name: strings.Repeat("n", 201), Count: 1}} {
		if err := as(s, slack).TrackAnalytics(ctx, in); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%+v: %v", in, err)
		}
	}
}
