// Package generic receives the webhooks of any sender that signs them with an
// HMAC, or sends a secret along: a configuration says how, and where the event's
// name, its id and what it is about are found.
//
// It asks nothing of the sender's API, and there is nobody to talk to.
package generic

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation is configured with. How requests are verified
// is one of Signature, SharedSecret and Platform.
type Config struct {
	// Secret is what the sender signs with or sends along, and while it is being
	// rotated the one before, too.
	Secret handlers.Secrets `json:"secret"`
	// Signature describes how requests are signed. The signed time, where there
	// is one, may be five minutes off unless it says otherwise.
	Signature signature.Spec `json:"signature,omitzero"`
	// SharedSecret says where the secret itself is sent along.
	SharedSecret SharedSecret `json:"sharedSecret,omitzero"`
	// Platform names a scheme that is known, such as "zendesk".
	Platform string `json:"platform,omitempty"`
	// URL is the public URL as the sender calls it, for schemes that sign it.
	URL string `json:"url,omitempty"`

	// Event is where the type of what happened is found; without it, events have
	// none.
	Event open.Source `json:"event,omitzero"`
	// ID is where the delivery's id is found, which tells a delivery from its
	// retries; without it, a hash of the body does.
	ID open.Source `json:"id,omitzero"`
	// Key is where that is found which an event is about: events with the same
	// one stay in order; without it, all run in parallel.
	Key open.Source `json:"key,omitzero"`
	// Handshake is how the sender asks whether this is a place for its webhooks;
	// without it, it does not ask.
	Handshake Handshake `json:"handshake,omitzero"`
}

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is any sender.
var Integration = handlers.Integration[Config]{
	Name: "generic", Version: "1.0.0", Title: "Generic webhooks",
	Description: "Hear of whatever is sent with an HMAC or a shared secret, as a configuration describes it.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{open.EventReceived},
	Wire: handlers.Wire{
		Scheme:    "as configured: HMAC or ed25519, as data or a platform's; a secret in a header or the query",
		Tolerance: "as configured; " + signature.Window(signature.StandardWebhooks{}) + " where a time is signed",
		Handshake: "as configured: a field is given back", DedupID: "the field or header that is configured, else the body's hash",
		OrderingKey: "the field or header that is configured",
	},
	Verify:    verify,
	Stored:    stored,
	Handshake: challenge,
	Split:     split,
	Handler:   handle,
	Register:  register,
	Samples:   samples,
}

func split(r *events.Request, c Config) ([]handlers.Part, error) {
	body, err := open.Read(r)
	if err != nil {
		return nil, err
	}
	part := handlers.Part{ID: c.ID.Of(r.Header, body), Key: c.Key.Of(r.Header, body)}
	if part.ID == "" && c.ID != (open.Source{}) {
		return nil, fmt.Errorf("%s is missing: the configuration says that it tells a delivery from its retries", c.ID)
	}
	return []handlers.Part{part}, nil
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	body, err := open.Read(p.Req)
	if err != nil {
		return nil, handlers.Permanent(fmt.Errorf("read the event: %w", err))
	}
	c := p.Ctx.Configuration
	return nil, open.Fire(ctx, p.Client, c.ID.Of(p.Req.Header, body), c.Event.Of(p.Req.Header, body), body)
}

// register says what to do by hand: every sender has an API of its own.
func register(_ context.Context, p handlers.RegisterProps[Config]) error {
	p.Logger.ForBot().Info("add " + p.WebhookURL + " as a webhook in the sender's settings, with the secret that is configured")
	return nil
}
