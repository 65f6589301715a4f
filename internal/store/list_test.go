package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
)

// All messages of a delivery have its time, and so have those of every other
// delivery of that millisecond.
func TestMessagesAndEventsOfOneDeliveryAreListedInTheirOrder(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	var incoming, outgoing, fired []string
	in, out := as(s, slack, "dlv_1"), as(s, bot, "evt_1")
	for i := range 30 {
		says := fmt.Sprint(i)
		incoming = append(incoming, must[*client.MessageOutput](t)(in.CreateMessage(ctx, text(conversation, user, says))).Message.ID)
		outgoing = append(outgoing, must[*client.MessageOutput](t)(out.CreateMessage(ctx, text(conversation, demo, says))).Message.ID)
		fired = append(fired, must[*client.EventOutput](t)(in.CreateEvent(ctx, client.CreateEventInput{Type: "x", Payload: []byte(`{"n":` + says + `}`)})).Event.ID)
	}
	gotIn, gotOut := []string{}, []string{}
	for next := ""; ; {
		page := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(ctx, client.ListMessagesInput{ConversationID: conversation, NextToken: next}))
		for _, m := range page.Messages {
			if m.Direction == client.Incoming {
				gotIn = append(gotIn, m.ID)
			} else {
				gotOut = append(gotOut, m.ID)
			}
		}
		if next = page.Meta.NextToken; next == "" {
			break
		}
	}
	var gotEvents []string
	for next := ""; ; {
		page := must[*client.ListEventsOutput](t)(as(s, bot).ListEvents(ctx, client.ListEventsInput{NextToken: next}))
		for _, e := range page.Events {
			gotEvents = append(gotEvents, e.ID)
		}
		if next = page.Meta.NextToken; next == "" {
			break
		}
	}
	for what, pair := range map[string][2][]string{"incoming": {incoming, gotIn}, "outgoing": {outgoing, gotOut}, "events": {fired, gotEvents}} {
		slices.Reverse(pair[0])
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s, newest first (-made +listed):\n%s", what, diff)
		}
	}
}

