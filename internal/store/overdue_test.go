package store_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// What is due for a disabled installation waits in the queue, as everything for
// it does; so do the notices of what the bot changes.
func TestADisabledInstallationGetsItsWorkLater(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	sent := queued(t, b, s)
	in := text(sent.ConversationID, demo, "later")
	in.Schedule = client.Schedule{Delay: 3_600_000}
	later := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, in)).Message
	must[store.Installation](t)(s.SetDisabled(ctx, demo, "slack", true))
	if err := s.Wake(ctx, must[broker.Message](t)(b.Next(ctx, broker.Wakeups, ">", 0))); err != nil {
		t.Fatal(err)
	}
	must[*client.MessageOutput](t)(as(s, bot).UpdateMessage(ctx, client.UpdateMessageInput{ID: sent.ID, Payload: json.RawMessage(`{"text":"edited"}`)}))
	if got := status(t, s, later.ID); got != client.Queued {
		t.Errorf("a message that became due is %s", got)
	}
	if n := len(stored(ctx, t, b, broker.Commands, "towpath.message_created")); n != 2 {
		t.Errorf("%d messages wait, want 2", n)
	}
	if n := len(stored(ctx, t, b, broker.Commands, "towpath.message_updated")); n != 1 {
		t.Errorf("%d notices wait, want 1", n)
	}
}

func TestAScheduledMessageThatNobodyCanSendSaysWhy(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, _ := talk(t, s)
	in := text(conversation, demo, "later")
	in.Schedule = client.Schedule{Delay: 3_600_000}
	kept := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, in)).Message
	lost := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, in)).Message // its maker died before the record
	sending := must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, in)).Message
	forget(t, b, broker.Messages, broker.Key(demo, lost.ID))
	must[client.Message](t)(s.BeginSend(ctx, slack, sending, attempt(1))) // by a worker that was quicker
	must[store.Installation](t)(s.Remove(ctx, demo, "slack"))
	for after := uint64(0); ; {
		waiting, err := b.Next(ctx, broker.Wakeups, ">", after)
		if errors.Is(err, broker.ErrNoMessage) {
			break
		}
		if err := errors.Join(err, s.Wake(ctx, waiting), s.Wake(ctx, waiting)); err != nil {
			t.Fatal(err)
		}
		after = waiting.Seq
	}
	for _, id := range []string{kept.ID, lost.ID} {
		got := must[*client.MessageOutput](t)(as(s, bot).GetMessage(ctx, id)).Message
		if got.Status != client.Failed || got.FailureReason != `installation "slack" not found` {
			t.Errorf("%+v", got)
		}
	}
	if got := status(t, s, sending.ID); got != client.Sending {
		t.Errorf("a message that is being sent became %s", got)
	}
	if listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(ctx, client.ListMessagesInput{})); len(listed.Messages) != 3 {
		t.Errorf("listed %+v", listed.Messages)
	}
}
