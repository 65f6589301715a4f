package shopify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// The names of Shopify's headers behind their prefix, which is X-Shopify- or,
// in its newer events, Shopify-.
const (
	headerTopic    = "Topic"
	headerDomain   = "Shop-Domain"
	headerWebhook  = "Webhook-Id"
	headerResource = "Resource-Id"
)

func header(h http.Header, name string) string {
	if value := h.Get("X-Shopify-" + name); value != "" {
		return value
	}
	return h.Get("Shopify-" + name)
}

// verify holds the store's domain to the configuration too: an app's secret is
// the same in every store, so that another store's order would pass otherwise.
func verify(r *events.Request, configuration Config, now time.Time) error {
	verifier, err := signature.Shopify.Verifier(configuration.ClientSecret.Reveal()...)
	if err != nil {
		return err
	}
	if err := verifier.Verify(signature.Message{Header: r.Header, Body: r.Body}, now); err != nil {
		return err
	}
	want := configuration.ShopName.Domain()
	if domain := header(r.Header, headerDomain); domain != "" && !strings.EqualFold(domain, want) {
		return fmt.Errorf("the request comes from another store than %s", want)
	}
	return nil
}

// split finds the delivery's id, which Shopify keeps in its retries, and the
// resource, such as the order, whose news must stay in order.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	id := header(r.Header, headerWebhook)
	if id == "" {
		return nil, errors.New("header X-Shopify-Webhook-Id is missing: a delivery cannot be told from its retries")
	}
	var body struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return []handlers.Part{{ID: id, Key: resource(body.ID, r.Header)}}, nil
}

// resource is the id of what the request is about, digit by digit: Shopify's
// ids are larger than what a floating point number holds.
func resource(raw json.RawMessage, h http.Header) string {
	if id := strings.Trim(string(raw), `"`); id != "" && id != "null" {
		return id
	}
	// "gid://shopify/Order/820982911946154508" names the same order.
	id := header(h, headerResource)
	return id[strings.LastIndexByte(id, '/')+1:]
}
