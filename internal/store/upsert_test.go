package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

func TestAnIntegrationIsToldOfWhatItsBotChanges(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	m := queued(t, b, s)
	update := func(caller client.Caller, in client.UpdateMessageInput) {
		t.Helper()
		in.ID = m.ID
		must[*client.MessageOutput](t)(as(s, caller).UpdateMessage(ctx, in))
	}
	update(slack, client.UpdateMessageInput{Tags: client.Tags{"ts": "1"}})     // its own
	update(bot, client.UpdateMessageInput{Tags: client.Tags{"crm": "1"}})      // not in its view
	update(bot, client.UpdateMessageInput{Tags: client.Tags{"slack:ts": "1"}}) // no change
	update(bot, client.UpdateMessageInput{Payload: json.RawMessage(`{"text":"edited"}`)})
	update(bot, client.UpdateMessageInput{Tags: client.Tags{"slack:thread": ""}})
	_, user := talk(t, s)
	incoming := must[*client.MessageOutput](t)(as(s, slack).CreateMessage(ctx, text(m.ConversationID, user, "hello"))).Message
	must[*client.MessageOutput](t)(as(s, bot).UpdateMessage(ctx, client.UpdateMessageInput{ID: incoming.ID, Tags: client.Tags{"slack:x": "1"}}))

	told := stored(ctx, t, b, broker.Commands, "towpath.message_updated")
	if len(told) != 2 {
		t.Fatalf("told %d times, want 2", len(told))
	}
	var edited, untagged store.MessageUpdateData
	if err := errors.Join(json.Unmarshal(told[0].Data, &edited), json.Unmarshal(told[1].Data, &untagged)); err != nil {
		t.Fatal(err)
	}
	if string(edited.Payload) != `{"text":"edited"}` || string(edited.Previous.Payload) != `{"text":"hi"}` || edited.Type != "text" ||
		edited.Conversation.Channel != "channel" || edited.User.ID == "" || edited.Current.Tags["thread"] != "T1" {
		t.Errorf("told of the edit: %s", told[0].Data)
	}
	if diff := cmp.Diff(client.Tags{"ts": "1"}, untagged.Current.Tags); diff != "" || untagged.Previous.Tags["thread"] != "T1" {
		t.Errorf("told of the tags: %s", told[1].Data)
	}
	created := stored(ctx, t, b, broker.Commands, "towpath.message_created")
	if told[0].Lane() != created[0].Lane() {
		t.Errorf("update in lane %s, message in %s", told[0].Lane(), created[0].Lane())
	}

	for caller, tags := range map[client.Caller]client.Tags{slack: {"title": "a"}, bot: {"slack:title": "b"}} {
		must[*client.ConversationOutput](t)(as(s, caller).UpdateConversation(ctx, client.UpdateConversationInput{ID: m.ConversationID, Tags: tags}))
	}
	changes := stored(ctx, t, b, broker.Commands, "towpath.conversation_updated")
	var change store.ConversationUpdateData
	if len(changes) != 1 || json.Unmarshal(changes[0].Data, &change) != nil || change.Current.Tags["title"] != "b" || change.Previous.Tags["title"] == "b" {
		t.Errorf("told of the conversation: %+v", changes)
	}
}

// The change is written, and the process dies before the integration is told.
// Whoever comes next tells; in order, and nothing twice.
func TestAChangeThatWasNotToldIsToldByTheNext(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	m := queued(t, b, s)
	bucket := must[*broker.Bucket](t)(b.Bucket(ctx, broker.Messages))
	entry := must[broker.Entry](t)(bucket.Get(ctx, broker.Key(demo, m.ID)))
	var record map[string]any
	if err := json.Unmarshal(entry.Value, &record); err != nil {
		t.Fatal(err)
	}
	record["untold"] = []any{map[string]any{
		"id": "upd_01KAJ00000000000000000DEAD", "at": "2026-11-20T10:00:00Z", "operation": events.MessageUpdated, "data": map[string]any{},
	}}
	must[uint64](t)(bucket.Update(ctx, entry.Key, must[[]byte](t)(json.Marshal(record)), entry.Revision))
	for range 2 {
		must[*client.MessageOutput](t)(as(s, bot).UpdateMessage(ctx, client.UpdateMessageInput{ID: m.ID, Tags: client.Tags{"slack:x": "1"}}))
	}
	told := stored(ctx, t, b, broker.Commands, "towpath.message_updated")
	if len(told) != 2 || told[0].Header["ce-id"][0] != "upd_01KAJ00000000000000000DEAD" {
		t.Errorf("told %+v", told)
	}
	var left map[string]any
	if err := json.Unmarshal(must[broker.Entry](t)(bucket.Get(ctx, entry.Key)).Value, &left); err != nil || left["untold"] != nil {
		t.Errorf("left untold: %v, %v", left["untold"], err)
	}
}

