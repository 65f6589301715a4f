// want: cannot use register

// Package program is compiled by a test.
package program

import (
	"context"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type config struct {
	Token handlers.Secret `json:"token"`
}

type other struct {
	Key handlers.Secret `json:"key"`
}

type in struct {
	A int `json:"a"`
}

type out struct {
	Sum int `json:"sum"`
}

var (
	happened = events.Define[out]("happened")
	total    = client.DefineState[out]("total")
	seen     = client.DefineUserState[out]("seen")
)

var _ = handlers.Integration[config]{
	Name: "acme", Version: "1.0.0",
	Actions: handlers.Actions[config]{"add": handlers.NewAction(handlers.ActionInfo{}, add)},
	Channels: handlers.Channels[config]{"room": {
		Messages: handlers.Messages[config]{"text": handlers.NewMessage(say)},
		Updated:  handlers.Updates[config]{Message: updated},
	}},
	Events:   []events.Declared{happened},
	States:   []client.DeclaredState{total, seen},
	Verify:   verify,
	Handler:  handle,
	Register: register,
}

func add(_ context.Context, p handlers.ActionProps[config, in]) (out, error) {
	return out{Sum: p.Input.A}, nil
}

func say(_ context.Context, p handlers.MessageProps[config, events.Text]) error {
	p.Logger.Info(p.Payload.Text)
	return nil
}

func updated(_ context.Context, p handlers.MessageUpdatedProps[config]) error {
	p.Logger.Info(p.Current.ID)
	return nil
}

func verify(_ *events.Request, _ config, _ time.Time) error { return nil }

func register(ctx context.Context, p handlers.RegisterProps[other]) error {
	if err := seen.Set(ctx, p.Client, p.Ctx.BotUserID, out{Sum: 1}); err != nil {
		return err
	}
	return total.Set(ctx, p.Client, out{Sum: 1})
}

func handle(ctx context.Context, p handlers.WebhookProps[config]) (*events.Response, error) {
	if err := happened.Fire(ctx, p.Client, out{Sum: 1}); err != nil {
		return nil, err
	}
	return nil, happened.FireFor(ctx, p.Client, events.Refs{UserID: "user"}, out{Sum: 2})
}
