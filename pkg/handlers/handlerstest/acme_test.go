package handlerstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// acme is a whole integration, as somebody outside this repository writes one.
var acme = handlers.Integration[acmeConfig]{
	Name: "acme", Version: "1.0.0", Title: "Acme", Description: "Talk in Acme's rooms.",
	Events: []events.Declared{renamed},
	Actions: handlers.Actions[acmeConfig]{
		"rename": handlers.NewAction(handlers.ActionInfo{Title: "Rename a room", Billable: true}, renameRoom),
	},
	Channels: handlers.Channels[acmeConfig]{"room": {
		ConversationTags: []string{"room"}, MessageTags: []string{"id"},
		Messages: handlers.Messages[acmeConfig]{"text": handlers.NewMessage(sendText)},
	}},
	States: []client.DeclaredState{hook},
	Verify: func(r *events.Request, c acmeConfig, now time.Time) error {
		return signature.Verify(acmeSigns, c.Secret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
	},
	Handshake: func(r *events.Request, _ acmeConfig) (*events.Response, bool) {
		return &events.Response{Body: r.Body}, string(r.Body) == "hello?"
	},
	Split:   split,
	Handler: handle,
	Answers: &handlers.Answers{Awaited: func(r *events.Request) bool { return r.Path == "/ask" }, Within: time.Second},
	Register: func(ctx context.Context, p handlers.RegisterProps[acmeConfig]) error {
		p.Logger.ForBot().Info("registered at " + p.WebhookURL)
		return hook.Set(ctx, p.Client, acmeHook{p.WebhookURL})
	},
	Unregister: func(ctx context.Context, p handlers.RegisterProps[acmeConfig]) error {
		return hook.Delete(ctx, p.Client)
	},
	Samples: handlers.Samples[acmeConfig]{
		"said": {Title: "somebody says something", Build: func(a handlers.SampleArgs, c acmeConfig) (*events.Request, error) {
			return signed(c, a.Now, happening{ID: a.ID, Room: a.Conversation, User: a.User, Text: a.Text})
		}},
	},
	Fake: newFake,
}

type acmeConfig struct {
	Token  handlers.Secret  `json:"token"`
	Secret handlers.Secrets `json:"secret"`
	APIURL string           `json:"apiUrl,omitempty"`
}

type acmeHook struct {
	URL string `json:"url"`
}

type rename struct {
	Room string `json:"room"`
	Name string `json:"name"`
}

type happening struct {
	ID   string `json:"id"`
	Room string `json:"room"`
	User string `json:"user,omitempty"`
	Text string `json:"text,omitempty"`
	Name string `json:"name,omitempty"`
}

var (
	renamed   = events.Define[rename]("renamed")
	hook      = client.DefineState[acmeHook]("hook")
	acmeSigns = signature.Slack
)

func signed(c acmeConfig, now time.Time, all ...happening) (*events.Request, error) {
	body, err := json.Marshal(all)
	message := signature.Message{Header: http.Header{"Authorization": {"Bearer " + c.Token.Reveal()}}, Body: body}
	if err == nil {
		err = acmeSigns.Sign(&message, c.Secret[0].Reveal(), now)
	}
	return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: body}, err
}

func split(r *events.Request, _ acmeConfig) ([]handlers.Part, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(r.Body, &all); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	parts := make([]handlers.Part, len(all))
	for i, raw := range all {
		var one happening
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("decode happening: %w", err)
		}
		parts[i] = handlers.Part{ID: one.ID, Key: one.Room, Body: raw}
	}
	return parts, nil
}

func handle(ctx context.Context, p handlers.WebhookProps[acmeConfig]) (*events.Response, error) {
	var one happening
	if err := json.Unmarshal(p.Req.Body, &one); err != nil {
		return nil, handlers.Permanent(err)
	}
	switch {
	case one.Text == "panic":
		panic("told to")
	case one.Text == "leak":
		p.Logger.Info("the token is " + p.Ctx.Configuration.Token.Reveal())
	case p.Req.Header.Get("Authorization") != "":
		return nil, fmt.Errorf("a secret header was stored")
	case one.Name != "":
		return nil, renamed.Fire(ctx, p.Client, rename{one.Room, one.Name})
	}
	room, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{Channel: "room", Tags: client.Tags{"room": one.Room}})
	if err != nil {
		return nil, err
	}
	user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": one.User}})
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(events.Text{Text: one.Text})
	if err != nil {
		return nil, err
	}
	_, err = p.Client.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: room.Conversation.ID, UserID: user.User.ID, Type: "text", Payload: payload, Tags: client.Tags{"id": one.ID},
	})
	return &events.Response{Status: http.StatusAccepted}, err
}

func api(p handlers.Props[acmeConfig]) rest.API {
	return rest.API{
		Name: "Acme", HTTP: p.HTTP, Base: p.Ctx.Configuration.APIURL,
		Header: http.Header{"Authorization": {"Bearer " + p.Ctx.Configuration.Token.Reveal()}},
	}
}

func sendText(ctx context.Context, p handlers.MessageProps[acmeConfig, events.Text]) error {
	var sent happening
	err := api(p.Props).Do(ctx, http.MethodPost, "messages", happening{Room: p.Conversation.Tags["room"], Text: p.Payload.Text}, &sent)
	if err != nil {
		return err
	}
	return p.Ack(ctx, client.Tags{"id": sent.ID})
}

func renameRoom(ctx context.Context, p handlers.ActionProps[acmeConfig, rename]) (rename, error) {
	p.Metadata.SetCost(2)
	return p.Input, api(p.Props).Do(ctx, http.MethodPut, "rooms/"+p.Input.Room, p.Input, nil)
}

// newFake takes whatever carries a token.
func newFake() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"id":"m-1"}`)
	})
}
