package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// wakeUp does what becomes due, in several workers, until the test ends. Each
// wake-up is handled twice, as if a worker had died before it was done with.
func wakeUp(t *testing.T, s *server, workers int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range workers {
		b := s.connect()
		opened := s.open(b)
		group.Go(func() {
			b.DueWakeups(ctx, func(ctx context.Context, m broker.Message) error {
				if err := opened.Wake(ctx, m); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				return opened.Wake(ctx, m)
			})
		})
	}
	t.Cleanup(func() { cancel(); group.Wait() })
}

func TestAnEventIsToldWhenItIsDue(t *testing.T) {
	t.Parallel()
	server, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	in := client.CreateEventInput{
		Type: "remind", Payload: json.RawMessage(`{"n":1}`), ConversationID: conversation, UserID: user,
		Schedule: client.Schedule{DateTime: time.Now().Add(time.Second).UTC().Format("2006-01-02T15:04:05.000Z")},
	}
	first := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(ctx, in)).Event
	if again := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(ctx, in)).Event; again.ID != first.ID {
		t.Errorf("a second attempt makes %s, the first %s", again.ID, first.ID)
	}
	in.Payload = json.RawMessage(`{"n":2}`)
	canceled := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(ctx, in)).Event
	if first.Status != client.EventScheduled || len(stored(ctx, t, b, broker.Events, "slack:remind")) != 0 {
		t.Errorf("before it is due: %+v", first)
	}
	if err := as(s, other).CancelScheduledEvent(ctx, canceled.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a stranger cancels: %v", err)
	}
	for range 2 {
		if err := as(s, bot).CancelScheduledEvent(ctx, canceled.ID); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	// One whose maker died before the record.
	in.Payload = json.RawMessage(`{"n":3}`)
	orphan := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(ctx, in)).Event
	forget(t, b, broker.EventRecords, broker.Key(demo, orphan.ID))

	wakeUp(t, server, 3)
	get := func(id string) client.Event {
		out, err := as(s, bot).GetEvent(ctx, id)
		if errors.Is(err, client.ErrNotFound) {
			return client.Event{}
		}
		return must[*client.EventOutput](t)(out, err).Event
	}
	eventually(t, "the events", 30*time.Second, func() bool {
		return get(first.ID).Status == client.EventPending && get(orphan.ID).Status == client.EventPending &&
			len(stored(ctx, t, b, broker.Events, "slack:remind")) >= 2
	})
	eventually(t, "the end of the wake-ups", 30*time.Second, func() bool {
		_, err := b.Next(ctx, broker.Wakeups, ">", 0)
		return errors.Is(err, broker.ErrNoMessage)
	})
	told := stored(ctx, t, b, broker.Events, "slack:remind")
	ids := map[string]bool{}
	for _, message := range told {
		e, err := message.Event()
		if err != nil || e.Subject() != conversation || e.Extensions()["delivery"] != "dlv_1" {
			t.Errorf("told %v, %v", e, err)
		}
		ids[e.ID()] = true
	}
	if diff := cmp.Diff(map[string]bool{first.ID: true, orphan.ID: true}, ids); diff != "" || len(told) != 2 {
		t.Errorf("told %d times (-want +got):\n%s", len(told), diff)
	}
	if got := get(canceled.ID); got.Status != client.EventCanceled {
		t.Errorf("canceled: %+v", got)
	}
	if err := as(s, bot).CancelScheduledEvent(ctx, first.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("canceled after it was told: %v", err)
	}
	if got := must[*client.ListEventsOutput](t)(as(s, bot).ListEvents(ctx, client.ListEventsInput{Status: client.EventCanceled})); len(got.Events) != 1 {
		t.Errorf("listed as canceled: %+v", got)
	}
}

