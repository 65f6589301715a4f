package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

func TestManyCallersOfManyProcessesGetOneConversation(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	stores := []*store.Store{first}
	for range 3 {
		stores = append(stores, s.open(s.connect()))
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		ids   = map[string]int{}
		made  int
	)
	for i := range 64 {
		group.Go(func() {
			out, err := as(stores[i%len(stores)], slack).GetOrCreateConversation(t.Context(), client.GetOrCreateConversationInput{
				Channel: "channel", Tags: client.Tags{"id": "C1", "title": "general"},
			})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[out.Conversation.ID]++
			if out.Meta.Created {
				made++
			}
		})
	}
	group.Wait()
	if len(ids) != 1 || made != 1 {
		t.Errorf("64 callers got %d conversations and %d were told that they made it, want 1 and 1", len(ids), made)
	}
	if keys := keysOf(t, b, broker.Conversations, "demo.*"); len(keys) != 1 {
		t.Errorf("the bucket holds %d conversations, want 1: %v", len(keys), keys)
	}
}

func keysOf(t *testing.T, b *broker.Broker, name broker.BucketName, pattern string) []string {
	t.Helper()
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), name))
	return must[[]string](t)(bucket.Keys(t.Context(), pattern))
}

// An index key whose maker died decides the id for whoever comes next.
func TestACrashBetweenIndexAndRecordLeavesOneUser(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	data, _ := json.Marshal([]any{"slack", "", client.Tags{"slack:id": "U1"}})
	sum := sha256.Sum256(data)
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), broker.Users))
	const decided = "user_01KAJ00000000000000000DEAD"
	must[uint64](t)(bucket.Create(t.Context(), broker.Key(demo, "index", hex.EncodeToString(sum[:])), []byte(decided)))

	for i, created := range []bool{true, false} {
		out := must[*client.GetOrCreateUserOutput](t)(as(s, slack).GetOrCreateUser(t.Context(), client.GetOrCreateUserInput{
			Tags: client.Tags{"id": "U1"}, Name: "Ada",
		}))
		if out.User.ID != decided || out.Meta.Created != created {
			t.Errorf("call %d: user %s, created %t; want %s, %t", i, out.User.ID, out.Meta.Created, decided, created)
		}
	}
	if got := must[*client.UserOutput](t)(as(s, slack).GetUser(t.Context(), decided)); got.User.Name != "Ada" {
		t.Errorf("name %q, want Ada", got.User.Name)
	}
}

func TestGetOrCreateSelectsByTags(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	get := func(caller client.Caller, in client.GetOrCreateUserInput) *client.GetOrCreateUserOutput {
		t.Helper()
		return must[*client.GetOrCreateUserOutput](t)(as(s, caller).GetOrCreateUser(t.Context(), in))
	}
	first := get(slack, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1", "mail": "a@x.org"}, DiscriminateByTags: []string{"id"}})
	again := get(slack, client.GetOrCreateUserInput{
		Tags: client.Tags{"id": "U1", "mail": "b@x.org"}, Name: "Ada", DiscriminateByTags: []string{"id"},
	})
	if again.User.ID != first.User.ID || again.Meta.Created {
		t.Fatalf("the listed tag is equal: got another user %s", again.User.ID)
	}
	if diff := cmp.Diff(client.Tags{"id": "U1", "mail": "b@x.org"}, again.User.Tags); diff != "" || again.User.Name != "Ada" {
		t.Errorf("a match updates tags and name (-want +got):\n%s", diff)
	}
	if byAll := get(slack, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1", "mail": "a@x.org"}}); byAll.User.ID == first.User.ID {
		t.Error("all given tags must match, but mail does not")
	}
	if foreign := get(other, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1"}, DiscriminateByTags: []string{"id"}}); foreign.User.ID == first.User.ID {
		t.Error("another installation got slack's user")
	}
	seen := must[*client.UserOutput](t)(as(s, bot).GetUser(t.Context(), first.User.ID))
	if diff := cmp.Diff(client.Tags{"slack:id": "U1", "slack:mail": "b@x.org"}, seen.User.Tags); diff != "" {
		t.Errorf("tags in the bot's view (-want +got):\n%s", diff)
	}
	_, err := as(s, slack).GetOrCreateUser(t.Context(), client.GetOrCreateUserInput{DiscriminateByTags: []string{"id"}})
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a listed tag that is not given: %v", err)
	}
}

