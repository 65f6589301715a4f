package shopify

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// object is a JSON object.
type object = map[string]any

var samples = handlers.Samples[Config]{
	topicOrdersCreate: {Title: "somebody places an order", Build: sample(topicOrdersCreate)},
	"orders/updated":  {Title: "an order changes, which is no news", Build: sample("orders/updated")},
}

// sample builds a delivery of an order. The conversation stands for the order:
// its number, or any text, which always makes the same number.
func sample(topic string) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		body, err := json.Marshal(sampleOrder(a))
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		header := http.Header{}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Shopify-Captain-Hook",
			"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": configuration.ShopName.Domain(),
			"X-Shopify-Api-Version": apiVersion, "X-Shopify-Webhook-Id": a.ID, "X-Shopify-Event-Id": "event-" + a.ID,
			"X-Shopify-Triggered-At": a.Now.UTC().Format(time.RFC3339Nano), "X-Shopify-Test": "true",
		} {
			header.Set(name, value)
		}
		message := signature.Message{Header: header, Body: body}
		if err := signature.Shopify.Sign(&message, configuration.ClientSecret[0].Reveal(), a.Now); err != nil {
			return nil, fmt.Errorf("sign sample: %w", err)
		}
		return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
	}
}

func sampleOrder(a handlers.SampleArgs) object {
	id := orderID(a.Conversation)
	at := a.Now.UTC().Format(time.RFC3339)
	return object{
		"id": id, "admin_graphql_api_id": fmt.Sprintf("gid://shopify/Order/%d", id),
		"name": "#1042", "number": 42, "order_number": 1042, "confirmation_number": "TWP42XK9Q",
		"created_at": at, "processed_at": at, "updated_at": at, "test": true, "note": a.Text, "email": "customer@example.com",
		"currency": "EUR", "presentment_currency": "EUR", "financial_status": "paid", "fulfillment_status": nil,
		"subtotal_price": "84.00", "total_discounts": "4.00", "total_price": "95.20", "total_tax": "15.20",
		"current_subtotal_price": "80.00", "current_total_discounts": "4.00", "current_total_price": "95.20", "current_total_tax": "15.20",
		"customer_locale": "nl-NL", "order_status_url": fmt.Sprintf("https://shop.example/orders/%d", id),
		"customer": object{"id": orderID(a.User), "first_name": a.User, "email": "customer@example.com"},
		"line_items": []object{{
			"id": id + 1, "title": "Tow rope, 20 m", "quantity": 2, "price": "42.00", "sku": "ROPE-20", "requires_shipping": true,
		}},
	}
}

// orderID is the number a text says, or one made of it that, like many of
// Shopify's, no floating point number holds.
func orderID(text string) int64 {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return id
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	const least = 1<<59 + 1
	return int64(h.Sum64()>>5) | least
}
