package shopify

import (
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"
)

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
	// FullBody is the order as Shopify sent it, digit by digit. It is null when
	// the event would be larger than 120 KiB with it, and Omitted is true: ask
	// Shopify for the order.
	FullBody json.RawMessage `json:"fullBody"`
	Omitted  bool            `json:"omitted,omitempty"`
}

// OrderType is always "shopify:newOrderCreated", whatever the installation's
// alias is.
type OrderType string

const newOrderType OrderType = "shopify:newOrderCreated"

// JSONSchema implements events.Titled.
func (OrderType) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Const: jsonschema.Ptr[any](string(newOrderType))}
}

// OrderChange is an order as it is after a change. See [NewOrder] for what its
// fields are.
type OrderChange struct {
	OrderID            int64   `json:"order_id"`
	OrderIDString      string  `json:"order_id_string"`
	ShopName           string  `json:"shopName"`
	ConfirmationNumber *string `json:"confirmation_number"`
	CreatedAt          string  `json:"created_at"`
	UpdatedAt          string  `json:"updated_at"`
	// CancelledAt and CancelReason are those of an order that was cancelled.
	CancelledAt       string          `json:"cancelled_at,omitempty"`
	CancelReason      string          `json:"cancel_reason,omitempty"`
	FinancialStatus   string          `json:"financial_status,omitempty"`   // "pending", "paid", "refunded", …
	FulfillmentStatus string          `json:"fulfillment_status,omitempty"` // "fulfilled", "partial"; empty for none
	Currency          string          `json:"currency,omitempty"`
	CurrentTotalPrice string          `json:"current_total_price,omitempty"`
	OrderStatusURL    string          `json:"order_status_url,omitempty"`
	FullBody          json.RawMessage `json:"fullBody"`
	Omitted           bool            `json:"omitted,omitempty"`
}

// Customer is somebody who became a customer of the store.
type Customer struct {
	CustomerID       int64  `json:"customer_id"`
	CustomerIDString string `json:"customer_id_string"`
	ShopName         string `json:"shopName"`
	CreatedAt        string `json:"created_at"`
	// Shopify leaves out what the app is not approved to see of a person.
	Email     string          `json:"email,omitempty"`
	Phone     string          `json:"phone,omitempty"`
	FirstName string          `json:"first_name,omitempty"`
	LastName  string          `json:"last_name,omitempty"`
	FullBody  json.RawMessage `json:"fullBody"`
	Omitted   bool            `json:"omitted,omitempty"` // see [NewOrder]
}

// Uninstalled is the store that the app was removed from.
type Uninstalled struct {
	ShopID       int64           `json:"shop_id"`
	ShopIDString string          `json:"shop_id_string"`
	ShopName     string          `json:"shopName"`
	Domain       string          `json:"domain"` // "acme.myshopify.com"
	FullBody     json.RawMessage `json:"fullBody"`
	Omitted      bool            `json:"omitted,omitempty"` // see [NewOrder]
}
