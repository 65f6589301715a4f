package store_test

import (
	"context"
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
	"github.com/towpath/towpath/pkg/events"
)

func TestAnIncomingMessageIsCommittedOnce(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	conversation, user := talk(t, first)
	second := s.open(s.connect())

	var group sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		group.Go(func() {
			c := as([]*store.Store{first, second}[i%2], slack, "dlv_1")
			out, err := c.CreateMessage(t.Context(), text(conversation, user, "hello"))
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = out.Message.ID
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("attempts at one delivery made several messages: %v", ids)
		}
	}
	published := stored(t.Context(), t, b, broker.Events, "message_created")
	if len(published) != 1 {
		t.Fatalf("the bot is told %d times, want once", len(published))
	}
	e, err := published[0].Event()
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() != ids[0] || e.Source() != "/bots/demo" || e.Subject() != conversation ||
		events.Extension(e, "delivery") != "dlv_1" || events.TraceParentOf(e) != delivery("dlv_1").TraceParent {
		t.Errorf("attributes of the CloudEvent: %s", e)
	}
	var told client.Event
	var payload struct {
		Message      client.Message      `json:"message"`
		User         client.User         `json:"user"`
		Conversation client.Conversation `json:"conversation"`
	}
	if err := errors.Join(json.Unmarshal(e.Data(), &told), json.Unmarshal(told.Payload, &payload)); err != nil {
		t.Fatal(err)
	}
	if told.Type != "message_created" || told.MessageID != ids[0] || payload.User.Tags["slack:id"] != "U1" ||
		payload.Conversation.Tags["slack:id"] != "C1" || payload.Message.Direction != client.Incoming {
		t.Errorf("what the bot is told: %s", e.Data())
	}
}

func TestAnOutgoingMessageWaitsInTheQueue(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	conversation, _ := talk(t, s)
	in := text(conversation, demo, "hi")
	in.Tags = client.Tags{"slack:thread": "T1", "own": "x"}
	out := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(t.Context(), in))
	if out.Message.Status != client.Queued || out.Message.Direction != client.Outgoing {
		t.Errorf("message %+v is not queued", out.Message)
	}
	queued := stored(t.Context(), t, b, broker.Commands, "towpath.message_created")
	if len(queued) != 1 || queued[0].Lane().Installation() != webhook || queued[0].Lane().Keyless() {
		t.Fatalf("queued: %+v", queued)
	}
	var data store.MessageData
	e, _ := queued[0].Event()
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(client.Tags{"thread": "T1"}, data.Message.Tags); diff != "" {
		t.Errorf("tags in the integration's view (-want +got):\n%s", diff)
	}
	if data.Type != "text" || data.Conversation.ID != conversation || data.User.ID == "" || data.User.ID != data.Message.UserID {
		t.Errorf("data %+v", data)
	}
}

// A bot over HTTP gives an identity and no delivery.
func TestABotsIdempotencyKeyMakesOneMessage(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	conversation, _ := talk(t, first)
	second := s.open(s.connect())
	ids := map[string]bool{}
	for i := range 4 {
		ids[create(t, []*store.Store{first, second}[i%2], "key-1", text(conversation, demo, "hi"))] = true
	}
	ids[create(t, first, "key-2", text(conversation, demo, "hi"))] = true
	if queued := stored(t.Context(), t, b, broker.Commands, "towpath.message_created"); len(ids) != 2 || len(queued) != 2 {
		t.Errorf("two keys made %d messages and queued %d, want 2 and 2", len(ids), len(queued))
	}
}

func create(t *testing.T, s *store.Store, identity string, in client.CreateMessageInput) string {
	t.Helper()
	var out client.MessageOutput
	call := client.Call{Operation: operation(t, "createMessage"), Caller: bot, Identity: identity}
	if err := s.Do(t.Context(), call, &in, &out); err != nil {
		t.Fatal(err)
	}
	return out.Message.ID
}

func operation(t *testing.T, name string) *client.Operation {
	t.Helper()
	for _, operation := range client.Operations() {
		if operation.Name == name {
			return operation
		}
	}
	t.Fatalf("no operation %s", name)
	return nil
}

