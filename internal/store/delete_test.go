package store_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// full is a conversation with everything that can belong to one.
func full(t *testing.T, s *store.Store) (conversation, user, incoming, outgoing string) {
	t.Helper()
	ctx := t.Context()
	conversation, user = talk(t, s)
	in := text(conversation, user, "hello")
	in.Tags = client.Tags{"ts": "1"}
	incoming = must[*client.MessageOutput](t)(as(s, slack).CreateMessage(ctx, in)).Message.ID
	outgoing = must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, text(conversation, demo, "hi"))).Message.ID
	for _, owner := range []struct {
		typ client.StateType
		id  string
	}{{client.ConversationState, conversation}, {client.UserState, user}} {
		must[*client.StateOutput](t)(as(s, slack).SetState(ctx, client.SetStateInput{Type: owner.typ, ID: owner.id, Name: "n", Payload: json.RawMessage(`{}`)}))
	}
	return conversation, user, incoming, outgoing
}

func TestADeletedConversationTakesEverythingAlong(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user, incoming, outgoing := full(t, s)
	if err := as(s, other).DeleteConversation(ctx, conversation); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a stranger deletes: %v", err)
	}
	for range 2 { // a handler that runs again
		if err := as(s, slack, "dlv_1").DeleteConversation(ctx, conversation); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if err := as(s, slack).DeleteConversation(ctx, conversation); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("somebody else deletes it again: %v", err)
	}
	for what, err := range gone(t, s, conversation, user, incoming) {
		if !errors.Is(err, client.ErrNotFound) && client.AsError(err).Type != client.ReferenceNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(ctx, client.ListMessagesInput{})); len(listed.Messages) != 0 {
		t.Errorf("listed: %+v", listed.Messages)
	}
	if keys := keysOf(t, b, broker.Messages, ">"); len(keys) != 0 {
		t.Errorf("left of the messages: %v", keys)
	}
	if keys := keysOf(t, b, broker.States, ">"); len(keys) != 1 {
		t.Errorf("states left: %v, want the user's", keys)
	}
	if diff := cmp.Diff([]string{"demo." + conversation}, keysOf(t, b, broker.Conversations, ">")); diff != "" {
		t.Errorf("left of the conversation, beside its mark:\n%s", diff)
	}
	// What waits in the queue is not sent.
	left := client.Message{ID: outgoing, ConversationID: conversation, Direction: client.Outgoing, Status: client.Queued}
	if begun := must[client.Message](t)(s.BeginSend(ctx, slack, left, attempt(1))); begun.Status != client.Failed {
		t.Errorf("a message of a deleted conversation is sent: %+v", begun)
	}
	ambiguous, err := s.MarkAmbiguous(ctx, demo, outgoing, 1)
	if err := errors.Join(s.FinishSend(ctx, demo, outgoing, client.Sent), err); err != nil || ambiguous {
		t.Errorf("a send that was under way: %v", err)
	}
	again := must[*client.GetOrCreateConversationOutput](t)(as(s, slack).GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: "channel", Tags: client.Tags{"id": "C1"},
	}))
	if again.Conversation.ID == conversation || !again.Meta.Created {
		t.Errorf("get-or-create after the delete: %+v", again)
	}
}

// gone asks for all that should not be there any more.
func gone(t *testing.T, s *store.Store, conversation, user, message string) map[string]error {
	t.Helper()
	ctx, c := t.Context(), as(s, slack)
	errs := map[string]error{}
	_, errs["conversation"] = c.GetConversation(ctx, conversation)
	_, errs["its update"] = c.UpdateConversation(ctx, client.UpdateConversationInput{ID: conversation, Tags: client.Tags{"a": "1"}})
	_, errs["message"] = c.GetMessage(ctx, message)
	_, errs["its ack"] = c.UpdateMessage(ctx, client.UpdateMessageInput{ID: message})
	_, errs["a new message"] = c.CreateMessage(ctx, text(conversation, user, "x"))
	_, errs["participant"] = c.GetParticipant(ctx, client.ParticipantInput{ID: conversation, UserID: user})
	_, errs["participants"] = c.ListParticipants(ctx, client.ListParticipantsInput{ID: conversation})
	_, errs["state"] = c.GetState(ctx, client.StateInput{Type: client.ConversationState, ID: conversation, Name: "n"})
	return errs
}