func TestASecondAttemptMakesWhatTheFirstMade(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	attempt := func() (ids []string, created []bool) {
		c := as(s, slack, "dlv_1")
		for range 2 {
			out := must[*client.UserOutput](t)(c.CreateUser(t.Context(), client.CreateUserInput{Tags: client.Tags{"id": "U1"}}))
			ids = append(ids, out.User.ID)
			got := must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(t.Context(), client.GetOrCreateUserInput{Tags: client.Tags{"id": "U2"}}))
			ids, created = append(ids, got.User.ID), append(created, got.Meta.Created)
		}
		return ids, created
	}
	ids, created := attempt()
	idsAgain, createdAgain := attempt()
	if diff := cmp.Diff(ids, idsAgain); diff != "" {
		t.Errorf("ids of the second attempt (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff([][]bool{{true, false}, {true, false}}, [][]bool{created, createdAgain}); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if ids[0] == ids[2] {
		t.Error("createUser twice within one attempt made one user")
	}
}

// What an attempt made may get other tags, and then the attempt is made again.
func TestASecondAttemptFindsWhatTheFirstMadeUnderOtherTags(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	type ids struct{ User, Conversation, Message string }
	attempt := func() ids {
		c := as(s, slack, "dlv_1")
		user := must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1"}}))
		conversation := must[*client.GetOrCreateConversationOutput](t)(c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
			Channel: "channel", Tags: client.Tags{"id": "C1"},
		}))
		message := must[*client.GetOrCreateMessageOutput](t)(c.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{
			CreateMessageInput: client.CreateMessageInput{
				ConversationID: conversation.Conversation.ID, UserID: user.User.ID, Type: "text",
				Payload: json.RawMessage(`{"text":"hi"}`), Tags: client.Tags{"ts": "1"},
			},
		}))
		if !user.Meta.Created || !conversation.Meta.Created || !message.Meta.Created {
			t.Error("an attempt did not make what it makes")
		}
		return ids{user.User.ID, conversation.Conversation.ID, message.Message.ID}
	}
	first := attempt()
	c := as(s, slack)
	must[*client.UserOutput](t)(c.UpdateUser(ctx, client.UpdateUserInput{ID: first.User, Tags: client.Tags{"id": "U2"}}))
	must[*client.ConversationOutput](t)(c.UpdateConversation(ctx, client.UpdateConversationInput{ID: first.Conversation, Tags: client.Tags{"id": "C2"}}))
	must[*client.MessageOutput](t)(c.UpdateMessage(ctx, client.UpdateMessageInput{ID: first.Message, Tags: client.Tags{"ts": "2"}}))
	if diff := cmp.Diff(first, attempt()); diff != "" {
		t.Errorf("the second attempt (-first +second):\n%s", diff)
	}
}

func TestAnEntityIsOutOfReachOfOthers(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	conversation, user := talk(t, s)
	for _, caller := range []client.Caller{other, {BotID: "stranger"}} {
		if _, err := as(s, caller).GetConversation(t.Context(), conversation); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%v reads a conversation: %v", caller, err)
		}
		if _, err := as(s, caller).GetUser(t.Context(), user); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%v reads a user: %v", caller, err)
		}
	}
	gone := client.Caller{BotID: demo, Alias: "removed"}
	if _, err := as(s, gone).GetUser(t.Context(), user); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("an integration that is not installed: %v", err)
	}
}

