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
	topicOrdersCreate:  {Title: "somebody places an order", Build: sample(topicOrdersCreate, sampleOrder)},
	topicOrdersUpdated: {Title: "an order changes", Build: sample(topicOrdersUpdated, sampleOrder)},
	topicOrdersCancelled: {Title: "an order is cancelled", Build: sample(topicOrdersCancelled, func(a handlers.SampleArgs) object {
		cancelled := sampleOrder(a)
		cancelled["cancelled_at"], cancelled["cancel_reason"] = a.Now.UTC().Format(time.RFC3339), "customer"
		cancelled["financial_status"] = "refunded"
		return cancelled
	})},
	topicCustomersCreate: {Title: "somebody becomes a customer", Build: sample(topicCustomersCreate, sampleCustomer)},
	topicAppUninstalled:  {Title: "the app is uninstalled", Build: sample(topicAppUninstalled, sampleShop)},
	topicDataRequest: {Title: "a customer asks for their data", Build: sample(topicDataRequest, func(a handlers.SampleArgs) object {
		return object{
			"shop_id": sampleShopID, "shop_domain": "acme.myshopify.com", "orders_requested": []int64{number(a.Conversation)},
			"customer": object{"id": number(a.User), "email": "customer@example.com"}, "data_request": object{"id": 9999},
		}
	})},
}

const sampleShopID = 548380009

// sample builds a delivery. The conversation stands for the order, and the user
// for the customer: its number, or any text, which always makes the same number.
func sample(topic string, about func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		body, err := json.Marshal(about(a))
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

func sampleCustomer(a handlers.SampleArgs) object {
	at := a.Now.UTC().Format(time.RFC3339)
	return object{
		"id": number(a.User), "admin_graphql_api_id": fmt.Sprintf("gid://shopify/Customer/%d", number(a.User)),
		"email": "customer@example.com", "phone": nil, "first_name": a.User, "last_name": "Towpath", "state": "enabled",
		"created_at": at, "updated_at": at, "orders_count": 0, "total_spent": "0.00", "tags": "", "note": a.Text,
		"verified_email": true, "tax_exempt": false, "addresses": []object{},
	}
}

func sampleShop(a handlers.SampleArgs) object {
	return object{
		"id": sampleShopID, "name": a.Text, "email": "owner@example.com", "domain": "shop.example",
		"myshopify_domain": "acme.myshopify.com", "country": "NL", "currency": "EUR", "plan_name": "basic",
		"created_at": "2026-01-02T03:04:05Z", "updated_at": a.Now.UTC().Format(time.RFC3339),
	}
}

func sampleOrder(a handlers.SampleArgs) object {
	id := number(a.Conversation)
	at := a.Now.UTC().Format(time.RFC3339)
	return object{
		"id": id, "admin_graphql_api_id": fmt.Sprintf("gid://shopify/Order/%d", id),
		"name": "#1042", "number": 42, "order_number": 1042, "confirmation_number": "TWP42XK9Q",
		"created_at": at, "processed_at": at, "updated_at": at, "test": true, "note": a.Text, "email": "customer@example.com",
		"currency": "EUR", "presentment_currency": "EUR", "financial_status": "paid", "fulfillment_status": nil,
		"subtotal_price": "84.00", "total_discounts": "4.00", "total_price": "95.20", "total_tax": "15.20",
		"current_subtotal_price": "80.00", "current_total_discounts": "4.00", "current_total_price": "95.20", "current_total_tax": "15.20",
		"customer_locale": "nl-NL", "order_status_url": fmt.Sprintf("https://shop.example/orders/%d", id),
		"customer": object{"id": number(a.User), "first_name": a.User, "email": "customer@example.com"},
		"line_items": []object{{
			"id": id + 1, "title": "Tow rope, 20 m", "quantity": 2, "price": "42.00", "sku": "ROPE-20", "requires_shipping": true,
		}},
	}
}

// number is the number a text says, or one made of it that, like many of
// Shopify's, no floating point number holds.
func number(text string) int64 {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return id
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	const least = 1<<59 + 1
	return int64(h.Sum64()>>5) | least
}