func TestManyUpdatesAreAllToldInTheirOrder(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	m := queued(t, b, first)
	stores := []*store.Store{first, s.open(s.connect())}
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			_, err := as(stores[i%2], bot).UpdateMessage(t.Context(), client.UpdateMessageInput{ID: m.ID, Tags: client.Tags{fmt.Sprintf("slack:t%d", i): "x"}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	told := stored(t.Context(), t, b, broker.Commands, "towpath.message_updated")
	if len(told) != 64 {
		t.Fatalf("64 updates are told %d times", len(told))
	}
	for i, message := range told {
		var update store.MessageUpdateData
		if err := json.Unmarshal(message.Data, &update); err != nil || len(update.Current.Tags) != i+2 || len(update.Previous.Tags) != i+1 {
			t.Fatalf("update %d: %d tags after %d, %v", i, len(update.Current.Tags), len(update.Previous.Tags), err)
		}
	}
}

func TestAMessageIsFoundByItsTags(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	get := func(in client.CreateMessageInput, by ...string) *client.GetOrCreateMessageOutput {
		t.Helper()
		return must[*client.GetOrCreateMessageOutput](t)(as(s, slack).GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{CreateMessageInput: in, DiscriminateByTags: by}))
	}
	in := text(conversation, user, "one")
	in.Tags = client.Tags{"ts": "1", "edited": "no"}
	first := get(in, "ts")
	in.Tags, in.Payload = client.Tags{"ts": "1", "edited": "yes"}, json.RawMessage(`{"text":"two"}`)
	second := get(in, "ts")
	if !first.Meta.Created || second.Meta.Created || second.Message.ID != first.Message.ID ||
		string(second.Message.Payload) != `{"text":"two"}` || second.Message.Tags["edited"] != "yes" {
		t.Errorf("first %+v, second %+v", first, second)
	}
	in.Payload = nil
	if third := get(in); third.Message.ID != first.Message.ID || string(third.Message.Payload) != `{"text":"two"}` {
		t.Errorf("by all tags, without payload: %+v", third)
	}
	in.Tags = client.Tags{"ts": "2"}
	if _, err := as(s, slack).GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{CreateMessageInput: in}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("nothing to make it of: %v", err)
	}
	// The echo of what the bot sent is found by the tag of its ack.
	sent := queued(t, b, s)
	must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(ctx, client.UpdateMessageInput{ID: sent.ID, Tags: client.Tags{"ts": "3"}}))
	echo := text(conversation, user, "hi")
	echo.Tags = client.Tags{"ts": "3"}
	if got := get(echo); got.Message.ID != sent.ID || got.Meta.Created {
		t.Errorf("the echo is another message: %+v", got)
	}
	if told := stored(ctx, t, b, broker.Events, "message_created"); len(told) != 1 {
		t.Errorf("the bot is told of %d messages, want 1", len(told))
	}
	untagged := text(conversation, user, "x")
	if a, c := get(untagged), get(untagged); a.Message.ID == c.Message.ID {
		t.Error("messages without tags are one")
	}
}