func TestUsersAndConversationsAreFoundByAllThatTheyAreListedBy(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	c := as(s, slack)
	var users, conversations []string
	for i := range 25 {
		odd := map[bool]string{true: "yes", false: "no"}[i%2 == 1]
		users = append(users, must[*client.UserOutput](t)(c.CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"id": fmt.Sprint(i), "odd": odd}})).User.ID)
		conversations = append(conversations, must[*client.ConversationOutput](t)(c.CreateConversation(ctx, client.CreateConversationInput{
			Channel: []string{"channel", "dm"}[i%2], Tags: client.Tags{"id": fmt.Sprint(i)},
		})).Conversation.ID)
	}
	must[*client.UserOutput](t)(as(s, other).CreateUser(ctx, client.CreateUserInput{}))
	must[*client.UserOutput](t)(c.UpdateUser(ctx, client.UpdateUserInput{ID: users[3], Name: client.To("Ada")}))
	must[*client.ConversationOutput](t)(c.UpdateConversation(ctx, client.UpdateConversationInput{ID: conversations[4], Tags: client.Tags{"title": "x"}}))
	join := func(conversation, user int) {
		must[*client.ParticipantOutput](t)(c.AddParticipant(ctx, client.AddParticipantInput{ID: conversations[conversation], UserID: users[user]}))
	}
	join(1, 1)
	join(1, 2)
	join(2, 2)

	listUsers := func(in client.ListUsersInput) (ids []string) {
		for {
			page := must[*client.ListUsersOutput](t)(c.ListUsers(ctx, in))
			for _, u := range page.Users {
				ids = append(ids, u.ID)
			}
			if in.NextToken = page.Meta.NextToken; in.NextToken == "" {
				return ids
			}
		}
	}
	listConversations := func(in client.ListConversationsInput) (ids []string) {
		for {
			page := must[*client.ListConversationsOutput](t)(c.ListConversations(ctx, in))
			for _, u := range page.Conversations {
				ids = append(ids, u.ID)
			}
			if in.NextToken = page.Meta.NextToken; in.NextToken == "" {
				return ids
			}
		}
	}
	backward := func(ids []string) []string {
		ids = slices.Clone(ids)
		slices.Reverse(ids)
		return ids
	}
	future := time.Now().Add(time.Hour).Format(time.RFC3339)
	past := time.Now().Add(-time.Hour).Format(time.RFC3339)
	for name, test := range map[string]struct{ want, got []string }{
		"newest first":       {backward(users), listUsers(client.ListUsersInput{})},
		"oldest first":       {users, listUsers(client.ListUsersInput{SortField: "createdAt", SortDirection: "asc"})},
		"by update":          {users[3:4], listUsers(client.ListUsersInput{SortField: "updatedAt"})[:1]},
		"by tags":            {users[1:2], listUsers(client.ListUsersInput{Tags: client.Tags{"odd": "yes", "id": "1"}})},
		"of a conversation":  {backward(users[1:3]), listUsers(client.ListUsersInput{ConversationID: conversations[1]})},
		"in a time":          {backward(users), listUsers(client.ListUsersInput{AfterDate: past, BeforeDate: future})},
		"of the future":      {nil, listUsers(client.ListUsersInput{AfterDate: future, RangeField: "updatedAt"})},
		"conversations":      {backward(conversations), listConversations(client.ListConversationsInput{})},
		"the last updated":   {conversations[4:5], listConversations(client.ListConversationsInput{SortField: "updatedAt", SortDirection: "desc"})[:1]},
		"with both":          {conversations[1:2], listConversations(client.ListConversationsInput{ParticipantIDs: []string{users[1], users[2]}})},
		"with one":           {backward(conversations[1:3]), listConversations(client.ListConversationsInput{ParticipantIDs: []string{users[2]}})},
		"with a stranger":    {nil, listConversations(client.ListConversationsInput{ParticipantIDs: []string{"user_x"}})},
		"of a channel":       {conversations[1:2], listConversations(client.ListConversationsInput{Channel: "dm", Tags: client.Tags{"id": "1"}})},
		"of an installation": {nil, listConversations(client.ListConversationsInput{IntegrationName: "other"})},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, call := range map[string]func() error{
		"field":     func() error { _, err := c.ListUsers(ctx, client.ListUsersInput{SortField: "name"}); return err },
		"range":     func() error { _, err := c.ListUsers(ctx, client.ListUsersInput{RangeField: "name"}); return err },
		"direction": func() error { _, err := c.ListUsers(ctx, client.ListUsersInput{SortDirection: "up"}); return err },
		"date":      func() error { _, err := c.ListUsers(ctx, client.ListUsersInput{AfterDate: "today"}); return err },
		"token":     func() error { _, err := c.ListUsers(ctx, client.ListUsersInput{NextToken: "e30"}); return err },
		"no such tag type": func() error {
			_, err := c.ListTagValues(ctx, client.ListTagValuesInput{Key: "id", Type: "x"})
			return err
		},
	} {
		if err := call(); client.AsError(err).Type != client.InvalidQuery {
			t.Errorf("%s: %v", name, err)
		}
	}
	var values []string
	for in := (client.ListTagValuesInput{Key: "id", Type: "conversation"}); ; {
		page := must[*client.ListTagValuesOutput](t)(c.ListTagValues(ctx, in))
		for _, tag := range page.Tags {
			values = append(values, tag.Value)
		}
		if in.NextToken = page.Meta.NextToken; in.NextToken == "" {
			break
		}
	}
	if len(values) != 25 || !slices.IsSorted(values) {
		t.Errorf("values of id: %v", values)
	}
	seen := must[*client.ListTagValuesOutput](t)(as(s, bot).ListTagValues(ctx, client.ListTagValuesInput{Key: "slack:odd", Type: "user"}))
	if diff := cmp.Diff([]client.TagValue{{Value: "no"}, {Value: "yes"}}, seen.Tags); diff != "" {
		t.Errorf("values of slack:odd (-want +got):\n%s", diff)
	}
}

func TestParticipantsComeAndGo(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	c := as(s, slack)
	names := client.ParticipantInput{ID: conversation, UserID: user}
	if _, err := c.GetParticipant(ctx, names); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("before anything is written: %v", err)
	}
	must[*client.MessageOutput](t)(c.CreateMessage(ctx, text(conversation, user, "hello")))
	must[*client.MessageOutput](t)(as(s, bot).CreateMessage(ctx, text(conversation, demo, "hi")))
	if got := must[*client.ParticipantOutput](t)(c.GetParticipant(ctx, names)); got.Participant.ID != user || got.Participant.Tags["id"] != "U1" {
		t.Errorf("who writes takes part: %+v", got)
	}
	if got := must[*client.ListParticipantsOutput](t)(as(s, bot).ListParticipants(ctx, client.ListParticipantsInput{ID: conversation})); len(got.Participants) != 1 {
		t.Errorf("participants %+v, want no bot", got)
	}
	for range 2 {
		if err := as(s, slack, "dlv_1").RemoveParticipant(ctx, names); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if err := c.RemoveParticipant(ctx, names); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("removed by somebody else: %v", err)
	}
	for range 2 {
		must[*client.ParticipantOutput](t)(c.AddParticipant(ctx, client.AddParticipantInput{ID: conversation, UserID: user}))
	}
	if _, err := c.AddParticipant(ctx, client.AddParticipantInput{ID: conversation, UserID: "user_x"}); client.AsError(err).Type != client.ReferenceNotFound {
		t.Errorf("an unknown user: %v", err)
	}
	if _, err := as(s, other).AddParticipant(ctx, client.AddParticipantInput{ID: conversation, UserID: user}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("in another's conversation: %v", err)
	}
}
