// want: p.Payload.Words undefined

// Package program is compiled by a test.
package program

import (
	"context"

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

var happened = events.Define[out]("happened")

var _ = handlers.Integration[config]{
	Name: "acme", Version: "1.0.0", Unverified: true,
	Actions:  handlers.Actions[config]{"add": handlers.NewAction(handlers.ActionInfo{}, add)},
	Channels: handlers.Channels[config]{"room": {Messages: handlers.Messages[config]{"text": handlers.NewMessage(say)}}},
	Handler:  handle,
}

func add(_ context.Context, p handlers.ActionProps[config, in]) (out, error) {
	return out{Sum: p.Input.A}, nil
}

func say(_ context.Context, p handlers.MessageProps[config, events.Text]) error {
	p.Logger.Info(p.Payload.Words)
	return nil
}

func handle(ctx context.Context, p handlers.WebhookProps[config]) (*events.Response, error) {
	return nil, happened.Fire(ctx, p.Client, out{Sum: 1})
}
