package shopify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

// fired returns the payload of the one event that was fired, as the bytes that
// travel and as fields, numbers digit by digit.
func fired(t *testing.T, o handlerstest.Outcome) (json.RawMessage, map[string]json.RawMessage) {
	t.Helper()
	if len(o.Events) != 1 || !strings.HasPrefix(o.Events[0].Type, "shopify:") {
		t.Fatalf("%v, fired %+v", o.Err, o.Events)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(o.Events[0].Payload, &fields); err != nil {
		t.Fatal(err)
	}
	return o.Events[0].Payload, fields
}

func TestNewOrderIsFired(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	o := kit.Webhook(kit.Sample("orders/create", sampleArgs()))
	raw, fields := fired(t, o)
	if diff := cmp.Diff(handlers.Part{ID: "0TEST1", Key: "5820982911946154509"}, o.Parts[0].Part); diff != "" {
		t.Error(diff)
	}
	var got shopify.NewOrder
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	got.FullBody = nil
	number := "TWP42XK9Q"
	want := shopify.NewOrder{
		Type: "shopify:newOrderCreated", OrderID: 5820982911946154509, OrderIDString: "5820982911946154509", ShopName: "acme",
		ConfirmationNumber: &number, CreatedAt: "2026-11-21T09:30:00Z", Currency: "EUR",
		CurrentSubtotalPrice: "80.00", CurrentTotalDiscounts: "4.00", CurrentTotalPrice: "95.20", CurrentTotalTax: "15.20",
		CustomerLocale: "nl-NL", OrderStatusURL: "https://shop.example/orders/5820982911946154509",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if body := string(fields["fullBody"]); !strings.Contains(body, `"id":5820982911946154509`) || !strings.Contains(body, "line_items") {
		t.Errorf("fullBody is not the order: %s", body)
	}
}

func TestEveryTopicHasItsEvent(t *testing.T) {
	t.Parallel()
	number := "TWP42XK9Q"
	order := shopify.OrderChange{
		OrderID: 5820982911946154509, OrderIDString: "5820982911946154509", ShopName: "acme", ConfirmationNumber: &number,
		CreatedAt: "2026-11-21T09:30:00Z", UpdatedAt: "2026-11-21T09:30:00Z", FinancialStatus: "paid",
		Currency: "EUR", CurrentTotalPrice: "95.20", OrderStatusURL: "https://shop.example/orders/5820982911946154509",
	}
	cancelled := order
	cancelled.CancelledAt, cancelled.CancelReason, cancelled.FinancialStatus = "2026-11-21T09:30:00Z", "customer", "refunded"
	for topic, tc := range map[string]struct {
		key, event string
		want       any
	}{
		"orders/updated":   {"5820982911946154509", "orderUpdated", order},
		"orders/cancelled": {"5820982911946154509", "orderCancelled", cancelled},
		"customers/create": {"1311768467463790320", "customerCreated", shopify.Customer{
			CustomerID: 1311768467463790320, CustomerIDString: "1311768467463790320", ShopName: "acme",
			CreatedAt: "2026-11-21T09:30:00Z", Email: "customer@example.com", FirstName: "1311768467463790320", LastName: "Towpath",
		}},
		"app/uninstalled": {"548380009", "appUninstalled", shopify.Uninstalled{
			ShopID: 548380009, ShopIDString: "548380009", ShopName: "acme", Domain: "acme.myshopify.com",
		}},
	} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			kit, args := install(t, ""), sampleArgs()
			args.User = "1311768467463790320"
			request := kit.Sample(topic, args)
			o := kit.Webhook(request)
			raw, fields := fired(t, o)
			if diff := cmp.Diff(handlers.Part{ID: "0TEST1", Key: tc.key}, o.Parts[0].Part) +
				cmp.Diff("shopify:"+tc.event, o.Events[0].Type) + cmp.Diff(string(request.Body), string(fields["fullBody"])); diff != "" {
				t.Error(diff)
			}
			want, err := json.Marshal(tc.want)
			if err != nil {
				t.Fatal(err)
			}
			var got, wanted map[string]json.RawMessage
			if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(want, &wanted)); err != nil {
				t.Fatal(err)
			}
			delete(got, "fullBody")
			delete(wanted, "fullBody")
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Error(diff)
			}
			before := o.Events[0].ID
			if again := kit.Retry(o); again.Err != nil || again.Events[0].ID != before {
				t.Errorf("another attempt: %v, %+v", again.Err, again.Events)
			}
		})
	}
}