// A wake-up becomes due although its event is being canceled: the record
// decides.
func TestACanceledEventIsNotToldByAWakeupThatComesAnyway(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	event := must[*client.EventOutput](t)(as(s, slack).CreateEvent(ctx, client.CreateEventInput{
		Type: "remind", Payload: json.RawMessage(`{}`), Schedule: client.Schedule{Delay: 3_600_000},
	})).Event
	waiting := must[broker.Message](t)(b.Next(ctx, broker.Wakeups, ">", 0))
	if err := as(s, slack).CancelScheduledEvent(ctx, event.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Wake(ctx, waiting); err != nil {
		t.Fatal(err)
	}
	if told := stored(ctx, t, b, broker.Events, "slack:remind"); len(told) != 0 {
		t.Error("told")
	}
	if _, err := b.Next(ctx, broker.Wakeups, ">", 0); !errors.Is(err, broker.ErrNoMessage) {
		t.Errorf("still waiting: %v", err)
	}
}

func TestAMessageIsHandedOnWhenItIsDue(t *testing.T) {
	t.Parallel()
	server, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	soon := client.Schedule{Delay: 1000}
	plan := func(caller client.Caller, user, says string) client.Message {
		in := text(conversation, user, says)
		in.Schedule = soon
		first := must[*client.MessageOutput](t)(as(s, caller, "dlv_now").CreateMessage(ctx, in)).Message
		if again := must[*client.MessageOutput](t)(as(s, caller, "dlv_now").CreateMessage(ctx, in)).Message; again.ID != first.ID || first.Status != client.Scheduled {
			t.Errorf("%+v, made again %+v", first, again)
		}
		return first
	}
	outgoing, incoming, deleted, doomed := plan(bot, demo, "hi"), plan(slack, user, "hello"), plan(bot, demo, "no"), plan(bot, demo, "orphan")
	if err := as(s, bot).DeleteMessage(ctx, deleted.ID); err != nil {
		t.Fatal(err)
	}
	must[*client.MessageOutput](t)(as(s, bot).UpdateMessage(ctx, client.UpdateMessageInput{ID: outgoing.ID, Payload: json.RawMessage(`{"text":"edited"}`)}))
	forget(t, b, broker.Messages, broker.Key(demo, doomed.ID))
	wakeUp(t, server, 3)
	eventually(t, "the end of the wake-ups", 30*time.Second, func() bool {
		_, err := b.Next(ctx, broker.Wakeups, ">", 0)
		return errors.Is(err, broker.ErrNoMessage)
	})
	sent := map[string]string{}
	for _, message := range stored(ctx, t, b, broker.Commands, "towpath.message_created") {
		sent[message.Header["ce-id"][0]] = string(must[store.MessageData](t)(decoded[store.MessageData](message)).Payload)
	}
	if diff := cmp.Diff(map[string]string{outgoing.ID: `{"text":"edited"}`, doomed.ID: `{"text":"orphan"}`}, sent); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
	if n := len(stored(ctx, t, b, broker.Commands, "towpath.message_created")); n != 2 {
		t.Errorf("queued %d times", n)
	}
	if told := stored(ctx, t, b, broker.Events, "message_created"); len(told) != 1 || told[0].Header["ce-id"][0] != incoming.ID {
		t.Errorf("told %+v", told)
	}
	for id, want := range map[string]client.Status{outgoing.ID: client.Queued, incoming.ID: "", doomed.ID: client.Queued} {
		if got := status(t, s, id); got != want {
			t.Errorf("status of %s is %q, want %q", id, got, want)
		}
	}
}

func decoded[T any](m broker.Message) (value T, err error) {
	return value, json.Unmarshal(m.Data, &value)
}

func TestWhatCannotBeScheduledIsRefused(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	conversation, _ := talk(t, s)
	for name, schedule := range map[string]client.Schedule{
		"both":      {DateTime: "2026-11-20T10:00:00Z", Delay: 1},
		"no date":   {DateTime: "tomorrow"},
		"negative":  {Delay: -1},
		"too late":  {Delay: 31 * 24 * 3_600_000},
		"next year": {DateTime: time.Now().AddDate(1, 0, 0).Format(time.RFC3339)},
	} {
		in := text(conversation, demo, "hi")
		in.Schedule = schedule
		_, message := as(s, bot).CreateMessage(t.Context(), in)
		_, event := as(s, slack).CreateEvent(t.Context(), client.CreateEventInput{Type: "x", Payload: json.RawMessage(`{}`), Schedule: schedule})
		if !errors.Is(message, client.ErrInvalid) || !errors.Is(event, client.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, message, event)
		}
	}
	if err := s.Wake(t.Context(), broker.Message{Header: map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/a"}, "ce-type": {store.WakeupType}, "content-type": {"application/json"},
	}, Data: []byte(`{}`)}); !errors.Is(err, store.ErrHopeless) {
		t.Errorf("a wake-up for nothing: %v", err)
	}
}

