// Package shopify tells bots of orders and customers of a Shopify store.
//
// With an access token it subscribes to the store by itself. Without one,
// somebody enters the installation's URL as a webhook in the app's settings.
//
// What happens to one order comes in order, as far as Shopify sends it so. A
// delivery is known by Shopify's webhook id, which is the same in its retries.
package shopify

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of Shopify is configured with.
type Config struct {
	// ShopName is "acme" or "acme.myshopify.com".
	ShopName Shop `json:"shopName"`
	// ClientSecret is the app's client secret. After a rotation it takes
	// Shopify up to an hour to sign with the new one: list both.
	ClientSecret handlers.Secrets `json:"clientSecret"`
	// AccessToken of the Admin API, with the scopes read_orders and, for new
	// customers, read_customers, lets the installation subscribe by itself.
	AccessToken handlers.Secret `json:"accessToken,omitzero"`
	// APIURL is the base of the Admin API, by default the store itself.
	APIURL string `json:"apiUrl,omitempty"`
}

// Shop is the name of a store, with or without its domain.
type Shop string

var shopPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*(\.myshopify\.(com|io))?$`)

// Domain is the store's own domain at Shopify, "acme.myshopify.com".
func (s Shop) Domain() string {
	if strings.Contains(string(s), ".") {
		return strings.ToLower(string(s))
	}
	return strings.ToLower(string(s)) + ".myshopify.com"
}

// UnmarshalJSON takes the name of a store and nothing else: it becomes the host
// that the access token is sent to.
func (s *Shop) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return errors.New("a shop name must be a string")
	}
	if !shopPattern.MatchString(name) {
		return fmt.Errorf("shop name %q: write acme or acme.myshopify.com", name)
	}
	*s = Shop(name)
	return nil
}

// JSONSchema implements events.Titled.
func (Shop) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: shopPattern.String()}
}

// The events a bot gets.
var (
	// NewOrderCreated tells of an order right after it was placed.
	NewOrderCreated = events.Define[NewOrder]("newOrderCreated")
	// OrderUpdated tells of any change of an order, one that has an event of its
	// own included: Shopify sends both.
	OrderUpdated = events.Define[OrderChange]("orderUpdated")
	// OrderCancelled tells of an order that was cancelled.
	OrderCancelled = events.Define[OrderChange]("orderCancelled")
	// CustomerCreated tells of a new customer.
	CustomerCreated = events.Define[Customer]("customerCreated")
	// AppUninstalled tells that the app was removed from the store, after which
	// nothing more comes.
	AppUninstalled = events.Define[Uninstalled]("appUninstalled")
)

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is Shopify.
var Integration = handlers.Integration[Config]{
	Name: "shopify", Version: "1.0.0", Title: "Shopify",
	Description: "Hear of the orders and customers of a store.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{NewOrderCreated, OrderUpdated, OrderCancelled, CustomerCreated, AppUninstalled},
	States:      []client.DeclaredState{webhook},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Shopify), Tolerance: signature.Window(signature.Shopify),
		DedupID: "`X-Shopify-Webhook-Id`", OrderingKey: "the order, the customer or what else it is about", Deadline: 5 * time.Second,
	},
	Verify:     verify,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Samples:    samples,
	Fake:       newFake,
}

// Webhook is what registration subscribed to, and where.
type Webhook struct {
	WebhookURL string   `json:"webhookUrl"`
	Topics     []string `json:"topics"`
}

var webhook = client.DefineState[Webhook]("webhook")
