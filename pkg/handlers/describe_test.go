package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func pingSeeing(seen *string) func(context.Context, handlers.Props[config]) error {
	return func(_ context.Context, p handlers.Props[config]) error {
		*seen = fmt.Sprintf("%s with %d keys and token %q", p.Ctx.ConfigurationType,
			len(p.Ctx.Configuration.Keys), p.Ctx.Configuration.Token.Reveal())
		return nil
	}
}

// many makes n names that are fit for members.
func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("name%d", i)
	}
	return names
}

func say(context.Context, handlers.MessageProps[config, events.Text]) error { return nil }

// full is an integration with n of everything that is counted, and its own
// limits per kind.
func full(all, messages, channels, secrets, tags int) handlers.Integration[config] {
	i := acme()
	i.Events, i.Channels, i.Secrets = nil, handlers.Channels[config]{}, map[string]handlers.SecretInfo{}
	for _, name := range many(all) {
		i.Events = append(i.Events, events.Define[sum](name))
		i.States = append(i.States, client.DefineState[sum](name))
	}
	for n, name := range many(channels) {
		channel := handlers.Channel[config]{Messages: handlers.Messages[config]{}}
		if n == 0 {
			channel.ConversationTags, channel.MessageTags = many(tags), many(tags)
			for _, typ := range many(messages) {
				channel.Messages[typ] = handlers.NewMessage(say)
			}
		}
		i.Channels[name] = channel
	}
	for n := range secrets {
		i.Secrets[fmt.Sprintf("SECRET_%d", n)] = handlers.SecretInfo{}
	}
	i.UserTags = many(tags)
	return i
}

func TestLimitsAreTakenInFull(t *testing.T) {
	t.Parallel()
	if _, err := full(20, 20, 10, 25, 50).Definition(); err != nil {
		t.Error(err)
	}
}

func TestLimitsAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := full(21, 22, 11, 26, 51).Definition()
	wantError(t, err, []string{
		"21 events, at most 20", "21 states, at most 20", "22 message types of channel name0, at most 20",
		"11 channels, at most 10", "26 secrets, at most 25", "51 user tags, at most 50",
		"51 conversation tags of channel name0, at most 50", "51 message tags of channel name0, at most 50",
	}, nil)
}

func TestDefinitionNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	type integration = handlers.Integration[config]
	for name, tc := range map[string]struct {
		spoil func(*integration)
		want  []string
	}{
		"a name with a percent sign": {func(i *integration) {
			i.Name = "100%done"
		}, []string{`100%done: integration name "100%done"`}},
		"a state's name": {func(i *integration) {
			i.States = []client.DeclaredState{client.DefineUserState[sum]("Total-Sum")}
		}, []string{`state "Total-Sum"`, "camelCase"}},
		"a state that is there twice": {func(i *integration) {
			i.States = []client.DeclaredState{client.DefineState[sum]("total"), client.DefineUserState[sum]("total")}
		}, []string{"state total is declared twice"}},
		"secrets' names": {func(i *integration) {
			i.Secrets = map[string]handlers.SecretInfo{"clientSecret": {}, "CLIENT-ID": {}, "9_LIVES": {}, "CLIENT_ID_2": {}}
		}, []string{`secret "clientSecret"`, `secret "CLIENT-ID"`, `secret "9_LIVES"`, "SCREAMING_SNAKE"}},
		"an identifier without Extract": {func(i *integration) {
			i.Identifier = &handlers.Identifier{}
		}, []string{"identifier: Extract is missing"}},
		"answers without Within": {func(i *integration) {
			i.Answers = &handlers.Answers{Awaited: func(*events.Request) bool { return true }}
		}, []string{"answers: Awaited and Within are required"}},
		"answers in no time": {func(i *integration) {
			i.Answers = &handlers.Answers{Awaited: func(*events.Request) bool { return true }, Within: -time.Second}
		}, []string{"answers: Awaited and Within are required"}},
		"answers without Awaited": {func(i *integration) {
			i.Answers = &handlers.Answers{Within: time.Second}
		}, []string{"answers: Awaited and Within are required"}},
		"a configuration's name": {func(i *integration) {
			i.Configurations = map[string]handlers.Configuration{"O Auth": {}}
		}, []string{`configuration "O Auth"`, "camelCase"}},
		"fields that the type has not": {func(i *integration) {
			i.Configurations = map[string]handlers.Configuration{
				"one": {Fields: []string{"tokens"}}, "two": {Required: []string{"kees"}},
			}
		}, []string{`configuration one: field "tokens"`, `configuration two: field "kees"`, "none of that name"}},
		"a required field beside the fields": {func(i *integration) {
			i.Configurations = map[string]handlers.Configuration{"keys": {Fields: []string{"keys"}, Required: []string{"token"}}}
		}, []string{`field "token" is required but not among the fields`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := acme()
			tc.spoil(&i)
			_, err := i.Definition()
			wantError(t, err, tc.want, []string{"CLIENT_ID_2"})
		})
	}
}