func TestABotReportsWhatItDidWithAnEvent(t *testing.T) {
	t.Parallel()
	server, _, s := installed(t)
	ctx := t.Context()
	fire := func(typ string) string {
		return must[*client.EventOutput](t)(as(s, slack).CreateEvent(ctx, client.CreateEventInput{Type: typ, Payload: json.RawMessage(`{}`)})).Event.ID
	}
	ids := map[string]string{"good": fire("good"), "boring": fire("boring"), "bad": fire("bad"), "silent": fire("silent"), "unheard": fire("unheard")}
	conversation, user := talk(t, s)
	message := must[*client.MessageOutput](t)(as(s, slack).CreateMessage(ctx, text(conversation, user, "hello"))).Message
	ids["message"] = "evt" + message.ID[len("msg"):] // kept with the message
	reading, stop := context.WithCancel(ctx)
	failed := false
	subscription := broker.Subscription{Bot: demo, Name: "b", Types: []string{"slack:good", "slack:boring", "slack:bad", "slack:silent", "message_created"}}
	var group sync.WaitGroup
	group.Go(func() {
		_ = server.connect().Subscribe(reading, subscription, s.Reporting(demo, func(_ context.Context, m broker.Message) (client.EventStatus, error) {
			e, err := m.Event()
			if err != nil {
				return "", err
			}
			switch e.Type() {
			case "slack:boring":
				return client.EventIgnored, nil
			case "slack:silent":
				return "", nil
			case "slack:bad":
				if !failed {
					failed = true
					return "", errors.New("no")
				}
				<-reading.Done()
				return "", reading.Err()
			}
			return client.EventProcessed, nil
		}))
	})
	want := map[string]client.EventStatus{
		"good": client.EventProcessed, "boring": client.EventIgnored, "bad": client.EventFailed, "silent": client.EventPending, "unheard": client.EventPending,
		"message": client.EventProcessed,
	}
	eventually(t, "the statuses", 30*time.Second, func() bool {
		for typ, status := range want {
			if must[*client.EventOutput](t)(as(s, bot).GetEvent(ctx, ids[typ])).Event.Status != status {
				return false
			}
		}
		return true
	})
	stop()
	group.Wait()
	if reason := must[*client.EventOutput](t)(as(s, bot).GetEvent(ctx, ids["bad"])).Event.FailureReason; reason == nil || *reason != "no" {
		t.Errorf("reason %v", reason)
	}
	for _, status := range []client.EventStatus{client.EventProcessed, client.EventFailed} {
		if err := s.SetEventStatus(ctx, demo, ids["bad"], status, "late"); err != nil {
			t.Fatal(err)
		}
	}
	if got := must[*client.EventOutput](t)(as(s, bot).GetEvent(ctx, ids["bad"])).Event; got.Status != client.EventProcessed || got.FailureReason != nil {
		t.Errorf("processed in the end: %+v", got)
	}
	if err := s.SetEventStatus(ctx, demo, ids["bad"], client.EventScheduled, ""); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a bot schedules: %v", err)
	}
	if n := len(must[*client.ListEventsOutput](t)(as(s, bot).ListEvents(ctx, client.ListEventsInput{Status: client.EventPending})).Events); n != 2 {
		t.Errorf("%d events are pending, want 2", n)
	}
}

