package handlers_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type config struct {
	Token handlers.Secret  `json:"token"`
	Keys  handlers.Secrets `json:"keys,omitempty"`
	Limit int64            `json:"limit,omitempty"`
	Place place            `json:"place,omitzero"`
}

type place struct {
	Room string `json:"room,omitempty"`
}

type adding struct {
	A    int64  `json:"a"`
	B    int64  `json:"b"`
	Note string `json:"note,omitempty"`
}

type sum struct {
	Sum int64 `json:"sum"`
}

var added = events.Define[sum]("added")

// acme is an integration with one of everything.
func acme() handlers.Integration[config] {
	return handlers.Integration[config]{
		Name: "acme", Version: "1.0.0", Unverified: true,
		Events: []events.Declared{added},
		Actions: handlers.Actions[config]{"add": handlers.NewAction(handlers.ActionInfo{Billable: true},
			func(_ context.Context, p handlers.ActionProps[config, adding]) (sum, error) {
				p.Metadata.SetCost(5)
				p.Metadata.SetCost(2)
				return sum{p.Input.A + p.Input.B}, nil
			})},
		Channels: handlers.Channels[config]{"room": {Messages: handlers.Messages[config]{
			"text": handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[config, events.Text]) error {
				return p.Ack(ctx, client.Tags{"said": p.Payload.Text})
			}),
		}}},
	}
}

func configured(tb testing.TB) handlers.Installed {
	tb.Helper()
	installed, err := acme().Configure(json.RawMessage(`{"token":"t"}`))
	if err != nil {
		tb.Fatal(err)
	}
	return installed
}

// backend takes everything and remembers the last input.
type backend struct{ last any }

func (b *backend) Do(_ context.Context, _ client.Call, in, _ any) error {
	b.last = in
	return nil
}

// wantError holds an error to parts that it must have and parts that it must
// not.
func wantError(t *testing.T, err error, with, without []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range with {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	for _, part := range without {
		if strings.Contains(err.Error(), part) {
			t.Errorf("%q says %q", err, part)
		}
	}
}

func TestConfigureNamesTheFieldAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ raw, field string }{
		"a missing field":            {`{"limit":1}`, "token"},
		"nothing":                    {``, "token"},
		"an unknown field":           {`{"token":"hush","surprise":1}`, "surprise"},
		"an unknown field within":    {`{"token":"hush","place":{"floor":1}}`, "place"},
		"a field in another case":    {`{"token":"hush","Token":"hush"}`, "Token"},
		"a wrong type":               {`{"token":"hush","limit":"many"}`, "limit"},
		"a fraction":                 {`{"token":"hush","limit":1.5}`, "limit"},
		"a number that is too large": {`{"token":"hush","limit":9223372036854775808}`, "limit"},
		"an empty secret":            {`{"token":""}`, "token"},
		"a null secret":              {`{"token":null}`, "token"},
		"a list for one secret":      {`{"token":["hush"]}`, "token"},
		"an object for a secret":     {`{"token":{"value":"hush"}}`, "token"},
		"a number for a secret":      {`{"token":12345678}`, "token"},
		"an empty secret in a list":  {`{"token":"hush","keys":["hush","hush",""]}`, "keys"},
		"an empty list of secrets":   {`{"token":"hush","keys":[]}`, "keys"},
		"a list of lists":            {`{"token":"hush","keys":[["hush"]]}`, "keys"},
		"a list":                     {`["hush"]`, "object"},
		"a string":                   {`"hush"`, "object"},
		"no JSON":                    {`{"token":"hush"`, "object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := acme().Configure(json.RawMessage(tc.raw))
			wantError(t, err, []string{"configuration of acme", tc.field}, []string{"hush", "1234", "1.2345"})
		})
	}
}

func TestConfigureTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"token":"t"}`, `{"token":"t","keys":"k"}`, `{"token":"t","keys":["k","l"]}`,
		`{"token":"t","limit":9007199254740993,"place":{"room":"r"}}`,
	} {
		if _, err := acme().Configure(json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestActionChecksItsInput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ input, field string }{
		"an unknown field": {`{"a":1,"b":2,"c":3}`, "c"},
		"a missing field":  {`{"a":1}`, "b"},
		"a wrong type":     {`{"a":1,"b":"2"}`, "b"},
		"a fraction":       {`{"a":1,"b":2.5}`, "b"},
		"no object":        {`[1,2]`, "object"},
		"null":             {`null`, "object"},
		"nothing":          {``, "a"},
		"no JSON":          {`{`, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configured(t).Action(t.Context(), handlers.Base{}, "add", json.RawMessage(tc.input))
			wantError(t, err, []string{"invalid input", tc.field}, nil)
			if verdict := handlers.Judge(err); verdict.Decision != handlers.GiveUp || !strings.Contains(verdict.Message, tc.field) {
				t.Errorf("judged %+v", verdict)
			}
		})
	}
}

func TestActionAddsUpExactly(t *testing.T) {
	t.Parallel()
	result, err := configured(t).Action(t.Context(), handlers.Base{}, "add", json.RawMessage(`{"a":9007199254740992,"b":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(result.Output) != `{"sum":9007199254740993}` || result.Cost != 2 {
		t.Errorf("result is %s, cost %v", result.Output, result.Cost)
	}
}

func TestUnknownMembersAreNamed(t *testing.T) {
	t.Parallel()
	i := configured(t)
	_, err := i.Action(t.Context(), handlers.Base{}, "multiply", nil)
	wantError(t, err, []string{`no action "multiply"`}, nil)
	outgoing := handlers.Outgoing{Message: client.Message{Type: "text"}, Conversation: client.Conversation{Channel: "street"}}
	wantError(t, i.Message(t.Context(), handlers.Base{}, outgoing), []string{`no channel "street"`}, nil)
	outgoing = handlers.Outgoing{Message: client.Message{Type: "dance"}, Conversation: client.Conversation{Channel: "room"}}
	wantError(t, i.Message(t.Context(), handlers.Base{}, outgoing), []string{`"dance"`, "room"}, nil)
	_, err = i.Sample("surprise", handlers.SampleArgs{})
	wantError(t, err, []string{`no sample "surprise"`, "none"}, nil)
}

func TestMessageIsHeldToItsPayload(t *testing.T) {
	t.Parallel()
	for payload, ok := range map[string]bool{`{"text":"a"}`: true, `{"text":"a","newer":1}`: true, `{}`: false, `{"text":1}`: false, `[]`: false} {
		b := &backend{}
		base := handlers.Base{Client: client.New(b, client.Caller{})}
		err := configured(t).Message(t.Context(), base, handlers.Outgoing{
			Conversation: client.Conversation{Channel: "room"},
			Message:      client.Message{ID: "msg_1", Type: "text", Payload: json.RawMessage(payload)},
		})
		if (err == nil) != ok {
			t.Errorf("%s: %v", payload, err)
		}
		if ack, acked := b.last.(*client.UpdateMessageInput); acked != ok || ok && (ack.ID != "msg_1" || ack.Tags["said"] != "a") {
			t.Errorf("%s: asked for %+v", payload, b.last)
		}
	}
}
