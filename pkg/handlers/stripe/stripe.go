// Package stripe tells bots what happens in a Stripe account: every type of
// event as one event of the bot's, with the type and Stripe's own data in it.
//
// It asks nothing of Stripe's API. The endpoint is added in Stripe's settings,
// which choose the types that are sent.
package stripe

import (
	_ "embed"
	"encoding/json"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of Stripe is configured with.
type Config struct {
	// SigningSecret is the endpoint's, "whsec_…". Stripe can sign with two for a
	// day while it is being rolled; so can this list.
	SigningSecret handlers.Secrets `json:"signingSecret"`
}

// EventReceived tells of any event of Stripe's. There is one for all of them: a
// bot is told of none but declared ones, and Stripe has hundreds, more each
// month.
var EventReceived = events.Define[Event]("eventReceived")

// Event is an event of Stripe's. Data is as Stripe sent it, digit by digit.
type Event struct {
	ID       string `json:"id"`       // "evt_…"
	Type     string `json:"type"`     // "invoice.paid"
	Created  int64  `json:"created"`  // seconds since 1970
	Livemode bool   `json:"livemode"` // false for what is only a test
	// Data has the object that the event is about under "object", and in
	// updates what it was before under "previous_attributes". It is empty in a
	// thin event, and when it is larger than 120 KiB: ask Stripe for the object.
	Data       json.RawMessage `json:"data"`
	ObjectID   string          `json:"objectId,omitempty"`   // "in_…", of the object that it is about
	ObjectType string          `json:"objectType,omitempty"` // "invoice"
	Account    string          `json:"account,omitempty"`    // "acct_…", of a connected account
	APIVersion string          `json:"apiVersion,omitempty"` // that Data is written in
	Thin       bool            `json:"thin"`
}

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is Stripe.
var Integration = handlers.Integration[Config]{
	Name: "stripe", Version: "1.0.0", Title: "Stripe",
	Description: "Hear of payments, invoices, customers and all else that happens in an account.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{EventReceived},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Stripe), Tolerance: signature.Window(signature.Stripe),
		DedupID: "the event's `id`", OrderingKey: "the object that it is about",
	},
	Verify:   verify,
	Split:    split,
	Handler:  handle,
	Register: register,
	Samples:  samples,
}
