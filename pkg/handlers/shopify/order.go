package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

const topicOrdersCreate = "orders/create"

// NewOrder is an order as it was placed. Amounts are decimal strings in
// Currency, times are RFC 3339.
type NewOrder struct {
	Type OrderType `json:"type,omitempty"`
	// OrderID is a whole number of up to 19 digits. JavaScript and many a tool
	// round it: OrderIDString is the same number for them.
	OrderID       int64  `json:"order_id"`
	OrderIDString string `json:"order_id_string"`
	ShopName      string `json:"shopName"` // as it is configured
	// ConfirmationNumber is null in Shopify's test deliveries.
	ConfirmationNumber    *string `json:"confirmation_number"`
	CreatedAt             string  `json:"created_at"`
	Currency              string  `json:"currency,omitempty"`
	CurrentSubtotalPrice  string  `json:"current_subtotal_price,omitempty"`
	CurrentTotalDiscounts string  `json:"current_total_discounts,omitempty"`
	CurrentTotalPrice     string  `json:"current_total_price,omitempty"`
	CurrentTotalTax       string  `json:"current_total_tax,omitempty"`
	CustomerLocale        string  `json:"customer_locale,omitempty"`
	OrderStatusURL        string  `json:"order_status_url,omitempty"`
	// FullBody is the order as Shopify sent it, digit by digit.
	FullBody json.RawMessage `json:"fullBody"`
}

// OrderType is always "shopify:newOrderCreated", whatever the installation's
// alias is.
type OrderType string

const newOrderType OrderType = "shopify:newOrderCreated"

// JSONSchema implements events.Titled.
func (OrderType) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Const: jsonschema.Ptr[any](string(newOrderType))}
}

// order is an order as far as Shopify's own fields are handed on.
type order struct {
	ID                    int64   `json:"id"`
	ConfirmationNumber    *string `json:"confirmation_number"`
	CreatedAt             string  `json:"created_at"`
	Currency              string  `json:"currency"`
	CurrentSubtotalPrice  string  `json:"current_subtotal_price"`
	CurrentTotalDiscounts string  `json:"current_total_discounts"`
	CurrentTotalPrice     string  `json:"current_total_price"`
	CurrentTotalTax       string  `json:"current_total_tax"`
	CustomerLocale        string  `json:"customer_locale"`
	OrderStatusURL        string  `json:"order_status_url"`
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	topic := header(p.Req.Header, headerTopic)
	if topic != topicOrdersCreate {
		p.Logger.WithField("topic", topic).Debug("topic is not handled")
		return nil, nil
	}
	var o order
	err := json.Unmarshal(p.Req.Body, &o)
	if err == nil && o.ID <= 0 {
		err = errors.New("id is missing")
	}
	if err != nil {
		return nil, handlers.Permanent(fmt.Errorf("decode order: %w", err))
	}
	return nil, NewOrderCreated.Fire(ctx, p.Client, NewOrder{
		Type:    newOrderType,
		OrderID: o.ID, OrderIDString: strconv.FormatInt(o.ID, 10),
		ShopName:           string(p.Ctx.Configuration.ShopName),
		ConfirmationNumber: o.ConfirmationNumber,
		CreatedAt:          o.CreatedAt, Currency: o.Currency,
		CurrentSubtotalPrice: o.CurrentSubtotalPrice, CurrentTotalDiscounts: o.CurrentTotalDiscounts,
		CurrentTotalPrice: o.CurrentTotalPrice, CurrentTotalTax: o.CurrentTotalTax,
		CustomerLocale: o.CustomerLocale, OrderStatusURL: o.OrderStatusURL,
		FullBody: p.Req.Body,
	})
}
