package stripe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// object is a JSON object.
type object = map[string]any

const apiVersion = "2026-10-29"

// The conversation of a sample stands for the object that it is about, the user
// for the customer.
var samples = handlers.Samples[Config]{
	"customer.created": {Title: "there is a new customer", Build: sample("customer.created", func(a handlers.SampleArgs) object {
		return object{
			"id": "cus_" + a.User, "object": "customer", "name": a.User, "email": "customer@example.com", "description": a.Text,
			"balance": 0, "created": a.Now.Unix(), "currency": nil, "delinquent": false, "livemode": false, "metadata": object{},
		}
	})},
	"checkout.session.completed": {Title: "somebody has checked out", Build: sample("checkout.session.completed", func(a handlers.SampleArgs) object {
		return object{
			"id": "cs_test_" + a.Conversation, "object": "checkout.session", "amount_subtotal": 8400, "amount_total": 9520, "currency": "eur",
			"customer": "cus_" + a.User, "customer_details": object{"email": "customer@example.com", "name": a.User}, "mode": "payment",
			"payment_status": "paid", "status": "complete", "livemode": false, "metadata": object{"note": a.Text},
			"client_reference_id": nil, "created": a.Now.Unix(), "expires_at": a.Now.Add(24 * time.Hour).Unix(),
		}
	})},
	"invoice.paid": {Title: "an invoice is paid", Build: sample("invoice.paid", func(a handlers.SampleArgs) object {
		return object{
			"id": "in_" + a.Conversation, "object": "invoice", "amount_due": 9520, "amount_paid": 9520, "amount_remaining": 0, "currency": "eur",
			"customer": "cus_" + a.User, "customer_email": "customer@example.com", "customer_name": a.User, "status": "paid", "description": a.Text,
			"created": a.Now.Unix(), "livemode": false, "metadata": object{}, "number": "TOW-0042",
		}
	})},
	"charge.refunded": {Title: "a payment is refunded", Build: sample("charge.refunded", func(a handlers.SampleArgs) object {
		return object{
			"id": "ch_" + a.Conversation, "object": "charge", "amount": 9520, "amount_captured": 9520, "amount_refunded": 9520, "currency": "eur",
			"captured": true, "paid": true, "refunded": true, "status": "succeeded", "customer": "cus_" + a.User, "description": a.Text,
			"created": a.Now.Unix(), "livemode": false, "metadata": object{},
		}
	})},
	"thin": {Title: "a thin event, of Stripe's newer kind", Build: func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		return signed(a, configuration, object{
			"id": "evt_" + a.ID, "object": thin, "type": "v1.billing.meter.error_report_triggered", "livemode": false,
			"created":        a.Now.UTC().Format("2006-01-02T15:04:05.000Z"),
			"related_object": object{"id": "mtr_" + a.Conversation, "type": "billing.meter", "url": "/v1/billing/meters/mtr_" + a.Conversation},
		})
	}},
}

func sample(typ string, about func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		return signed(a, configuration, object{
			"id": "evt_" + a.ID, "object": "event", "api_version": apiVersion, "created": a.Now.Unix(), "type": typ,
			"data": object{"object": about(a)}, "livemode": false, "pending_webhooks": 1,
			"request": object{"id": nil, "idempotency_key": nil},
		})
	}
}

func signed(a handlers.SampleArgs, configuration Config, content object) (*events.Request, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode sample: %w", err)
	}
	message := signature.Message{Header: http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
	}, Body: body}
	if err := signature.Stripe.Sign(&message, configuration.SigningSecret[0].Reveal(), a.Now); err != nil {
		return nil, fmt.Errorf("sign sample: %w", err)
	}
	return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
}