func TestAUserIsFoundByTagsThatItGotLater(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	c := as(s, slack)
	made := must[*client.UserOutput](t)(c.CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"id": "U1", "mail": "a@x.org"}, Name: "Ada", Properties: map[string]string{"a": "1"}}))
	find := func(tags client.Tags) *client.GetOrCreateUserOutput {
		return must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: tags}))
	}
	if got := find(client.Tags{"mail": "a@x.org"}); got.User.ID != made.User.ID || got.Meta.Created {
		t.Errorf("by one of its tags: %+v", got)
	}
	updated := must[*client.UserOutput](t)(c.UpdateUser(ctx, client.UpdateUserInput{
		ID: made.User.ID, Tags: client.Tags{"id": "", "phone": "1"}, PictureURL: client.To("https://x.org/a.png"),
		Properties: map[string]string{"a": "", "b": "2"},
	})).User
	if diff := cmp.Diff(client.Tags{"mail": "a@x.org", "phone": "1"}, updated.Tags); diff != "" || updated.Name != "Ada" || updated.PictureURL == "" ||
		!cmp.Equal(updated.Properties, map[string]string{"b": "2"}) {
		t.Errorf("updated %+v (-want +got):\n%s", updated, diff)
	}
	if got := find(client.Tags{"phone": "1"}); got.User.ID != made.User.ID {
		t.Errorf("by a tag that it got: %+v", got)
	}
	if got := find(client.Tags{"id": "U1"}); got.User.ID == made.User.ID || !got.Meta.Created {
		t.Errorf("by a tag that it lost: %+v", got)
	}
	if got := must[*client.UserOutput](t)(c.UpdateUser(ctx, client.UpdateUserInput{ID: made.User.ID, Name: client.To("")})).User; got.Name != "" || got.PictureURL == "" {
		t.Errorf("without name: %+v", got)
	}
	for name, in := range map[string]client.UpdateUserInput{
		"long name":     {Name: client.To(strings.Repeat("n", 201))},
		"long picture":  {PictureURL: client.To(strings.Repeat("n", 40_001))},
		"long property": {Properties: map[string]string{"a": strings.Repeat("n", 201)}},
		"long tag":      {Tags: client.Tags{"a": strings.Repeat("n", 501)}},
	} {
		in.ID = made.User.ID
		if _, err := c.UpdateUser(ctx, in); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImportedMessagesTakeTheirPlaceInThePast(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	now := must[*client.MessageOutput](t)(as(s, slack).CreateMessage(ctx, text(conversation, user, "now"))).Message
	one := func(user, says, at, ts string) client.ImportedMessage {
		return client.ImportedMessage{
			ConversationID: conversation, UserID: user, Type: "text", Payload: json.RawMessage(`{"text":"` + says + `"}`),
			Tags: client.Tags{"ts": ts}, CreatedAt: at, DiscriminateByTags: []string{"ts"},
		}
	}
	in := client.ImportMessagesInput{Messages: []client.ImportedMessage{
		one(user, "b", "2020-01-02T00:00:00.000Z", "2"), one(user, "a", "2020-01-01T00:00:00.000Z", "1"),
		one(demo, "c", "2020-01-02T00:00:00.000Z", "3"),
	}}
	var want []string
	for range 3 { // again and again
		out := must[*client.ImportMessagesOutput](t)(as(s, slack).ImportMessages(ctx, in))
		want = []string{now.ID, out.Messages[2].ID, out.Messages[0].ID, out.Messages[1].ID}
		if out.Messages[2].Direction != client.Outgoing || out.Messages[2].Status != client.Sent || out.Messages[0].Direction != client.Incoming {
			t.Errorf("imported %+v", out.Messages)
		}
	}
	var got []string
	for _, m := range must[*client.ListMessagesOutput](t)(as(s, slack).ListMessages(ctx, client.ListMessagesInput{ConversationID: conversation})).Messages {
		got = append(got, m.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if told := len(stored(ctx, t, b, broker.Events, "message_created")); told != 1 {
		t.Errorf("the bot is told of %d messages, want the one that is new", told)
	}
	many := make([]client.ImportedMessage, 101)
	for name, messages := range map[string][]client.ImportedMessage{
		"too many": many, "no date": {one(user, "x", "yesterday", "9")},
		"one of two": {one(user, "y", "2020-01-01T00:00:00Z", "8"), one("user_x", "x", "2020-01-01T00:00:00Z", "9")},
	} {
		if _, err := as(s, slack).ImportMessages(ctx, client.ImportMessagesInput{Messages: messages}); client.AsError(err).Type.Status() != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(keysOf(t, b, broker.Messages, "demo.*")); n != 4 {
		t.Errorf("%d messages, want 4: an import is refused as a whole", n)
	}
}

func TestAnIncomingMessageIsInitializedInOneCall(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	in := client.InitializeIncomingMessageInput{
		User:         client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1"}, DiscriminateByTags: []string{"id"}},
		Conversation: client.GetOrCreateConversationInput{Channel: "channel", Tags: client.Tags{"id": "C1"}, DiscriminateByTags: []string{"id"}},
		Message: client.IncomingMessage{
			Type: "text", Payload: json.RawMessage(`{"text":"hello"}`), Tags: client.Tags{"ts": "1"}, DiscriminateByTags: []string{"ts"},
		},
	}
	var first *client.InitializeIncomingMessageOutput
	for _, of := range [][]string{{"dlv_1"}, {"dlv_1"}, {}, {"dlv_2"}} {
		out := must[*client.InitializeIncomingMessageOutput](t)(as(s, slack, of...).InitializeIncomingMessage(t.Context(), in))
		if first == nil {
			first = out
		}
		if out.User.ID != first.User.ID || out.Conversation.ID != first.Conversation.ID || out.Message.ID != first.Message.ID {
			t.Errorf("in %v: %+v, first %+v", of, out, first)
		}
	}
	if n := len(stored(t.Context(), t, b, broker.Events, "message_created")); n != 1 {
		t.Errorf("told %d times", n)
	}
	byID := must[*client.InitializeIncomingMessageOutput](t)(as(s, slack).InitializeIncomingMessage(t.Context(), client.InitializeIncomingMessageInput{
		UserID: first.User.ID, ConversationID: first.Conversation.ID,
	}))
	if byID.User.ID != first.User.ID || byID.Message != nil {
		t.Errorf("by ids, without a message: %+v", byID)
	}
	if _, err := as(s, bot).InitializeIncomingMessage(t.Context(), in); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("by a bot: %v", err)
	}
}
