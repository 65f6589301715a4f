package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// recorder is a backend that keeps the calls it gets.
type recorder struct {
	mu    sync.Mutex
	calls []client.Call
	ins   []string
	fail  error
}

// Do implements client.Backend.
func (r *recorder) Do(_ context.Context, call client.Call, in, _ any) error {
	data, err := json.Marshal(in)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls, r.ins = append(r.calls, call), append(r.ins, string(data))
	return errors.Join(err, r.fail)
}

func (r *recorder) identities() []string {
	all := make([]string, len(r.calls))
	for i, call := range r.calls {
		all[i] = call.Identity
	}
	return all
}

func attempt(t *testing.T, do func(c *client.Client)) *recorder {
	t.Helper()
	r := &recorder{}
	do(client.New(r, client.Caller{BotID: "demo", Alias: "slack"}).ForDelivery(client.Delivery{ID: "dlv_1", Time: time.Unix(0, 0)}))
	return r
}

func TestAnEffectIsKnownByWhatItDoesNotByWhenItComes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fire := func(c *client.Client, name string) {
		if err := c.FireEvent(ctx, name, events.Refs{}, map[string]int{"n": 1}); err != nil {
			t.Error(err)
		}
	}
	first := attempt(t, func(c *client.Client) { fire(c, "a"); fire(c, "b"); fire(c, "a") }).identities()
	// The second attempt skips one call and makes the others in another order.
	second := attempt(t, func(c *client.Client) { fire(c, "a"); fire(c, "a"); fire(c, "b") }).identities()
	if diff := cmp.Diff([]string{first[0], first[2], first[1]}, second); diff != "" {
		t.Errorf("identities (-want +got):\n%s", diff)
	}
	if first[0] == first[2] {
		t.Error("two equal calls of one attempt are one effect")
	}
	if !strings.HasPrefix(first[0], "dlv_1:createEvent:") {
		t.Errorf("identity %s does not begin with its delivery", first[0])
	}
}

func TestReadingHasNoIdentity(t *testing.T) {
	t.Parallel()
	r := attempt(t, func(c *client.Client) {
		_, _ = c.GetUser(t.Context(), "u")
		_, _ = c.ListMessages(t.Context(), client.ListMessagesInput{})
	})
	if diff := cmp.Diff([]string{"", ""}, r.identities()); diff != "" {
		t.Errorf("identities (-want +got):\n%s", diff)
	}
}

func TestWithoutADeliveryEachCallStandsAlone(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := client.New(r, client.Caller{BotID: "demo"})
	_, _ = c.CreateUser(t.Context(), client.CreateUserInput{})
	if r.calls[0].Identity != "" {
		t.Errorf("identity %q", r.calls[0].Identity)
	}
}

func TestEqualCallsAtOnceAreCountedOnceEach(t *testing.T) {
	t.Parallel()
	r := attempt(t, func(c *client.Client) {
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() { _, _ = c.CreateUser(t.Context(), client.CreateUserInput{}) })
		}
		group.Wait()
	})
	distinct := map[string]bool{}
	for _, identity := range r.identities() {
		distinct[identity] = true
	}
	if len(distinct) != 32 {
		t.Errorf("32 calls have %d identities", len(distinct))
	}
}

func TestAStateKeepsItsType(t *testing.T) {
	t.Parallel()
	type cursor struct{ At int }
	state, r := client.DefineState[cursor]("cursor"), &recorder{}
	c := client.New(r, client.Caller{BotID: "demo", Alias: "slack", IntegrationID: "intver_1"})
	if err := errors.Join(state.Set(t.Context(), c, cursor{7}), state.Delete(t.Context(), c)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"type":"integration","id":"intver_1","name":"cursor","payload":{"At":7}}`,
		`{"type":"integration","id":"intver_1","name":"cursor","payload":null}`,
	}
	if diff := cmp.Diff(want, r.ins); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	r.fail = client.NotFound("State", "cursor")
	if _, err := state.Get(t.Context(), c); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a state that is not there: %v", err)
	}
}

func TestAClientFiresTypedEvents(t *testing.T) {
	t.Parallel()
	type order struct {
		ID string `json:"id"`
	}
	var firer events.Firer
	r := attempt(t, func(c *client.Client) {
		firer = c
		newOrder := events.Define[order]("newOrder")
		about := events.Refs{ConversationID: "conv_1", UserID: "user_1", MessageID: "msg_1"}
		if err := errors.Join(
			newOrder.Fire(t.Context(), firer, order{"1"}),
			newOrder.FireFor(t.Context(), firer, about, order{"2"}),
			newOrder.FireFor(t.Context(), firer, events.Refs{UserID: "user_1"}, order{"3"}),
		); err != nil {
			t.Error(err)
		}
		if err := c.FireEvent(t.Context(), "bad", events.Refs{}, make(chan int)); err == nil {
			t.Error("a payload that is no JSON was fired")
		}
	})
	want := []string{
		`{"type":"newOrder","payload":{"id":"1"}}`,
		`{"type":"newOrder","payload":{"id":"2"},"conversationId":"conv_1","userId":"user_1","messageId":"msg_1"}`,
		`{"type":"newOrder","payload":{"id":"3"},"userId":"user_1"}`,
	}
	if diff := cmp.Diff(want, r.ins); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
}