// A crash right after the mark leaves messages, participants and states behind.
// Nobody sees them, and whoever deletes again takes them away.
func TestADeletionThatIsCutOffLeavesNothingToSee(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user, incoming, _ := full(t, s)
	bucket := must[*broker.Bucket](t)(b.Bucket(ctx, broker.Conversations))
	entry := must[broker.Entry](t)(bucket.Get(ctx, broker.Key(demo, conversation)))
	var record map[string]any
	if err := json.Unmarshal(entry.Value, &record); err != nil {
		t.Fatal(err)
	}
	record["deleted"] = map[string]any{"by": "somebody who died"}
	marked, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	must[uint64](t)(bucket.Update(ctx, entry.Key, marked, entry.Revision))

	for what, err := range gone(t, s, conversation, user, incoming) {
		if err == nil {
			t.Errorf("%s is seen", what)
		}
	}
	if listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(ctx, client.ListMessagesInput{ConversationID: conversation})); len(listed.Messages) != 0 {
		t.Errorf("listed: %+v", listed.Messages)
	}
	if listed := must[*client.ListConversationsOutput](t)(as(s, bot).ListConversations(ctx, client.ListConversationsInput{})); len(listed.Conversations) != 0 {
		t.Errorf("listed: %+v", listed.Conversations)
	}
	if err := as(s, slack).DeleteConversation(ctx, conversation); err != nil {
		t.Errorf("going on with it: %v", err)
	}
	if keys := keysOf(t, b, broker.Messages, ">"); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
}

func TestADeletedUserLeavesItsConversationsAndItsMessages(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user, incoming, _ := full(t, s)
	if err := as(s, slack).DeleteUser(ctx, demo); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the bot's own user: %v", err)
	}
	for range 2 {
		if err := as(s, slack, "dlv_1").DeleteUser(ctx, user); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := as(s, slack).UpdateUser(ctx, client.UpdateUserInput{ID: user, Name: client.To("x")}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("updated: %v", err)
	}
	if listed := must[*client.ListParticipantsOutput](t)(as(s, slack).ListParticipants(ctx, client.ListParticipantsInput{ID: conversation})); len(listed.Participants) != 0 {
		t.Errorf("takes part: %+v", listed)
	}
	must[*client.MessageOutput](t)(as(s, slack).GetMessage(ctx, incoming))
	if keys := keysOf(t, b, broker.States, ">"); len(keys) != 1 {
		t.Errorf("states left: %v, want the conversation's", keys)
	}
	fresh := must[*client.GetOrCreateUserOutput](t)(as(s, slack).GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1"}}))
	if fresh.User.ID == user || !fresh.Meta.Created {
		t.Errorf("get-or-create after the delete: %+v", fresh)
	}
}

// A handler makes things and deletes them; its second attempt does the same.
func TestASecondAttemptDoesNotBringBackWhatItDeleted(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	attempt := func() []string {
		c := as(s, slack, "dlv_1")
		who := must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U9"}}))
		made := must[*client.UserOutput](t)(c.CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"id": "U8"}}))
		said := must[*client.MessageOutput](t)(c.CreateMessage(ctx, text(conversation, user, "hello")))
		if !who.Meta.Created {
			t.Error("the attempt did not make the user")
		}
		ids := []string{who.User.ID, made.User.ID, said.Message.ID}
		if err := errors.Join(c.DeleteUser(ctx, ids[0]), c.DeleteUser(ctx, ids[1]), c.DeleteMessage(ctx, ids[2])); err != nil {
			t.Error(err)
		}
		return ids
	}
	first := attempt()
	if diff := cmp.Diff(first, attempt()); diff != "" {
		t.Errorf("the second attempt (-first +second):\n%s", diff)
	}
	for _, id := range first[:2] {
		if _, err := as(s, slack).GetUser(ctx, id); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("user %s: %v", id, err)
		}
	}
	if n := len(stored(ctx, t, b, broker.Events, "message_created")); n != 1 {
		t.Errorf("the bot is told of the message %d times", n)
	}
}

