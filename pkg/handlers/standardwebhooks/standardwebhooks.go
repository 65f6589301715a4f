// Package standardwebhooks tells bots what any sender of Standard Webhooks
// sends: Svix and all who send through it, Clerk, Resend, OpenAI and many more.
//
// It asks nothing of the sender's API. The endpoint is added in the sender's
// settings, which choose the types that are sent.
package standardwebhooks

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation is configured with.
type Config struct {
	// Secret is the endpoint's: "whsec_…" (v1), or the sender's public key,
	// "whpk_…" (v1a). While it is being rotated, list both.
	Secret handlers.Secrets `json:"secret"`
	// Event leads to the type of what happened; "type" when left out, as the
	// specification recommends.
	Event open.Path `json:"event,omitempty"`
	// Key leads to what an event is about, such as "data.id": events with the
	// same one stay in order. Left out, all run in parallel.
	Key open.Path `json:"key,omitempty"`
}

// scheme tolerates five minutes both ways.
var scheme = signature.StandardWebhooks{}

// UnmarshalJSON refuses secrets that could verify nothing.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config
	if err := json.Unmarshal(data, (*plain)(c)); err != nil {
		return err
	}
	if _, err := scheme.Verifier(c.Secret.Reveal()...); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if c.Event == "" {
		c.Event = "type"
	}
	return nil
}

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is whoever sends Standard Webhooks.
var Integration = handlers.Integration[Config]{
	Name: "standard-webhooks", Version: "1.0.0", Title: "Standard Webhooks",
	Description: "Hear of whatever is sent as Standard Webhooks, such as by Svix and all who use it.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{open.EventReceived},
	Wire: handlers.Wire{
		Scheme: signature.Describe(scheme), Tolerance: signature.Window(scheme),
		DedupID: "`webhook-id`", OrderingKey: "the field that is configured", Deadline: 15 * time.Second,
	},
	Verify:   verify,
	Split:    split,
	Handler:  handle,
	Register: register,
	Samples:  samples,
}

// verify refuses ids under both names too: only the one that goes with the
// signature is signed, and the other could make a copy look like a new delivery.
func verify(r *events.Request, configuration Config, now time.Time) error {
	if r.Header.Get("Webhook-Id") != "" && r.Header.Get("Svix-Id") != "" {
		return errors.New("the request has both a webhook-id and a svix-id: one of them is not signed")
	}
	return signature.Verify(scheme, configuration.Secret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// id is that of the message, which is signed, and the same in each retry. Svix
// calls its header by its own name.
func id(h http.Header) string {
	return cmp.Or(open.Source{Header: "Webhook-Id"}.Of(h, open.Content{}), open.Source{Header: "Svix-Id"}.Of(h, open.Content{}))
}

func split(r *events.Request, configuration Config) ([]handlers.Part, error) {
	if id(r.Header) == "" {
		return nil, errors.New("header webhook-id is missing: a delivery cannot be told from its retries")
	}
	body, err := open.Read(r)
	if err != nil {
		return nil, err
	}
	return []handlers.Part{{ID: id(r.Header), Key: configuration.Key.In(body)}}, nil
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	body, err := open.Read(p.Req)
	if err != nil {
		return nil, handlers.Permanent(fmt.Errorf("read the event: %w", err))
	}
	return nil, open.Fire(ctx, p.Client, id(p.Req.Header), p.Ctx.Configuration.Event.In(body), body)
}

// register says what to do by hand: every sender has an API of its own.
func register(_ context.Context, p handlers.RegisterProps[Config]) error {
	p.Logger.ForBot().Info("add " + p.WebhookURL + " as an endpoint in the sender's settings, and configure the secret that is shown there")
	return nil
}
