package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// queued makes an outgoing message and returns it as its worker gets it.
func queued(t *testing.T, b *broker.Broker, s *store.Store) client.Message {
	t.Helper()
	conversation, _ := talk(t, s)
	in := text(conversation, demo, "hi")
	in.Tags = client.Tags{"slack:thread": "T1"}
	made := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(t.Context(), in)).Message
	for _, message := range stored(t.Context(), t, b, broker.Commands, "towpath.message_created") {
		e, _ := message.Event()
		var data store.MessageData
		if err := json.Unmarshal(e.Data(), &data); err != nil {
			t.Fatal(err)
		}
		if e.ID() == made.ID {
			return data.Message
		}
	}
	t.Fatalf("message %s is not queued", made.ID)
	return client.Message{}
}

func status(t *testing.T, s *store.Store, id string) client.Status {
	t.Helper()
	return must[*client.MessageOutput](t)(as(s, bot).GetMessage(t.Context(), id)).Message.Status
}

// attempt is one that a worker begins.
func attempt(n int) store.Attempt { return store.Attempt{Number: n, Run: fmt.Sprint("run ", n)} }

func TestASendThatMayHaveReachedThePlatformIsAmbiguous(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	for i, want := range []int{0, 1, 2} {
		for range 2 { // the first answer got lost
			begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(i+1)))
			if begun.Status != client.Sending || begun.Ambiguous != want || begun.Tags["thread"] != "T1" {
				t.Errorf("begin %d: %+v, want sending with %d ambiguous", i, begun, want)
			}
		}
		if !must[bool](t)(s.MarkAmbiguous(t.Context(), demo, m.ID, i+1)) {
			t.Error("what is being sent is not ambiguous")
		}
	}
	must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: m.ID}))
	if must[bool](t)(s.MarkAmbiguous(t.Context(), demo, m.ID, 3)) {
		t.Error("what is acked is ambiguous")
	}
}

// A worker that was frozen right before it began to send is taken for dead, and
// comes back.
func TestAnAttemptThatIsTakenForDeadCannotBegin(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	if must[bool](t)(s.MarkAmbiguous(t.Context(), demo, m.ID, 1)) {
		t.Error("what was never begun is ambiguous")
	}
	if _, err := s.BeginSend(t.Context(), slack, m, attempt(1)); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("the dead attempt began: %v", err)
	}
	if begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(2))); begun.Status != client.Sending || begun.Ambiguous != 0 {
		t.Errorf("the next one is %+v", begun)
	}
	if _, err := s.BeginSend(t.Context(), slack, m, store.Attempt{Number: 2, Run: "another"}); !errors.Is(err, broker.ErrConflict) {
		t.Errorf("two attempts of one number began: %v", err)
	}
}

func TestOnlyAnOperatorSendsAgainWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1)))
	if err := s.FinishSend(t.Context(), demo, m.ID, client.Failed); err != nil {
		t.Fatal(err)
	}
	if begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1))); begun.Status != client.Failed {
		t.Errorf("begun by itself: %+v", begun)
	}
	if begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, store.Attempt{Number: 2, Run: "2", Again: true})); begun.Status != client.Sending {
		t.Errorf("begun for an operator: %+v", begun)
	}
}

func TestWhatIsDealtWithIsNotSentAgain(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	for name, end := range map[string]struct {
		do   func(id string) error
		want client.Status
	}{
		"sent":   {func(id string) error { return s.FinishSend(t.Context(), demo, id, client.Sent) }, client.Sent},
		"failed": {func(id string) error { return s.FinishSend(t.Context(), demo, id, client.Failed) }, client.Failed},
		"acked": {func(id string) error {
			_, err := as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: id, Tags: client.Tags{"ts": "1"}})
			return err
		}, client.Sent},
		"failed, then acked": {func(id string) error {
			err := s.FinishSend(t.Context(), demo, id, client.Failed)
			if err == nil {
				_, err = as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: id})
			}
			return err
		}, client.Sent},
		"acked, then failed": {func(id string) error {
			_, err := as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: id})
			if err == nil {
				err = s.FinishSend(t.Context(), demo, id, client.Failed)
			}
			return err
		}, client.Sent},
	} {
		m := queued(t, b, s)
		must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1)))
		if err := end.do(m.ID); err != nil {
			t.Fatal(err)
		}
		before := must[*client.MessageOutput](t)(as(s, slack).GetMessage(t.Context(), m.ID)).Message
		begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1)))
		if diff := cmp.Diff(before, begun); diff != "" || begun.Status != end.want {
			t.Errorf("%s: status %s, want %s; changed by another begin (-before +after):\n%s", name, begun.Status, end.want, diff)
		}
		if err := s.FinishSend(t.Context(), demo, m.ID, client.Queued); err == nil {
			t.Error("queued is taken for an outcome")
		}
	}
}