func TestEveryOperationIsOffered(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	for _, operation := range client.Operations() {
		err := s.Do(t.Context(), client.Call{Operation: operation, Caller: bot}, operation.NewInput(), operation.NewOutput())
		var fault *client.Error
		if err != nil && !errors.As(err, &fault) || fault != nil && fault.Type == client.MethodNotFound {
			t.Errorf("%s with an empty input: %v", operation.Name, err)
		}
	}
}

// The message is in the stream and its record is not, when the first attempt
// dies in between. The second finds it there by the claim of the first; and
// should the claim be lost, NATS still recognises the id for a while.
func TestACrashBeforeTheRecordDoublesNothing(t *testing.T) {
	t.Parallel()
	for name, claimless := range map[string]bool{"found by the claim": false, "recognised by NATS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b, s := installed(t)
			conversation, user := talk(t, s)
			message := must[*client.MessageOutput](t)(as(s, slack, "dlv_1").CreateMessage(t.Context(), text(conversation, user, "hello"))).Message
			event := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(t.Context(), client.CreateEventInput{Type: "ping", Payload: json.RawMessage(`{"n":1}`)})).Event
			reply := must[*client.MessageOutput](t)(as(s, bot, "dlv_1").CreateMessage(t.Context(), text(conversation, demo, "hi"))).Message

			forget(t, b, broker.Messages, broker.Key(demo, message.ID), broker.Key(demo, reply.ID))
			forget(t, b, broker.EventRecords, broker.Key(demo, event.ID))
			if claimless {
				forget(t, b, broker.Messages, broker.Key(demo, conversation, message.ID), broker.Key(demo, conversation, reply.ID))
				forget(t, b, broker.EventRecords, broker.Key(demo, event.ID, "begun"))
			}

			again := must[*client.MessageOutput](t)(as(s, slack, "dlv_1").CreateMessage(t.Context(), text(conversation, user, "hello"))).Message
			eventAgain := must[*client.EventOutput](t)(as(s, slack, "dlv_1").CreateEvent(t.Context(), client.CreateEventInput{Type: "ping", Payload: json.RawMessage(`{"n":1}`)})).Event
			replyAgain := must[*client.MessageOutput](t)(as(s, bot, "dlv_1").CreateMessage(t.Context(), text(conversation, demo, "hi"))).Message
			if diff := cmp.Diff([]any{message, event, reply}, []any{again, eventAgain, replyAgain}); diff != "" {
				t.Errorf("the second attempt's entities (-first +second):\n%s", diff)
			}
			for _, c := range []struct {
				stream broker.Stream
				typ    string
			}{{broker.Events, "message_created"}, {broker.Events, "slack:ping"}, {broker.Commands, "towpath.message_created"}} {
				if n := len(stored(t.Context(), t, b, c.stream, c.typ)); n != 1 {
					t.Errorf("%s is in %s %d times, want once", c.typ, c.stream, n)
				}
			}
		})
	}
}

// An attempt is cut off after any step, and somebody else goes on.
func TestAnEffectThatIsCutOffAnywhereIsOneEffect(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	conversation, user := talk(t, first)
	stores := []*store.Store{first, s.open(s.connect())}
	const deliveries = 40
	for i := range deliveries {
		id := fmt.Sprintf("dlv_%d", i)
		ids := map[string]bool{}
		for attempt, patience := range []time.Duration{time.Duration(i) * 60 * time.Microsecond, time.Duration(i) * 90 * time.Microsecond, time.Minute, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			in, out := as(stores[attempt%2], slack, id), as(stores[attempt%2], bot, id)
			incoming, err := in.CreateMessage(ctx, text(conversation, user, "hello"))
			if err == nil {
				ids["in"+incoming.Message.ID] = true
			}
			outgoing, failed := out.CreateMessage(ctx, text(conversation, demo, "hi"))
			if failed == nil {
				ids["out"+outgoing.Message.ID] = true
			}
			cancel()
			if err := errors.Join(err, failed); err != nil && patience == time.Minute {
				t.Fatal(err)
			}
		}
		if len(ids) != 2 {
			t.Errorf("%s made %v", id, ids)
		}
	}
	if n := len(stored(t.Context(), t, b, broker.Events, "message_created")); n != deliveries {
		t.Errorf("%d incoming messages are told %d times", deliveries, n)
	}
	if n := len(stored(t.Context(), t, b, broker.Commands, "towpath.message_created")); n != deliveries {
		t.Errorf("%d outgoing messages are queued %d times", deliveries, n)
	}
	if n := len(keysOf(t, b, broker.Messages, broker.Key(demo)+".*")); n != 2*deliveries {
		t.Errorf("%d records of %d messages", n, 2*deliveries)
	}
}

