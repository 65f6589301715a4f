package handlers_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestDefinitionNamesWhatCannotBeConducted(t *testing.T) {
	t.Parallel()
	type integration = handlers.Integration[config]
	retry := func(operation events.Operation, p handlers.RetryPolicy) func(*integration) {
		return func(i *integration) {
			i.Retry = map[events.Operation]handlers.RetryPolicy{operation: p}
		}
	}
	rate := func(r handlers.Rate) func(*integration) { return func(i *integration) { i.Rate = r } }
	room := func(spoil func(*handlers.Channel[config])) func(*integration) {
		return func(i *integration) {
			channel := i.Channels["room"]
			spoil(&channel)
			i.Channels = handlers.Channels[config]{"room": channel}
		}
	}
	for name, tc := range map[string]struct {
		spoil func(*integration)
		want  string
	}{
		"an operation that does not exist": {retry("message_sent", handlers.RetryPolicy{}), `retry: there is no operation "message_sent"`},
		"negative attempts":                {retry(events.MessageCreated, handlers.RetryPolicy{MaxAttempts: -1}), `retry of operation "message_created": a negative value`},
		"a negative age":                   {retry(events.Ping, handlers.RetryPolicy{MaxAge: -1}), `retry of operation "ping": a negative value`},
		"a negative first wait":            {retry(handlers.EveryOperation, handlers.RetryPolicy{Base: -1}), `retry of operation "": a negative value`},
		"a negative bound":                 {retry(handlers.EveryOperation, handlers.RetryPolicy{Cap: -1}), "a negative value"},
		"a first wait beyond the bound": {
			retry(handlers.EveryOperation, handlers.RetryPolicy{Base: time.Minute, Cap: time.Second}), "Base 1m0s is longer than Cap 1s",
		},
		"neither resend nor hold":     {func(i *integration) { i.Uncertain = "ask" }, `uncertain: "ask" is neither Resend nor Hold`},
		"a rate without a time":       {rate(handlers.Rate{Limit: 1}), "rate: Limit and Per must be positive"},
		"a rate without a limit":      {rate(handlers.Rate{Per: time.Second}), "rate: Limit and Per must be positive"},
		"a rate of nothing but burst": {rate(handlers.Rate{Burst: 3}), "rate: Limit and Per must be positive"},
		"a negative burst":            {rate(handlers.Rate{Limit: 1, Per: time.Second, Burst: -1}), "Burst not negative"},
		"a rate finer than time":      {rate(handlers.Rate{Limit: 10, Per: 9}), "rate: Limit and Per must be positive"},
		"a channel's rate": {
			room(func(c *handlers.Channel[config]) { c.Rate.Limit = -1 }), "rate of channel room: Limit and Per must be positive",
		},
		"a receipt by no tag": {
			room(func(c *handlers.Channel[config]) { c.Receipt, c.MessageTags = "noteId", []string{"note"} }),
			`receipt of channel room: "noteId" is none of its message tags`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := acme()
			tc.spoil(&i)
			_, err := i.Definition()
			wantError(t, err, []string{tc.want}, nil)
		})
	}
}

func TestConductIsResolvedPerOperationAndChannel(t *testing.T) {
	t.Parallel()
	pair := handlers.Rate{Limit: 1, Per: 6 * time.Second, Burst: 45}
	number := handlers.Rate{Limit: 80, Per: time.Second}
	i := acme()
	room := i.Channels["room"]
	room.Rate, room.MessageTags, room.Receipt = pair, []string{"said"}, "said"
	i.Channels["room"] = room
	i.Rate, i.Uncertain = number, handlers.Hold
	i.Retry = map[events.Operation]handlers.RetryPolicy{
		handlers.EveryOperation: {MaxAttempts: 5, Cap: time.Minute},
		events.MessageCreated:   {MaxAttempts: 3, MaxAge: time.Hour},
		events.Register:         {},
	}
	if _, err := i.Definition(); err != nil {
		t.Fatal(err)
	}
	installed, err := i.Configure(json.RawMessage(`{"token":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	every := handlers.RetryPolicy{MaxAttempts: 5, Cap: time.Minute}
	message := handlers.RetryPolicy{MaxAttempts: 3, MaxAge: time.Hour, Cap: time.Minute}
	for name, tc := range map[string]struct {
		operation events.Operation
		channel   string
		want      handlers.Conduct
	}{
		"a message":                       {events.MessageCreated, "room", handlers.Conduct{Retry: message, Uncertain: handlers.Hold, Conversation: pair, Installation: number}},
		"a message of an unknown channel": {events.MessageCreated, "cellar", handlers.Conduct{Retry: message, Uncertain: handlers.Hold, Installation: number}},
		"an action":                       {events.ActionTriggered, "", handlers.Conduct{Retry: every, Uncertain: handlers.Hold, Installation: number}},
		"a changed message":               {events.MessageUpdated, "room", handlers.Conduct{Retry: every, Uncertain: handlers.Hold, Installation: number}},
		"a webhook":                       {events.WebhookReceived, "", handlers.Conduct{Retry: every, Uncertain: handlers.Hold}},
		"a registration":                  {events.Register, "", handlers.Conduct{Retry: every, Uncertain: handlers.Hold}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, installed.Conduct(tc.operation, tc.channel)); diff != "" {
				t.Errorf("conduct (-want +got):\n%s", diff)
			}
		})
	}
	if got := configured(t).Conduct(events.MessageCreated, "room"); got != (handlers.Conduct{}) {
		t.Errorf("an integration that says nothing is conducted by %+v", got)
	}
}

func TestRateSpreadsItsLimit(t *testing.T) {
	t.Parallel()
	for rate, want := range map[handlers.Rate]time.Duration{
		{}: 0,
		{Limit: 1, Per: 6 * time.Second, Burst: 45}: 6 * time.Second,
		{Limit: 80, Per: time.Second}:               12500 * time.Microsecond,
	} {
		if got := rate.Interval(); got != want {
			t.Errorf("%+v: %s, want %s", rate, got, want)
		}
	}
}

func TestAckNamesTheTagThatReceiptsGoBy(t *testing.T) {
	t.Parallel()
	ack := func(receipt, text string) client.UpdateMessageInput {
		i := acme()
		room := i.Channels["room"]
		room.MessageTags, room.Receipt = []string{"said"}, receipt
		i.Channels = handlers.Channels[config]{"room": room}
		installed, err := i.Configure(json.RawMessage(`{"token":"t"}`))
		if err != nil {
			t.Fatal(err)
		}
		to := &backend{}
		err = installed.Message(t.Context(), handlers.Base{Client: client.New(to, client.Caller{BotID: "demo", Alias: "acme"})}, handlers.Outgoing{
			Conversation: client.Conversation{Channel: "room"},
			Message:      client.Message{ID: "msg_1", Type: "text", Payload: json.RawMessage(`{"text":"` + text + `"}`)},
		})
		in, ok := to.last.(*client.UpdateMessageInput)
		if err != nil || !ok {
			t.Fatalf("%T, %v", to.last, err)
		}
		return *in
	}
	for want, got := range map[string]client.UpdateMessageInput{
		"said": ack("said", "hi"), "": ack("", "hi"),
	} {
		if got.Receipt != want || got.Tags["said"] != "hi" {
			t.Errorf("acked with %+v, want receipt %q", got, want)
		}
	}
	if got := ack("said", ""); got.Receipt != "" {
		t.Errorf("an ack without the tag names it: %+v", got)
	}
}