func TestAnAckStands(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	ack := func(tags client.Tags) client.Message {
		t.Helper()
		return must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: m.ID, Tags: tags})).Message
	}
	first := ack(client.Tags{"ts": "1"})
	if first.AckedAt == nil || first.SentAt == nil || first.Status != client.Sent {
		t.Fatalf("acked: %+v", first)
	}
	second := ack(client.Tags{"ts": "2", "thread": ""})
	if diff := cmp.Diff([]any{first.AckedAt, first.SentAt}, []any{second.AckedAt, second.SentAt}); diff != "" {
		t.Errorf("times of the ack changed:\n%s", diff)
	}
	seen := must[*client.MessageOutput](t)(as(s, bot).GetMessage(t.Context(), m.ID)).Message
	if diff := cmp.Diff(client.Tags{"slack:ts": "2"}, seen.Tags); diff != "" {
		t.Errorf("tags in the bot's view (-want +got):\n%s", diff)
	}
	if n := len(stored(t.Context(), t, b, broker.Commands, "towpath.message_created")); n != 1 {
		t.Errorf("acks sent the message again: it is queued %d times", n)
	}
}

func TestOnlyItsIntegrationAcksAMessage(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	must[*client.MessageOutput](t)(as(s, bot).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: m.ID, Tags: client.Tags{"x": "1"}}))
	if _, err := as(s, other).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: m.ID}); client.AsError(err).Type != client.ResourceNotFound {
		t.Errorf("another integration's ack: %v", err)
	}
	if got := status(t, s, m.ID); got != client.Queued {
		t.Errorf("status %s, want queued", got)
	}
}

// A worker may get to a message before the call that made it has written the
// record, or after that call died.
func TestBeginSendMakesAMissingRecord(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	m := queued(t, b, s)
	must[*client.MessageOutput](t)(as(s, bot, "evt_1").CreateMessage(t.Context(), client.CreateMessageInput{
		ConversationID: m.ConversationID, UserID: demo, Type: "text", Payload: m.Payload,
		Tags: client.Tags{"slack:thread": "T1", "other:id": "1", "own": "x"},
	}))
	all := stored(t.Context(), t, b, broker.Commands, "towpath.message_created")
	forget(t, b, broker.Messages, broker.Key(demo, m.ID), broker.Key(demo, m.ConversationID, m.ID))
	m = must[store.MessageData](t)(decoded[store.MessageData](all[1])).Message
	forget(t, b, broker.Messages, broker.Key(demo, m.ID), broker.Key(demo, m.ConversationID, m.ID))
	if begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1))); begun.Status != client.Sending {
		t.Errorf("begun %+v", begun)
	}
	listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(t.Context(), client.ListMessagesInput{ConversationID: m.ConversationID}))
	if len(listed.Messages) != 1 {
		t.Fatalf("listed %+v", listed.Messages)
	}
	if diff := cmp.Diff(client.Tags{"slack:thread": "T1", "other:id": "1", "own": "x"}, listed.Messages[0].Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestAnIncomingMessageIsNeverSent(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	conversation, user := talk(t, s)
	m := must[*client.MessageOutput](t)(as(s, slack).CreateMessage(t.Context(), text(conversation, user, "hi"))).Message
	updated := must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(t.Context(), client.UpdateMessageInput{
		ID: m.ID, Payload: json.RawMessage(`{"text":"edited"}`),
	})).Message
	if updated.AckedAt != nil || updated.Status != "" || !strings.Contains(string(updated.Payload), "edited") {
		t.Errorf("updated %+v", updated)
	}
	if begun := must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1))); begun.Status != "" {
		t.Errorf("begun %+v", begun)
	}
}