func TestADeletedMessageIsNotSent(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	m := queued(t, b, s)
	if err := as(s, other).DeleteMessage(ctx, m.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a stranger deletes: %v", err)
	}
	for range 2 {
		if err := as(s, bot, "evt_1").DeleteMessage(ctx, m.ID); err != nil {
			t.Error(err)
		}
	}
	if err := as(s, bot).DeleteMessage(ctx, m.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	if begun := must[client.Message](t)(s.BeginSend(ctx, slack, m, attempt(1))); begun.Status == client.Sending {
		t.Errorf("begun %+v", begun)
	}
	if _, err := as(s, bot).GetMessage(ctx, m.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got: %v", err)
	}
	if listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(ctx, client.ListMessagesInput{})); len(listed.Messages) != 0 {
		t.Errorf("listed %+v", listed)
	}
}

// The keys that lead to an entity are known from its tags. They are kept with
// the mark, so that a deletion that is cut off is finished without a search.
func TestADeletedEntityTakesItsIndexAlong(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	tags := client.Tags{"a": "1", "b": "2", "c": "3"}
	must[*client.UserOutput](t)(as(s, slack).UpdateUser(ctx, client.UpdateUserInput{ID: user, Tags: client.Tags{"id": ""}}))
	forget(t, b, broker.Users, keysOf(t, b, broker.Users, "demo.index.*")...)
	made := must[*client.UserOutput](t)(as(s, slack).CreateUser(ctx, client.CreateUserInput{Tags: tags})).User
	in := text(conversation, user, "hello")
	in.Tags = tags
	said := must[*client.MessageOutput](t)(as(s, slack).CreateMessage(ctx, in)).Message
	must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(ctx, client.UpdateMessageInput{ID: said.ID, Tags: tags}))
	for bucket, id := range map[broker.BucketName]string{broker.Users: made.ID, broker.Messages: said.ID} {
		keys := keysOf(t, b, bucket, "demo.index.*")
		if len(keys) != 4 {
			t.Fatalf("%d keys lead to %s, want 4", len(keys), id)
		}
		// What a crash right after the mark leaves.
		opened := must[*broker.Bucket](t)(b.Bucket(ctx, bucket))
		entry := must[broker.Entry](t)(opened.Get(ctx, broker.Key(demo, id)))
		var record map[string]any
		if err := json.Unmarshal(entry.Value, &record); err != nil {
			t.Fatal(err)
		}
		record["deleted"] = map[string]any{"by": "somebody who died", "index": keys[:2]}
		must[uint64](t)(opened.Update(ctx, entry.Key, must[[]byte](t)(json.Marshal(record)), entry.Revision))
		if err := deleteOne(t, s, bucket, id); err != nil {
			t.Error(err)
		}
		if left := keysOf(t, b, bucket, "demo.index.*"); len(left) != 2 {
			t.Errorf("%v lead to %s, want the two that the mark does not name", left, id)
		}
	}
	whole := must[*client.UserOutput](t)(as(s, slack).CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"d": "4", "e": "5"}})).User
	if err := deleteOne(t, s, broker.Users, whole.ID); err != nil {
		t.Error(err)
	}
	if left := keysOf(t, b, broker.Users, "demo.index.*"); len(left) != 2 {
		t.Errorf("left of the index: %v", left)
	}
}

func deleteOne(t *testing.T, s *store.Store, bucket broker.BucketName, id string) error {
	t.Helper()
	if bucket == broker.Users {
		return as(s, slack).DeleteUser(t.Context(), id)
	}
	return as(s, slack).DeleteMessage(t.Context(), id)
}
