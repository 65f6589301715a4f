package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// order is an order as far as Shopify's own fields are handed on.
type order struct {
	identified
	ConfirmationNumber    *string `json:"confirmation_number"`
	CreatedAt             string  `json:"created_at"`
	UpdatedAt             string  `json:"updated_at"`
	CancelledAt           string  `json:"cancelled_at"`
	CancelReason          string  `json:"cancel_reason"`
	FinancialStatus       string  `json:"financial_status"`
	FulfillmentStatus     string  `json:"fulfillment_status"`
	Currency              string  `json:"currency"`
	CurrentSubtotalPrice  string  `json:"current_subtotal_price"`
	CurrentTotalDiscounts string  `json:"current_total_discounts"`
	CurrentTotalPrice     string  `json:"current_total_price"`
	CurrentTotalTax       string  `json:"current_total_tax"`
	CustomerLocale        string  `json:"customer_locale"`
	OrderStatusURL        string  `json:"order_status_url"`
}

// customer is a customer in Shopify's words.
type customer struct {
	identified
	CreatedAt string `json:"created_at"`
	Email     string `json:"email"`
	Phone     string `json:"phone"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

// shop is a store in Shopify's words.
type shop struct{ identified }

// identified is what each of them has.
type identified struct {
	ID int64 `json:"id"`
}

func (i identified) number() (int64, string) { return i.ID, strconv.FormatInt(i.ID, 10) }

func (i identified) check() error {
	if i.ID <= 0 {
		return errors.New("id is missing")
	}
	return nil
}

// read decodes what a request is about.
func read[T interface{ check() error }](r *events.Request) (T, error) {
	var about T
	err := json.Unmarshal(r.Body, &about)
	if err == nil {
		err = about.check()
	}
	if err != nil {
		return about, handlers.Permanent(fmt.Errorf("decode %s: %w", header(r.Header, headerTopic), err))
	}
	return about, nil
}

// maxEvent bounds what a bot is told, in bytes: no payload is larger than
// 128 KiB.
const maxEvent = 120 << 10

// full is the request's body, or nothing and true if the event would be too
// large with it. It is measured as it travels: "<" takes six bytes there.
func full(r *events.Request, event any) (body json.RawMessage, omitted bool) {
	without, errWithout := json.Marshal(event)
	with, errWith := json.Marshal(json.RawMessage(r.Body))
	if errWithout != nil || errWith != nil || len(without)+len(with) > maxEvent {
		return nil, true
	}
	return r.Body, false
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	switch topic := header(p.Req.Header, headerTopic); topic {
	case topicOrdersCreate:
		return nil, receiveNewOrder(ctx, p)
	case topicOrdersUpdated:
		return nil, receiveOrder(ctx, p, OrderUpdated)
	case topicOrdersCancelled:
		return nil, receiveOrder(ctx, p, OrderCancelled)
	case topicCustomersCreate:
		return nil, receiveCustomer(ctx, p)
	case topicAppUninstalled:
		return nil, receiveUninstalled(ctx, p)
	case topicDataRequest, topicCustomersRedact, topicShopRedact:
		// The request itself, which is stored, says whose data it is about.
		p.Logger.ForBot().WithField("delivery", p.Delivery.ID).Warn("Shopify asks for " + topic +
			": the law gives 30 days to answer what the bot and its owner keep of that person or store")
	default:
		p.Logger.WithField("topic", topic).Debug("topic is not handled")
	}
	return nil, nil
}

func receiveNewOrder(ctx context.Context, p handlers.WebhookProps[Config]) error {
	o, err := read[order](p.Req)
	if err != nil {
		return err
	}
	id, text := o.number()
	e := NewOrder{
		Type: newOrderType, OrderID: id, OrderIDString: text,
		ShopName:           string(p.Ctx.Configuration.ShopName),
		ConfirmationNumber: o.ConfirmationNumber,
		CreatedAt:          o.CreatedAt, Currency: o.Currency,
		CurrentSubtotalPrice: o.CurrentSubtotalPrice, CurrentTotalDiscounts: o.CurrentTotalDiscounts,
		CurrentTotalPrice: o.CurrentTotalPrice, CurrentTotalTax: o.CurrentTotalTax,
		CustomerLocale: o.CustomerLocale, OrderStatusURL: o.OrderStatusURL,
	}
	e.FullBody, e.Omitted = full(p.Req, e)
	return NewOrderCreated.Fire(ctx, p.Client, e)
}

func receiveOrder(ctx context.Context, p handlers.WebhookProps[Config], happened events.Type[OrderChange]) error {
	o, err := read[order](p.Req)
	if err != nil {
		return err
	}
	id, text := o.number()
	e := OrderChange{
		OrderID: id, OrderIDString: text, ShopName: string(p.Ctx.Configuration.ShopName),
		ConfirmationNumber: o.ConfirmationNumber, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
		CancelledAt: o.CancelledAt, CancelReason: o.CancelReason,
		FinancialStatus: o.FinancialStatus, FulfillmentStatus: o.FulfillmentStatus,
		Currency: o.Currency, CurrentTotalPrice: o.CurrentTotalPrice, OrderStatusURL: o.OrderStatusURL,
	}
	e.FullBody, e.Omitted = full(p.Req, e)
	return happened.Fire(ctx, p.Client, e)
}

func receiveCustomer(ctx context.Context, p handlers.WebhookProps[Config]) error {
	c, err := read[customer](p.Req)
	if err != nil {
		return err
	}
	id, text := c.number()
	e := Customer{
		CustomerID: id, CustomerIDString: text, ShopName: string(p.Ctx.Configuration.ShopName), CreatedAt: c.CreatedAt,
		Email: c.Email, Phone: c.Phone, FirstName: c.FirstName, LastName: c.LastName,
	}
	e.FullBody, e.Omitted = full(p.Req, e)
	return CustomerCreated.Fire(ctx, p.Client, e)
}

// receiveUninstalled tells that the app is gone from the store. Its access token
// is void from now on, and its subscriptions are gone: there is nothing to
// unregister. Installed again, the app has another token, which registers anew.
func receiveUninstalled(ctx context.Context, p handlers.WebhookProps[Config]) error {
	s, err := read[shop](p.Req)
	if err != nil {
		return err
	}
	id, text := s.number()
	e := Uninstalled{
		ShopID: id, ShopIDString: text, ShopName: string(p.Ctx.Configuration.ShopName),
		Domain: p.Ctx.Configuration.ShopName.Domain(),
	}
	e.FullBody, e.Omitted = full(p.Req, e)
	if err := AppUninstalled.Fire(ctx, p.Client, e); err != nil {
		return err
	}
	p.Logger.ForBot().Warn("the app was uninstalled from " + p.Ctx.Configuration.ShopName.Domain() +
		": remove the installation, or install the app again and configure its new accessToken")
	return nil
}