func TestAnInstallationHasItsIdentifierAlone(t *testing.T) {
	t.Parallel()
	server := start(t)
	b := server.connect()
	s := server.open(b)
	d := desired()
	d.Installations = append(d.Installations, store.InstallationSpec{Bot: demo, Integration: "slack", Alias: "slack2", WebhookID: "webhook_2"})
	must[store.Changes](t)(s.Apply(t.Context(), d, nil))
	ctx := t.Context()
	directory := run(t, server.connect(), quiet())
	second := client.Caller{BotID: demo, Alias: "slack2", IntegrationID: slack.IntegrationID}
	configure := func(caller client.Caller, identifier string) {
		t.Helper()
		if err := as(s, caller).ConfigureIntegration(ctx, client.ConfigureIntegrationInput{Identifier: client.To(identifier)}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(identifier, webhookID string) {
		t.Helper()
		eventually(t, identifier+" leads to "+webhookID, 10*time.Second, func() bool {
			i, ok := directory.ByIdentifier("slack", identifier)
			return ok && i.WebhookID == webhookID || !ok && webhookID == ""
		})
	}
	configure(slack, "T1")
	configure(other, "T1") // of another integration
	has("T1", webhook)
	configure(second, "T1") // taken over
	has("T1", "webhook_2")
	if i := must[store.Installation](t)(s.Installation(ctx, webhook)); i.Identifier != "" {
		t.Errorf("two have the identifier: %+v", i)
	}
	configure(slack, "T2")
	configure(second, "")
	has("T1", "")
	has("T2", webhook)
	must[store.Changes](t)(s.Apply(ctx, store.Desired{Bots: d.Bots}, nil))
	has("T2", "")
	if err := s.FinishUnregister(ctx, webhook); err != nil {
		t.Fatal(err)
	}
	if keys := keysOf(t, b, broker.Installations, "identifier.slack.*"); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
	for _, test := range []struct {
		caller client.Caller
		in     client.ConfigureIntegrationInput
		want   client.ErrorType
	}{
		{bot, client.ConfigureIntegrationInput{}, client.Forbidden},
		{other, client.ConfigureIntegrationInput{ScheduleRegisterCall: "sometimes"}, client.InvalidPayload},
	} {
		if err := as(s, test.caller).ConfigureIntegration(ctx, test.in); client.AsError(err).Type != test.want {
			t.Errorf("%+v: %v", test.in, err)
		}
	}
}

func TestAnInstallationIsRegisteredAgainAndAgain(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	if err := as(s, slack).ConfigureIntegration(ctx, client.ConfigureIntegrationInput{ScheduleRegisterCall: "hourly"}); err != nil {
		t.Fatal(err)
	}
	before := must[store.Installation](t)(s.Installation(ctx, webhook))
	for i := range 3 {
		waiting := must[broker.Message](t)(b.Next(ctx, broker.Wakeups, ">", 0))
		for range 2 { // a worker died with it
			if err := s.Wake(ctx, waiting); err != nil {
				t.Fatal(err)
			}
		}
		after := must[store.Installation](t)(s.Installation(ctx, webhook))
		if got := after.RegisterNext.Sub(before.RegisterNext); got != time.Hour {
			t.Errorf("the next is after %s", got)
		}
		before = after
		if n := len(stored(ctx, t, b, broker.Commands, register)); n != 2+i+1 {
			t.Errorf("%d registrations after %d wake-ups, want %d", n, i+1, 2+i+1)
		}
	}
	must[store.Changes](t)(s.Apply(ctx, store.Desired{Bots: desired().Bots}, nil))
	if err := s.FinishUnregister(ctx, webhook); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Next(ctx, broker.Wakeups, ">", 0); !errors.Is(err, broker.ErrNoMessage) {
		t.Errorf("what is removed is to be registered again: %v", err)
	}
}
