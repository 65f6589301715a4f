package whatsapp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// from is a text of somebody who shows a number, an id, or both.
func from(id, number, userID string) *events.Request {
	who, sender := []string{}, []string{}
	if number != "" {
		who, sender = append(who, fmt.Sprintf(`"wa_id":%q`, number)), append(sender, fmt.Sprintf(`"from":%q,`, number))
	}
	if userID != "" {
		who, sender = append(who, fmt.Sprintf(`"user_id":%q`, userID)), append(sender, fmt.Sprintf(`"from_user_id":%q,`, userID))
	}
	return post(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{
		"contacts":[{"profile":{"name":"Sam","username":"sam"},` + strings.Join(who, ",") + `}],
		"messages":[{` + strings.Join(sender, "") + `"id":"` + id + `","timestamp":"1700000000","type":"text","text":{"body":"a"}}]}}]}]}`)
}

// Whatever a person shows of themselves, and in whichever order, they have one
// conversation and are one user.
func TestAPersonHasOneConversation(t *testing.T) {
	t.Parallel()
	const number, id = "16505551234", "US.13491208655302741918"
	for name, shown := range map[string][][2]string{
		"number, then both":               {{number, ""}, {number, id}},
		"number, then both, then id":      {{number, ""}, {number, id}, {"", id}},
		"both, then id, then number":      {{number, id}, {"", id}, {number, ""}},
		"id, then both":                   {{"", id}, {number, id}},
		"id, then both, then number":      {{"", id}, {number, id}, {number, ""}, {"", id}, {number, id}},
		"nothing but the id":              {{"", id}, {"", id}},
		"both, and the same again, twice": {{number, id}, {number, id}, {number, id}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			conversations, users := map[string]bool{}, map[string]bool{}
			for i, one := range shown {
				o := kit.Unsigned(from(fmt.Sprintf("wamid.%d", i), one[0], one[1]))
				o2 := kit.Retry(o)
				if len(o.Messages) != 1 || o2.Err != nil {
					t.Fatalf("message %d: %v, %v", i, o.Err, o2.Err)
				}
				conversations[o.Messages[0].ConversationID], users[o.Messages[0].UserID] = true, true
				if want := map[bool]string{true: id, false: number}[one[1] != ""]; o.Parts[0].Key != want {
					t.Errorf("message %d is ordered by %s", i, o.Parts[0].Key)
				}
			}
			listed, err := kit.Client.ListConversations(t.Context(), client.ListConversationsInput{})
			if len(conversations) != 1 || len(users) != 1 || err != nil || len(listed.Conversations) != 1 {
				t.Errorf("%d conversations, %d users; listed %v, %v", len(conversations), len(users), listed.Conversations, err)
			}
		})
	}
}

func TestSomebodyWithoutANumberIsAnswered(t *testing.T) {
	t.Parallel()
	kit := install(t)
	heard := kit.Unsigned(from("wamid.1", "", "CO.1047385771169864"))
	started := handlerstest.Fired(heard, whatsapp.ConversationStarted)
	if len(started) != 1 || started[0].UserID != "CO.1047385771169864" || started[0].PhoneNumber != "" || started[0].Username != "sam" {
		t.Errorf("fired %+v, %v", started, heard.Err)
	}
	o := kit.Send(handlerstest.Message{Payload: events.Text{Text: "hi"}, Conversation: client.Tags{"userId": "CO.1047385771169864", "firstMessageId": "wamid.1"}})
	same(t, `[{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"CO.1047385771169864","type":"text","text":{"body":"hi"}}]`, bodies(t, o.Requests))
	if o.Message.ConversationID != heard.Messages[0].ConversationID {
		t.Error("the answer is in another conversation")
	}
}

func TestSomebodyWithNeitherIsRefused(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Unsigned(post(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"wamid.1","type":"text"}]}}]}]}`))
	if o.Verdict.Decision != handlers.GiveUp {
		t.Errorf("got %+v", o.Verdict)
	}
}

func TestAChangedNumberKeepsTheConversation(t *testing.T) {
	t.Parallel()
	kit := install(t)
	before := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "1", User: "16505551234"}))
	moved := kit.Webhook(kit.Sample("system", handlers.SampleArgs{ID: "2", User: "16505551234"}))
	if moved = kit.Retry(moved); moved.Err != nil {
		t.Fatal(moved.Err)
	}
	listed, err := kit.Client.ListConversations(t.Context(), client.ListConversationsInput{})
	if err != nil || len(listed.Conversations) != 1 {
		t.Errorf("there are %v, %v", listed, err)
	}
	after := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "3", User: "16505550199"}))
	stranger := kit.Webhook(kit.Sample("message", handlers.SampleArgs{ID: "4", User: "16505551234"}))
	if moved.Err != nil || len(moved.Messages) != 0 {
		t.Errorf("got %v", moved.Err)
	}
	if after.Messages[0].ConversationID != before.Messages[0].ConversationID || after.Messages[0].UserID != before.Messages[0].UserID {
		t.Error("the conversation did not move along")
	}
	if stranger.Messages[0].ConversationID == before.Messages[0].ConversationID {
		t.Error("who has the old number now is in the conversation")
	}
}

func TestAChangedNumberOfAStrangerMakesNothing(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("system", handlers.SampleArgs{}))
	again := kit.Retry(o)
	listed, err := kit.Client.ListConversations(t.Context(), client.ListConversationsInput{})
	if o.Err != nil || again.Err != nil || err != nil || len(listed.Conversations) != 0 {
		t.Errorf("there are %v, %v, %v, %v", listed, o.Err, again.Err, err)
	}
}

func TestANumberThatChangedHandsIsAnotherPersons(t *testing.T) {
	t.Parallel()
	const number = "16505551234"
	kit := install(t)
	before := kit.Unsigned(from("wamid.1", number, "US.1"))
	after := kit.Unsigned(from("wamid.2", number, "US.2"))
	again := kit.Retry(after)
	old := kit.Unsigned(from("wamid.3", "", "US.1"))
	alone := kit.Unsigned(from("wamid.4", number, ""))
	if len(before.Messages)+len(after.Messages)+len(old.Messages)+len(alone.Messages) != 4 || again.Err != nil {
		t.Fatalf("%v, %v, %v, %v, %v", before.Err, after.Err, again.Err, old.Err, alone.Err)
	}
	first, second := before.Messages[0], after.Messages[0]
	if first.ConversationID == second.ConversationID || first.UserID == second.UserID {
		t.Error("the number's new owner is in the conversation of the one before")
	}
	if old.Messages[0].ConversationID != first.ConversationID || alone.Messages[0].ConversationID != second.ConversationID {
		t.Error("somebody lost their conversation")
	}
	if len(handlerstest.Fired(after, whatsapp.ConversationStarted)) != 1 {
		t.Error("the new owner did not start a conversation")
	}
}

// Of two messages and one contact, nobody knows whose the contact is.
func TestAnotherPersonsContactIsNotTakenOver(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Unsigned(post(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{
		"contacts":[{"profile":{"name":"Sam"},"wa_id":"16505551234","user_id":"US.1"}],"messages":[
		{"from":"16505551234","id":"wamid.1","type":"text","text":{"body":"a"}},{"from":"16505559999","id":"wamid.2","type":"text","text":{"body":"b"}}]}}]}]}`))
	if len(o.Parts) != 2 || o.Parts[0].Key != "US.1" || o.Parts[1].Key != "16505559999" || o.Messages[0].UserID == o.Messages[1].UserID {
		t.Errorf("got %+v, %v", o.Parts, o.Err)
	}
}