func TestDefinitionTellsEverything(t *testing.T) {
	t.Parallel()
	i := acme()
	i.Title, i.Description, i.Icon, i.Readme = "Acme", "All of it.", "<svg/>", "# Acme"
	i.States = []client.DeclaredState{
		client.DefineState[sum]("whole"), client.DefineConversationState[sum]("talk"), client.DefineUserState[sum]("person"),
	}
	i.UserTags = []string{"acmeId"}
	i.Channels["hall"] = handlers.Channel[config]{Title: "Hall", ConversationTags: []string{"hallId"}, MessageTags: []string{"noteId"}}
	i.Secrets = map[string]handlers.SecretInfo{"CLIENT_ID": {Description: "Of the OAuth application.", Optional: true}}
	i.Identifier = &handlers.Identifier{Extract: func(*events.Request, handlers.SecretLookup) (string, error) { return "", nil }}
	i.Answers = &handlers.Answers{Awaited: func(*events.Request) bool { return true }, Within: 3 * time.Second}
	got, err := i.Definition()
	if err != nil {
		t.Fatal(err)
	}
	schema := json.RawMessage(`{"type":"object","properties":{"sum":{"type":"integer"}},"required":["sum"]}`)
	want := got // the members that other tests look at
	want.Channels = map[string]handlers.ChannelDefinition{
		"room": got.Channels["room"],
		"hall": {
			Title: "Hall", ConversationTags: []string{"hallId"}, MessageTags: []string{"noteId"},
			Messages: map[string]json.RawMessage{},
		},
	}
	want.Name, want.Version = "acme", "1.0.0"
	want.Title, want.Description, want.Icon, want.Readme = "Acme", "All of it.", "<svg/>", "# Acme"
	want.States = map[string]handlers.StateDefinition{
		"whole":  {Type: client.IntegrationState, Schema: schema},
		"talk":   {Type: client.ConversationState, Schema: schema},
		"person": {Type: client.UserState, Schema: schema},
	}
	want.UserTags = []string{"acmeId"}
	want.Secrets = map[string]handlers.SecretInfo{"CLIENT_ID": {Description: "Of the OAuth application.", Optional: true}}
	want.GlobalWebhook, want.AnswersWithin = true, 3000
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definition (-want +got):\n%s", diff)
	}
	if i.Routes() != i.Identifier || acme().Routes() != nil {
		t.Error("the routes are not the identifier")
	}
}

func TestWireTellsOfAHandshakeIfThereIsOne(t *testing.T) {
	t.Parallel()
	handshake := func(*events.Request, struct{}) (*events.Response, bool) { return nil, false }
	for name, tc := range map[string]struct {
		handshake func(*events.Request, struct{}) (*events.Response, bool)
		wire      handlers.Wire
		ok        bool
	}{
		"neither":                {nil, handlers.Wire{Scheme: "a"}, true},
		"both":                   {handshake, handlers.Wire{Scheme: "a", Handshake: "b"}, true},
		"one that is not told":   {handshake, handlers.Wire{Scheme: "a"}, false},
		"one that there is none": {nil, handlers.Wire{Scheme: "a", Handshake: "b"}, false},
		"nothing is told at all": {handshake, handlers.Wire{}, true},
	} {
		definition, err := handlers.Integration[struct{}]{
			Name: "acme", Version: "1.0.0", Unverified: true, Handshake: tc.handshake, Wire: tc.wire,
		}.Definition()
		if (err == nil) != tc.ok || definition.Wire != tc.wire {
			t.Errorf("%s: %v, %+v", name, err, definition.Wire)
		}
	}
}