func TestUninstallingIsToldToTheOwner(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	o := kit.Webhook(kit.Sample("app/uninstalled", sampleArgs()))
	if o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "uninstalled from acme.myshopify.com") {
		t.Errorf("%v, owner was told %q", o.Err, o.Told)
	}
}

func TestWhatTheLawAsksForIsTakenAndTold(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	for topic, body := range map[string]string{
		"customers/data_request": `{"shop_id":1,"shop_domain":"acme.myshopify.com","customer":{"id":2},"orders_requested":[3]}`,
		"customers/redact":       `{"shop_id":1,"customer":{"id":2}}`,
		"shop/redact":            `{"shop_id":1}`,
	} {
		o := kit.Unsigned(post(topic, body))
		if o.Err != nil || o.Status != http.StatusOK || len(o.Events) > 0 || len(o.Told) != 1 || !strings.Contains(o.Told[0], topic) {
			t.Errorf("%s: %+v", topic, o)
		}
	}
}

func TestOtherTopicsAreNoNews(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	for _, topic := range []string{"orders/paid", "orders/create ", "ORDERS/CREATE", "carts/create", ""} {
		o := kit.Unsigned(post(topic, `{"id":1}`))
		if o.Err != nil || o.Refused != nil || o.Response != nil || len(o.Calls) > 0 {
			t.Errorf("topic %q: %+v", topic, o)
		}
	}
}

func TestNumbersAndNullsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want map[string]string
	}{
		"an id beyond 2^53": {`{"id":9007199254740993,"confirmation_number":null,"created_at":"x"}`,
			map[string]string{"order_id": "9007199254740993", "order_id_string": `"9007199254740993"`, "confirmation_number": "null", "currency": ""}},
		"the largest id": {`{"id":9223372036854775807,"confirmation_number":"A","note":1.10}`,
			map[string]string{"order_id": "9223372036854775807", "confirmation_number": `"A"`,
				"fullBody": `{"id":9223372036854775807,"confirmation_number":"A","note":1.10}`}},
		"nulls for what is optional": {`{"id":1,"currency":null,"customer_locale":null,"order_status_url":null}`,
			map[string]string{"currency": "", "customer_locale": "", "order_status_url": "", "confirmation_number": "null"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t, "").Unsigned(post("orders/create", tc.body))
			_, fields := fired(t, o)
			for field, want := range tc.want {
				if got := string(fields[field]); got != want {
					t.Errorf("%s is %s, want %s", field, got, want)
				}
			}
			if got := `"` + o.Parts[0].Key + `"`; got != string(fields["order_id_string"]) {
				t.Errorf("key is %s, order_id_string %s", got, fields["order_id_string"])
			}
		})
	}
}

// No bot is told more than 128 KiB, which counts as it travels: "<" grows there.
func TestWhatIsTooLargeIsToldWithoutItsBody(t *testing.T) {
	t.Parallel()
	for _, topic := range topics {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			kit := install(t, "")
			for note, omitted := range map[string]bool{
				strings.Repeat("a", 100_000): false, strings.Repeat("a", 137_440): true, strings.Repeat("<", 25_000): true,
			} {
				o := kit.Unsigned(post(topic, `{"id":7,"note":"`+note+`"}`))
				raw, fields := fired(t, o)
				if o.Err != nil || len(raw) > 120<<10 || (string(fields["fullBody"]) == "null") != omitted || (string(fields["omitted"]) == "true") != omitted {
					t.Errorf("%d of %q: %v, %d bytes, omitted is %s", len(note), note[:1], o.Err, len(raw), fields["omitted"])
				}
			}
		})
	}
}

func TestOrdersThatAreNone(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	for _, topic := range topics {
		if o := handled(kit, post(topic, `{}`)); o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("%s about nothing: %v", topic, o.Err)
		}
	}
	for _, body := range []string{`{}`, `{"id":"x"}`, `{"id":1.5}`, `{"id":9223372036854775808}`, `{"id":-1}`, `[]`, `null`, `{"id":1,"currency":7}`, `x`} {
		if o := handled(kit, post("orders/create", body)); o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("%s: %v", body, o.Err)
		}
	}
	kit.StoreFails(errStore)
	for _, topic := range topics {
		if o := handled(kit, post(topic, `{"id":1}`)); o.Verdict.Decision != handlers.Retry {
			t.Errorf("%s while the store is away: %v", topic, o.Err)
		}
	}
}

