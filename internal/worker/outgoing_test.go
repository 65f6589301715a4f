package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// talk makes a conversation of the installation's.
func (w *town) talk(id string) (conversation string) {
	w.Helper()
	integration := client.New(w.store, client.Caller{BotID: "demo", Alias: "acme", IntegrationID: "intver_acme"})
	made, err := integration.GetOrCreateConversation(w.Context(), client.GetOrCreateConversationInput{Channel: "chat", Tags: client.Tags{"id": id}})
	if err != nil {
		w.Fatal(err)
	}
	return made.Conversation.ID
}

func (w *town) bot() *client.Client { return client.New(w.store, client.Caller{BotID: "demo"}) }

// tell lets the bot send a text.
func (w *town) tell(conversation, text string) (id string) {
	w.Helper()
	payload, err := json.Marshal(events.Text{Text: text})
	if err != nil {
		w.Fatal(err)
	}
	made, err := w.bot().CreateMessage(w.Context(), client.CreateMessageInput{
		ConversationID: conversation, UserID: "demo", Type: "text", Payload: payload, Tags: client.Tags{},
	})
	if err != nil {
		w.Fatal(err)
	}
	return made.Message.ID
}

// settled waits until a message's delivery is at its end and returns it.
func (w *town) settled(id string) client.Message {
	w.Helper()
	w.await("the end of "+id, func() bool { return w.ended(id) })
	got, err := w.bot().GetMessage(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return got.Message
}

// sent returns the texts that arrived at the platform, in order.
func (w *town) sent() (texts []string, accepted int) {
	for _, r := range w.fake.Requests() {
		if r.Method == "POST" {
			texts = append(texts, r.Body)
			if r.Accepted {
				accepted++
			}
		}
	}
	return texts, accepted
}

func TestWhatBecomesOfAnOutgoingMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules     []fake.Rule
		message   func(context.Context, handlers.MessageProps[config, events.Text], string) error
		requests  int
		ambiguous int
		status    client.Status
		acked     bool
	}{
		"taken at once":                {nil, nil, 1, 0, client.Sent, true},
		"500 first":                    {[]fake.Rule{{Status: 500, Times: 2}}, nil, 3, 0, client.Sent, true},
		"reset before it was accepted": {[]fake.Rule{{Reset: true, Times: 1}}, nil, 2, 1, client.Sent, true},
		"reset after it was accepted":  {[]fake.Rule{{AfterAccept: true, Times: 2}}, nil, 3, 2, client.Sent, true},
		"500 always":                   {[]fake.Rule{{Status: 500}}, nil, 5, 0, client.Failed, false},
		"handler returns without an ack": {nil, func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
			return say(ctx, p)
		}, 1, 0, client.Sent, false},
		"handler fails after the ack": {nil, func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
			return errors.Join(say(ctx, p), p.Ack(ctx, client.Tags{"id": "1"}), errors.New("afterwards"))
		}, 1, 0, client.Sent, true},
		"handler panics after the ack": {nil, func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
			panic(errors.Join(say(ctx, p), p.Ack(ctx, client.Tags{"id": "1"})))
		}, 1, 0, client.Sent, true},
		"refused for good": {nil, func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
			return handlers.NewRuntimeError("the channel is archived", say(ctx, p))
		}, 1, 0, client.Failed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 1)
			w.message = c.message
			if err := w.fake.Script(c.rules...); err != nil {
				t.Fatal(err)
			}
			w.install("/api")
			w.start("a")
			got := w.settled(w.tell(w.talk("1"), "hello"))
			texts, _ := w.sent()
			if len(texts) != c.requests {
				t.Errorf("the platform got %v, want %d", texts, c.requests)
			}
			if got.Ambiguous != c.ambiguous || got.Status != c.status || (got.AckedAt != nil) != c.acked {
				t.Errorf("status %s, ambiguous %d, acked %v", got.Status, got.Ambiguous, got.AckedAt)
			}
			want := 0
			if c.status == client.Failed {
				want = 1
			}
			if letters := w.letters(); len(letters) != want || want == 1 && letters[0].Delivery != got.ID {
				t.Errorf("%d dead letters, want %d", len(letters), want)
			}
		})
	}
}

