package stripe_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/signature"
	"github.com/towpath/towpath/pkg/handlers/stripe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret        = "whsec_not-to-be-seen"
	configuration = `{"signingSecret":["` + secret + `","whsec_previous"]}`
)

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, stripe.Integration, configuration)
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Rope", Conversation: "1Mh", User: "NSP"}
}

// post is an unsigned event.
func post(body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, stripe.Integration, "testdata/definition.json")
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, stripe.Integration, map[string]string{
		"no secret":                 `{}`,
		"an API key":                `{"signingSecret":"whsec_12345678","apiKey":"sk_12345678"}`,
		"a secret that is a number": `{"signingSecret":7}`,
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "invoice.paid", Header: "Stripe-Signature", Secret: "signingSecret", Tolerance: 5 * time.Minute, AnyFuture: true,
	})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, stripe.Integration, func(v handlerstest.Vector) string {
		encoded, err := json.Marshal(map[string]string{"signingSecret": v.Secret})
		if err != nil {
			t.Error(err)
		}
		return string(encoded)
	})
}

// While a secret is being rolled, Stripe signs with both.
func TestAnyOfSeveralSignaturesWillDo(t *testing.T) {
	t.Parallel()
	kit := install(t)
	r := kit.Sample("invoice.paid", sampleArgs())
	signed := func(secret string) string {
		message := signature.Message{Header: http.Header{}, Body: r.Body}
		if err := signature.Stripe.Sign(&message, secret, handlerstest.Now); err != nil {
			t.Fatal(err)
		}
		return message.Header.Get("Stripe-Signature")
	}
	only := func(header string) string { return header[strings.Index(header, ",v1=")+1:] }
	for header, ok := range map[string]bool{
		signed("whsec_other") + "," + only(signed(secret)):                                 true,
		signed("whsec_other") + "," + only(signed("whsec_previous")):                       true,
		signed(secret) + ",v0=" + strings.Repeat("0", 64):                                  true,
		signed("whsec_other") + "," + only(signed("whsec_third")):                          false,
		strings.Replace(signed(secret), "v1=", "v0=", 1):                                   false,
		signed("whsec_other") + "," + strings.Replace(only(signed(secret)), "v1", "v0", 1): false,
	} {
		r.Header.Set("Stripe-Signature", header)
		if err := kit.Installed.Verify(r, handlerstest.Now); (err == nil) != ok {
			t.Errorf("%s: %v, want accepted: %v", header, err, ok)
		}
	}
}

func TestEventIsReceivedOnce(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("customer.created", sampleArgs()))
	fired := handlerstest.Fired(o, stripe.EventReceived)
	if o.Err != nil || len(fired) != 1 || o.Parts[0].ID != "evt_0TEST1" || o.Parts[0].Key != "cus_NSP" {
		t.Fatalf("%v, parts %+v, fired %v", o.Err, o.Parts, fired)
	}
	got := fired[0]
	if !strings.Contains(string(got.Data), `"object":{`) {
		t.Errorf("data is %s", got.Data)
	}
	got.Data = nil
	want := stripe.Event{
		ID: "evt_0TEST1", Type: "customer.created", Created: handlerstest.Now.Unix(), ObjectID: "cus_NSP", ObjectType: "customer", APIVersion: "2026-10-29",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := kit.Retry(o); again.Err != nil || again.Events[0].ID != o.Events[0].ID {
		t.Errorf("again: %v, %v", again.Err, again.Events)
	}
	later := sampleArgs()
	later.Now = handlerstest.Now.Add(time.Minute)
	if resent := kit.Webhook(kit.Sample("customer.created", later)); resent.Parts[0].DeliveryID != o.Parts[0].DeliveryID {
		t.Error("sent again, it is another delivery")
	}
}

func TestEveryKindOfEventIsRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want stripe.Event
		key  string
	}{
		"a type of the future": {`{"id":"evt_1","type":"towing.hitched","created":7,"livemode":true,"data":{"object":{"id":"tow_1","object":"towing","length":12345678901234567890}}}`,
			stripe.Event{ID: "evt_1", Type: "towing.hitched", Created: 7, Livemode: true, ObjectID: "tow_1", ObjectType: "towing",
				Data: json.RawMessage(`{"object":{"id":"tow_1","object":"towing","length":12345678901234567890}}`)}, "tow_1"},
		"an object without an id": {`{"id":"evt_1","type":"balance.available","created":7,"data":{"object":{"object":"balance"}}}`,
			stripe.Event{ID: "evt_1", Type: "balance.available", Created: 7, ObjectType: "balance", Data: json.RawMessage(`{"object":{"object":"balance"}}`)}, ""},
		"of a connected account": {`{"id":"evt_1","type":"a","created":7,"account":"acct_1","data":{"object":{"id":"x"}}}`,
			stripe.Event{ID: "evt_1", Type: "a", Created: 7, Account: "acct_1", ObjectID: "x", Data: json.RawMessage(`{"object":{"id":"x"}}`)}, "x"},
		"a thin one": {`{"id":"evt_1","object":"v2.core.event","type":"a","created":"2026-11-21T09:30:00.123Z","context":"acct_2","related_object":{"id":"m","type":"billing.meter"}}`,
			stripe.Event{ID: "evt_1", Type: "a", Created: handlerstest.Now.Unix(), Account: "acct_2", ObjectID: "m", ObjectType: "billing.meter", Thin: true, Data: json.RawMessage(`{}`)}, "m"},
		"more than a bot is told": {`{"id":"evt_1","type":"a","created":7,"data":{"object":{"id":"x","lines":"` + strings.Repeat("a", 130_000) + `"}}}`,
			stripe.Event{ID: "evt_1", Type: "a", Created: 7, ObjectID: "x", Thin: true, Data: json.RawMessage(`{}`)}, "x"},
		"more than a bot is told, once it is encoded": {`{"id":"evt_1","type":"a","created":7,"data":{"object":{"id":"x","lines":"` + strings.Repeat("<", 25_000) + `"}}}`,
			stripe.Event{ID: "evt_1", Type: "a", Created: 7, ObjectID: "x", Thin: true, Data: json.RawMessage(`{}`)}, "x"},
		"about nothing": {`{"id":"evt_1","type":"a","created":7,"data":null}`, stripe.Event{ID: "evt_1", Type: "a", Created: 7, Data: json.RawMessage(`{}`)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Unsigned(post(tc.body))
			if o.Err != nil || o.Refused != nil || o.Parts[0].Key != tc.key {
				t.Fatalf("%v, %v, %+v", o.Refused, o.Err, o.Parts)
			}
			if diff := cmp.Diff([]stripe.Event{tc.want}, handlerstest.Fired(o, stripe.EventReceived)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Splits(t, install(t), map[string]handlerstest.Splitting{
		"no JSON":            {Request: post(`{`), Fault: "decode body"},
		"no object":          {Request: post(`[]`), Fault: "decode body"},
		"no id":              {Request: post(`{"type":"a","created":7}`), Fault: "id or type is missing"},
		"no type":            {Request: post(`{"id":"evt_1","created":7}`), Fault: "id or type is missing"},
		"no time":            {Request: post(`{"id":"evt_1","type":"a"}`), Fault: "decode created"},
		"a time that is odd": {Request: post(`{"id":"evt_1","type":"a","created":"soon"}`), Fault: "decode created"},
		"part of a second":   {Request: post(`{"id":"evt_1","type":"a","created":7.5}`), Fault: "decode created"},
	})
}

func TestStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.StoreFails(errors.New("the store is away"))
	if o := kit.Webhook(kit.Sample("invoice.paid", sampleArgs())); o.Verdict.Decision != handlers.Retry {
		t.Errorf("verdict is %+v", o.Verdict)
	}
}

func TestRegisterSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if o := install(t).Register(); o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], handlerstest.WebhookURL) {
		t.Errorf("%v, told %q", o.Err, o.Told)
	}
}

func TestRecordedPayloads(t *testing.T) {
	t.Parallel()
	for file, key := range map[string]string{
		"stripe.checkout_session_completed.json": "cs_test_a1CagZ1XmCLIZb3ME6r06G1h8ygwbbbMw8Nqk0R86MWMT4dmCjDiUYfQDr",
		"stripe.customer_created.json":           "cus_NSPHp4fOlXGw8P",
		"stripe.invoice_paid.json":               "in_1MhUT5E0b6fckueSfPlY05Fw",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			body := handlerstest.Payload(t, file)
			var whole struct {
				Data json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(body, &whole); err != nil {
				t.Fatal(err)
			}
			o := install(t).Unsigned(post(string(body)))
			fired := handlerstest.Fired(o, stripe.EventReceived)
			if o.Err != nil || o.Refused != nil || len(fired) != 1 || o.Parts[0].Key != key || fired[0].ObjectID != key {
				t.Fatalf("%v, %v, %+v", o.Refused, o.Err, o.Parts)
			}
			if diff := cmp.Diff(decoded(t, whole.Data), decoded(t, fired[0].Data)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func decoded(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: stripe.Integration, Configuration: configuration, Forgetful: true})
	for name := range stripe.Integration.Samples {
		f.Add(kit.Sample(name, sampleArgs()).Body)
	}
	f.Add([]byte(`{"id":"evt_1","type":"a","created":1e3,"data":7,"related_object":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(post(string(body)))
		if o.Refused == nil && o.Err != nil {
			t.Errorf("split took what the handler does not: %v", o.Err)
		}
	})
}