// handled hands a request to the handler, whatever Split thinks of it.
func handled(kit *handlerstest.Kit, r *events.Request) handlerstest.Outcome {
	return kit.Run(events.WebhookReceived, events.Webhook{Req: r})
}

func TestSplit(t *testing.T) {
	t.Parallel()
	sent := func(body string, header http.Header) *events.Request {
		return &events.Request{Method: http.MethodPost, Header: header, Body: []byte(body)}
	}
	known := http.Header{"X-Shopify-Webhook-Id": {"w"}}
	handlerstest.Splits(t, install(t, ""), map[string]handlerstest.Splitting{
		"no webhook id":     {Request: sent(`{"id":1}`, http.Header{}), Fault: "X-Shopify-Webhook-Id is missing"},
		"no JSON":           {Request: sent(`x`, known), Fault: "decode body"},
		"an id of text":     {Request: sent(`{"id":"gid"}`, known), Want: []handlers.Part{{ID: "w", Key: "gid"}}},
		"no resource":       {Request: sent(`{"id":null}`, known), Want: []handlers.Part{{ID: "w"}}},
		"more than 64 bits": {Request: sent(`{"id":123456789012345678901234567890}`, known), Want: []handlers.Part{{ID: "w", Key: "123456789012345678901234567890"}}},
		"a newer event": {Want: []handlers.Part{{ID: "w", Key: "820982911946154508"}}, Request: sent(`{}`, http.Header{
			"Shopify-Webhook-Id": {"w"}, "Shopify-Resource-Id": {"gid://shopify/Order/820982911946154508"},
		})},
	})
}

func TestSamplesOfOneConversationAreOneOrder(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	key := func(conversation string) string {
		args := sampleArgs()
		args.Conversation = conversation
		parts, err := kit.Installed.Split(kit.Sample("orders/updated", args))
		if err != nil {
			t.Fatal(err)
		}
		return parts[0].Key
	}
	first, again, other, number := key("a"), key("a"), key("b"), key("77")
	if first != again || first == other || number != "77" {
		t.Errorf("keys are %s, %s, %s, %s", first, again, other, number)
	}
}

func TestRecordedOrder(t *testing.T) {
	t.Parallel()
	var headers map[string]string
	if err := json.Unmarshal(handlerstest.Payload(t, "shopify.orders_create.headers.json"), &headers); err != nil {
		t.Fatal(err)
	}
	r := &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{}, Body: handlerstest.Payload(t, "shopify.orders_create.json")}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	o := install(t, "").Unsigned(r)
	_, fields := fired(t, o)
	if diff := cmp.Diff(handlers.Part{ID: "8a95126f-859a-4db9-b8f1-350e299e9ea0", Key: "820982911946154508"}, o.Parts[0].Part); diff != "" {
		t.Error(diff)
	}
	if string(fields["order_id"]) != "820982911946154508" || string(fields["confirmation_number"]) != "null" {
		t.Errorf("order_id is %s, confirmation_number %s", fields["order_id"], fields["confirmation_number"])
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{
		Integration: shopify.Integration, Configuration: `{"shopName":"acme","clientSecret":"s"}`, Forgetful: true,
	})
	for name := range shopify.Integration.Samples {
		f.Add(name, kit.Sample(name, sampleArgs()).Body)
		f.Add("orders/create", kit.Sample(name, sampleArgs()).Body)
	}
	f.Add("orders/create", []byte(`{"id":9007199254740993,"confirmation_number":null}`))
	f.Add("orders/create", []byte(`{"id":"1","ID":2}`))
	f.Add("", []byte(`null`))
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		r := post(topic, string(body))
		_, splitting := kit.Installed.Split(r)
		o := handled(kit.With(t), r)
		if o.Err != nil && o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("would be tried again: %v", o.Err)
		}
		if splitting != nil && len(o.Events) > 0 {
			t.Errorf("refused by split, handled nevertheless: %v", splitting)
		}
	})
}