func TestMessagesStayInOrderThroughFailures(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	if err := w.fake.Script(fake.Rule{Status: 503, Probability: 0.3, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	w.start("a")
	w.start("b")
	one, two := w.talk("1"), w.talk("2")
	var last []string
	for _, text := range []string{"a", "b", "c", "d", "e", "f"} {
		last = []string{w.tell(one, "1"+text), w.tell(two, "2"+text)}
	}
	for _, id := range last {
		w.settled(id)
	}
	var taken [2]strings.Builder
	for _, r := range w.fake.Requests() {
		if r.Accepted {
			taken[r.Body[0]-'1'].WriteString(r.Body[1:])
		}
	}
	if taken[0].String() != "abcdef" || taken[1].String() != "abcdef" {
		t.Errorf("the platform took %q and %q", taken[0].String(), taken[1].String())
	}
}

// killed runs a message handler that is cut off at worker a, after it did what
// do does, and goes on at b.
func killed(t *testing.T, do func(context.Context, handlers.MessageProps[config, events.Text]) error) (*town, client.Message) {
	t.Helper()
	w := newTown(t, 1)
	reached := make(chan error, 1)
	w.message = func(ctx context.Context, p handlers.MessageProps[config, events.Text], name string) error {
		if name == "a" {
			reached <- do(ctx, p)
			<-ctx.Done()
			return ctx.Err()
		}
		if err := say(ctx, p); err != nil {
			return err
		}
		return p.Ack(ctx, client.Tags{"id": "b"})
	}
	w.install("/api")
	a := w.start("a")
	id := w.tell(w.talk("1"), "hello")
	if err := receive(w, "the attempt at a", reached); err != nil {
		t.Fatal(err)
	}
	a.kill()
	w.start("b")
	return w, w.settled(id)
}

func TestAttemptThatDiedWhileSendingIsAmbiguousAndSentAgain(t *testing.T) {
	t.Parallel()
	w, got := killed(t, say)
	texts, _ := w.sent()
	if len(texts) != 2 || got.Ambiguous != 1 || got.Status != client.Sent || got.Tags["acme:id"] != "b" {
		t.Errorf("the platform got %v; message %+v", texts, got)
	}
	// The platform can tell that it is the same one.
	for _, r := range w.fake.Requests() {
		if r.Headers["idempotency-key"] != got.ID {
			t.Errorf("idempotency key %q, want %q", r.Headers["idempotency-key"], got.ID)
		}
	}
}

func TestAckedMessageIsNotSentAgainByTheNextWorker(t *testing.T) {
	t.Parallel()
	w, got := killed(t, func(ctx context.Context, p handlers.MessageProps[config, events.Text]) error {
		return errors.Join(say(ctx, p), p.Ack(ctx, client.Tags{"id": "a"}))
	})
	texts, _ := w.sent()
	if len(texts) != 1 || got.Ambiguous != 0 || got.Status != client.Sent || got.Tags["acme:id"] != "a" {
		t.Errorf("the platform got %v; message %+v", texts, got)
	}
}

func TestDrainedMessageIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	began := make(chan struct{}, 9)
	if err := w.fake.Script(fake.Rule{Delay: 300 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	w.message = func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
		began <- struct{}{}
		if err := say(ctx, p); err != nil {
			return err
		}
		return p.Ack(ctx, client.Tags{"id": "1"})
	}
	w.install("/api")
	a := w.start("a")
	conversation := w.talk("1")
	first, second := w.tell(conversation, "first"), w.tell(conversation, "second")
	receive(w, "the first message", began)
	a.drain()
	w.start("b")
	for _, id := range []string{first, second} {
		if got := w.settled(id); got.Ambiguous != 0 || got.Status != client.Sent {
			t.Errorf("message %+v", got)
		}
	}
	if texts, _ := w.sent(); strings.Join(texts, " ") != "first second" {
		t.Errorf("the platform got %v", texts)
	}
}

// Nobody is left to send it, and nothing ends silently.
func TestMessageOfARemovedInstallationFails(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.install("/api")
	id := w.tell(w.talk("1"), "hello")
	if _, err := w.store.Apply(t.Context(), store.Desired{Bots: []store.BotSpec{{ID: "demo"}}}, nil); err != nil {
		t.Fatal(err)
	}
	w.start("a")
	if got := w.settled(id); got.Status != client.Failed {
		t.Errorf("status %s", got.Status)
	}
	buried := false
	for _, letter := range w.letters() {
		buried = buried || letter.Delivery == id && strings.HasPrefix(letter.Reason, "its installation ")
	}
	if !buried {
		t.Error("there is no dead letter")
	}
}