func forget(t *testing.T, b *broker.Broker, name broker.BucketName, keys ...string) {
	t.Helper()
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), name))
	for _, key := range keys {
		if _, err := bucket.Get(t.Context(), key); err != nil {
			t.Fatalf("%s in %s: %v", key, name, err)
		}
		if err := bucket.Delete(t.Context(), key, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMessagesAreRefusedForAReason(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	conversation, user := talk(t, s)
	with := func(change func(*client.CreateMessageInput)) client.CreateMessageInput {
		in := text(conversation, user, "x")
		change(&in)
		return in
	}
	for name, test := range map[string]struct {
		caller client.Caller
		in     client.CreateMessageInput
		want   client.ErrorType
	}{
		"unknown conversation": {slack, with(func(in *client.CreateMessageInput) { in.ConversationID = "conv_x" }), client.ReferenceNotFound},
		"unknown user":         {slack, with(func(in *client.CreateMessageInput) { in.UserID = "user_x" }), client.ReferenceNotFound},
		"another's":            {other, with(func(*client.CreateMessageInput) {}), client.ReferenceNotFound},
		"no type":              {slack, with(func(in *client.CreateMessageInput) { in.Type = "" }), client.InvalidPayload},
		"long type":            {slack, with(func(in *client.CreateMessageInput) { in.Type = strings.Repeat("t", 201) }), client.InvalidPayload},
		"payload no object":    {slack, with(func(in *client.CreateMessageInput) { in.Payload = json.RawMessage(`[]`) }), client.InvalidPayload},
		"no payload":           {slack, with(func(in *client.CreateMessageInput) { in.Payload = nil }), client.InvalidPayload},
		"long tag":             {slack, with(func(in *client.CreateMessageInput) { in.Tags = client.Tags{"a": strings.Repeat("é", 501)} }), client.InvalidPayload},
		"large payload": {slack, with(func(in *client.CreateMessageInput) {
			in.Payload = json.RawMessage(`{"text":"` + strings.Repeat("x", 131_072) + `"}`)
		}), client.PayloadTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := as(s, test.caller).CreateMessage(t.Context(), test.in)
			if fault := client.AsError(err); err == nil || fault.Type != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestMessagesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	conversation, user := talk(t, s)
	c := as(s, slack)
	var want []string
	for i := range 45 {
		in := text(conversation, user, "x")
		in.Tags = client.Tags{"odd": map[bool]string{true: "yes", false: "no"}[i%2 == 1]}
		made := must[*client.MessageOutput](t)(c.CreateMessage(t.Context(), in))
		want = append([]string{made.Message.ID}, want...)
	}
	for _, by := range []client.ListMessagesInput{{ConversationID: conversation}, {}} {
		var got []string
		for {
			page := must[*client.ListMessagesOutput](t)(c.ListMessages(t.Context(), by))
			if len(page.Messages) > 20 {
				t.Fatalf("a page of %d", len(page.Messages))
			}
			for _, m := range page.Messages {
				got = append(got, m.ID)
			}
			if by.NextToken = page.Meta.NextToken; by.NextToken == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %+v (-want +got):\n%s", by, diff)
		}
	}
	odd := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(t.Context(), client.ListMessagesInput{Tags: client.Tags{"slack:odd": "yes"}}))
	if len(odd.Messages) != 20 || odd.Messages[0].ID != want[1] {
		t.Errorf("by tag: %d messages, the first %s", len(odd.Messages), odd.Messages[0].ID)
	}
	future := must[*client.ListMessagesOutput](t)(c.ListMessages(t.Context(), client.ListMessagesInput{AfterDate: "2999-01-01T00:00:00Z"}))
	if len(future.Messages) != 0 {
		t.Errorf("%d messages of the future", len(future.Messages))
	}
	for _, in := range []client.ListMessagesInput{{NextToken: "?"}, {BeforeDate: "yesterday"}} {
		if _, err := c.ListMessages(t.Context(), in); client.AsError(err).Type != client.InvalidQuery {
			t.Errorf("%+v: %v", in, err)
		}
	}
}