func TestABotMakesEntitiesOfItsInstallations(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	ctx, c := t.Context(), as(s, bot)
	conversation := must[*client.ConversationOutput](t)(c.CreateConversation(ctx, client.CreateConversationInput{
		Channel: "dm", IntegrationName: "slack", Tags: client.Tags{"slack:id": "D1"},
	})).Conversation
	if conversation.Integration != "slack" || conversation.Channel != "dm" {
		t.Errorf("conversation %+v", conversation)
	}
	// The integration finds what the bot made by the same tags.
	found := must[*client.GetOrCreateConversationOutput](t)(as(s, slack).GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: "dm", Tags: client.Tags{"id": "D1"},
	}))
	if found.Conversation.ID != conversation.ID || found.Meta.Created || found.Conversation.Tags["id"] != "D1" {
		t.Errorf("the integration gets %+v", found)
	}
	if again := must[*client.ConversationOutput](t)(c.CreateConversation(ctx, client.CreateConversationInput{
		Channel: "dm", IntegrationName: "slack", Tags: client.Tags{"slack:id": "D1"},
	})); again.Conversation.ID == conversation.ID {
		t.Error("createConversation did not make another one")
	}
	must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
		Tags: client.Tags{"crm": "1"}, Name: "Ada", Properties: map[string]string{"a": "1"},
	}))
	user := must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
		Tags: client.Tags{"crm": "1"}, PictureURL: "https://x.org/a.png", Properties: map[string]string{"b": "2"},
	})).User
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, user.Properties); diff != "" || user.Name != "Ada" || user.PictureURL == "" {
		t.Errorf("merged user %+v (-want +got):\n%s", user, diff)
	}
	if own := must[*client.UserOutput](t)(c.GetUser(ctx, demo)).User; own.ID == "" || own.ID == demo {
		t.Errorf("the bot's own user %+v", own)
	}
	for name, test := range map[string]struct {
		in   client.CreateConversationInput
		want client.ErrorType
	}{
		"no installation named": {client.CreateConversationInput{Channel: "dm"}, client.InvalidPayload},
		"unknown installation":  {client.CreateConversationInput{Channel: "dm", IntegrationName: "x"}, client.ReferenceNotFound},
		"no channel":            {client.CreateConversationInput{IntegrationName: "slack"}, client.InvalidPayload},
		"nameless tag":          {client.CreateConversationInput{Channel: "dm", IntegrationName: "slack", Tags: client.Tags{"": "x"}}, client.InvalidPayload},
	} {
		if _, err := c.CreateConversation(ctx, test.in); client.AsError(err).Type != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An entity whose tags were changed is no longer found by the old ones.
func TestAnIndexThatIsOutdatedLeadsToANewEntity(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	get := func(tags client.Tags, by ...string) *client.GetOrCreateUserOutput {
		t.Helper()
		return must[*client.GetOrCreateUserOutput](t)(as(s, slack).GetOrCreateUser(t.Context(), client.GetOrCreateUserInput{Tags: tags, DiscriminateByTags: by}))
	}
	first := get(client.Tags{"id": "U1", "team": "T1"}, "id")
	get(client.Tags{"id": "U1", "team": "T2"}, "id")
	second := get(client.Tags{"id": "U1", "team": "T1"})
	third := get(client.Tags{"id": "U1", "team": "T1"})
	if second.User.ID == first.User.ID || !second.Meta.Created || third.User.ID != second.User.ID || third.Meta.Created {
		t.Errorf("first %+v, second %+v, third %+v", first, second, third)
	}
}

// A crash between a record and its index leaves an entity that tags do not lead
// to. The delivery comes again, and from then on they do.
func TestACrashBetweenRecordAndIndexIsRepairedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	conversation, user := talk(t, s)
	sent := queued(t, b, s)
	tagged := func(tags client.Tags) client.CreateMessageInput {
		in := text(conversation, user, "hello")
		in.Tags = tags
		return in
	}
	for name, test := range map[string]struct {
		bucket  broker.BucketName
		attempt func(c *client.Client) (id string, err error)
		find    func(c *client.Client) (id string, err error)
	}{
		"createUser": {broker.Users, func(c *client.Client) (string, error) {
			out, err := c.CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"x": "1", "y": "1"}})
			return out.User.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"x": "1"}})
			return out.User.ID, err
		}},
		"updateUser": {broker.Users, func(c *client.Client) (string, error) {
			out, err := c.UpdateUser(ctx, client.UpdateUserInput{ID: user, Tags: client.Tags{"mail": "a@x.org"}})
			return out.User.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"mail": "a@x.org"}})
			return out.User.ID, err
		}},
		"getOrCreateUser": {broker.Users, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"z": "1", "nick": "a"}, DiscriminateByTags: []string{"z"}})
			return out.User.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"nick": "a"}})
			return out.User.ID, err
		}},
		"updateConversation": {broker.Conversations, func(c *client.Client) (string, error) {
			out, err := c.UpdateConversation(ctx, client.UpdateConversationInput{ID: conversation, Tags: client.Tags{"title": "a"}})
			return out.Conversation.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{Channel: "channel", Tags: client.Tags{"title": "a"}})
			return out.Conversation.ID, err
		}},
		"createMessage": {broker.Messages, func(c *client.Client) (string, error) {
			out, err := c.CreateMessage(ctx, tagged(client.Tags{"ts": "8"}))
			return out.Message.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{CreateMessageInput: tagged(client.Tags{"ts": "8"})})
			return out.Message.ID, err
		}},
		"updateMessage": {broker.Messages, func(c *client.Client) (string, error) {
			out, err := c.UpdateMessage(ctx, client.UpdateMessageInput{ID: sent.ID, Tags: client.Tags{"ts": "9"}})
			return out.Message.ID, err
		}, func(c *client.Client) (string, error) {
			out, err := c.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{CreateMessageInput: tagged(client.Tags{"ts": "9"})})
			return out.Message.ID, err
		}},
	} {
		of := "dlv_" + name
		first := must[string](t)(test.attempt(as(s, slack, of)))
		before := keysOf(t, b, test.bucket, "demo.index.*")
		if len(before) == 0 {
			t.Fatalf("%s: nothing leads to it", name)
		}
		forget(t, b, test.bucket, before...)
		if again := must[string](t)(test.attempt(as(s, slack, of))); again != first {
			t.Errorf("%s: the second attempt gets %s, the first %s", name, again, first)
		}
		if found := must[string](t)(test.find(as(s, slack))); found != first {
			t.Errorf("%s: found %s, want %s", name, found, first)
		}
	}
}
