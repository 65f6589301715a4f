package generic_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/generic"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/open"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "not-to-be-seen"

// configurations are by what they describe.
var configurations = map[string]string{
	"hmac": `{"secret":["` + secret + `","the-one-before"],"signature":{"header":"X-Acme-Signature","prefix":"v1=","template":"{timestamp}.{body}",
		"timestamp":{"header":"X-Acme-Time"}},"event":{"field":"event.type"},"id":{"header":"X-Acme-Delivery"},"key":{"field":"event.ticket.id"},
		"handshake":{"field":"type","value":"url_verification","answer":"challenge"}}`,
	"in pairs": `{"secret":"` + secret + `","signature":{"header":"X-Acme-Signature","list":"pairs","version":"v1","template":"{timestamp}.{body}",
		"timestamp":{"field":"t"},"tolerance":{"past":"10m"}},"event":{"header":"X-Acme-Event"}}`,
	"time in the body": `{"secret":"` + secret + `","signature":{"header":"X-Acme-Signature","algorithm":"sha512","encoding":"base64",
		"timestamp":{"bodyPath":"sent.at","unit":"ms"}},"id":{"field":"/sent/id"}}`,
	"with the URL": `{"secret":"` + secret + `","url":"https://towpath.example/webhooks/w1","signature":{"header":"X-Acme-Signature","template":"{url}{body}"}}`,
	"a header":     `{"secret":["` + secret + `","the-one-before"],"sharedSecret":{"header":"X-Acme-Auth","prefix":"Bearer "},"event":{"field":"type"}}`,
	"the query":    `{"secret":"` + secret + `","sharedSecret":{"query":"key"},"id":{"header":"X-Idempotency-Token"}}`,
	"zendesk":      `{"secret":"` + secret + `","platform":"zendesk","event":{"field":"type"},"id":{"field":"id"}}`,
	"twilio":       `{"secret":"` + secret + `","platform":"twilio","url":"https://towpath.example/webhooks/w1"}`,
}

func install(tb testing.TB, name string) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, generic.Integration, configurations[name])
}

// post is an unsigned request.
func post(body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Content-Type": {"application/json"}, "X-Acme-Delivery": {"d1"}}, Body: []byte(body)}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, generic.Integration, "testdata/definition.json")
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	for name := range configurations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handlerstest.Samples(t, install(t, name))
		})
	}
}

func TestConfigureSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for configuration, says := range map[string]string{
		`{"secret":"123456"}`: "say in one way how requests are verified",
		`{"secret":"123456","platform":"zendesk","sharedSecret":{"query":"key"}}`:                                                           "say in one way",
		`{"secret":"123456","platform":"acme"}`:                                                                                             "use one of",
		`{"secret":"123456","sharedSecret":{"prefix":"Bearer "}}`:                                                                           "name the header or the query parameter",
		`{"secret":"123456","sharedSecret":{"header":"A","query":"b"}}`:                                                                     "one of the two",
		`{"secret":"123456","signature":{"header":"X","template":"{timestamp}"}}`:                                                           "{body} must be in it",
		`{"secret":"123456","signature":{"header":"X","template":"{timestamp}.{body}"}}`:                                                    "timestamp: a header or field goes with",
		`{"secret":"123456","signature":{"header":"X","algorithm":"md5"}}`:                                                                  "use one of",
		`{"secret":"123456","signature":{"header":"X","tolerance":{"past":"5m"}}}`:                                                          "it needs a timestamp",
		`{"secret":"*123456","signature":{"header":"X","key":{"encoding":"base64"}}}`:                                                       "the secret is not base64",
		`{"secret":"123456","signature":{"header":"X","algorithm":"ed25519","key":{"encoding":"hex"}}}`:                                     "an ed25519 public key",
		`{"secret":"123456","signature":{"header":"X","template":"{url}{body}"}}`:                                                           "configure this installation's webhook URL",
		`{"secret":"123456","signature":{"header":"X"},"url":"https://towpath.example/"}`:                                                   "leave it out",
		`{"secret":"123456","signature":{"header":"X"},"event":{"field":"a","header":"b"}}`:                                                 "name a field or a header, not both",
		`{"secret":"123456","signature":{"header":"X"},"id":{"header":"a b"}}`:                                                              "is no header's name",
		`{"secret":"123456","signature":{"header":"X"},"id":{"header":"x"}}`:                                                                "name another one",
		`{"secret":"123456","signature":{"header":"X"},"key":{"field":"a..b"}}`:                                                             "write the names on the way",
		`{"secret":"123456","signature":{"header":"X","timestamp":{"header":"T"},"template":"{timestamp}{body}","tolerance":{"past":"x"}}}`: "duration",
	} {
		_, err := generic.Integration.Configure(json.RawMessage(configuration))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "123456") {
			t.Errorf("%s: got %v, want %q", configuration, err, says)
		}
	}
	handlerstest.Misconfigured(t, generic.Integration, map[string]string{
		"no secret":                   `{"platform":"zendesk"}`,
		"an unknown field":            `{"secret":"123456","signature":{"header":"X","salt":"y"}}`,
		"no header":                   `{"secret":"123456","signature":{"prefix":"v1="}}`,
		"half a handshake":            `{"secret":"123456","platform":"zendesk","handshake":{"field":"type"}}`,
		"a handshake without a value": `{"secret":"123456","platform":"zendesk","handshake":{"field":"type","value":"","answer":"challenge"}}`,
		"an empty list":               `{"secret":[],"platform":"zendesk"}`,
		"a secret of nothing":         `{"secret":" ","platform":"zendesk"}`,
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for name, scheme := range map[string]handlerstest.Scheme{
		"hmac":             {Header: "X-Acme-Signature", Tolerance: 5 * time.Minute},
		"in pairs":         {Header: "X-Acme-Signature", Tolerance: 10 * time.Minute, AnyFuture: true},
		"time in the body": {Header: "X-Acme-Signature", Tolerance: 5 * time.Minute},
		"with the URL": {Header: "X-Acme-Signature", Undated: true, Also: map[string]func(*events.Request){
			"another path": func(r *events.Request) { r.Path = "/other" },
			"a query":      func(r *events.Request) { r.Query = "a=1" },
		}},
		"a header": {Header: "X-Acme-Auth", Undated: true, BodyUnsigned: true},
		"zendesk":  {Header: "X-Zendesk-Webhook-Signature", Undated: true},
		"twilio":   {Header: "X-Twilio-Signature", Undated: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme.Sample, scheme.Secret = "event", "secret"
			handlerstest.Refusals(t, install(t, name), scheme)
		})
	}
}

func TestASecretInTheQueryIsComparedAndNotStored(t *testing.T) {
	t.Parallel()
	kit := install(t, "the query")
	for query, ok := range map[string]bool{
		"key=" + secret: true, "a=1&key=" + secret + "&b": true, "": false, "key=": false, "key=other": false, "key=" + secret + "&key=other": false,
		"key=" + secret + "&key=" + secret: false, "KEY=" + secret: false, "key=" + secret + "&%zz": false,
	} {
		r := kit.Sample("event", handlers.SampleArgs{})
		r.Query = query
		if o := kit.Webhook(r); (o.Refused == nil) != ok {
			t.Errorf("%s: %v", query, o.Refused)
		}
	}
	r := kit.Sample("event", handlers.SampleArgs{})
	r.Query = "a=1&k%65y=" + secret + "&b"
	kept := kit.Installed.Stored(r)
	if kept.Query != "a=1&b" || kept.Header.Get("X-Idempotency-Token") != "0SAMPLE1" || !strings.Contains(r.Query, secret) {
		t.Errorf("stored is %q, %v", kept.Query, kept.Header)
	}
}

func TestASecretInAHeaderIsNotStored(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a header", "hmac"} {
		kit := install(t, name)
		r := kit.Sample("event", handlers.SampleArgs{})
		for header := range kit.Installed.Stored(r).Header {
			if slices.Contains([]string{"X-Acme-Auth", "X-Acme-Signature"}, header) {
				t.Errorf("%s: %s is stored", name, header)
			}
		}
	}
}

func TestVerifyTakesBothSecretsWhileOneIsRotated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hmac", "a header"} {
		before, err := generic.Integration.Configure(json.RawMessage(strings.Replace(configurations[name], `["`+secret+`",`, `[`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		r, err := before.Sample("event", handlers.SampleArgs{ID: "1", Now: handlerstest.Now})
		if err != nil {
			t.Fatal(err)
		}
		if o := install(t, name).Webhook(r); o.Refused != nil || o.Err != nil {
			t.Errorf("%s: %v, %v", name, o.Refused, o.Err)
		}
	}
}

// The vectors say themselves how they are signed.
func TestVectors(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join(handlerstest.Data(t), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		handlerstest.Vector
		Scheme struct {
			Header    string `json:"header"`
			Algorithm string `json:"algo"`
			Encoding  string `json:"encoding"`
			Prefix    string `json:"prefix"`
		} `json:"scheme"`
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range all {
		if v.Platform != "generic-hmac" {
			continue
		}
		n++
		configuration, err := json.Marshal(map[string]any{"secret": v.Secret, "signature": map[string]string{
			"header": v.Scheme.Header, "algorithm": v.Scheme.Algorithm, "encoding": v.Scheme.Encoding, "prefix": v.Scheme.Prefix,
		}})
		if err != nil {
			t.Fatal(err)
		}
		installed, err := generic.Integration.Configure(configuration)
		if err != nil {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		if err := installed.Verify(v.Request(), time.Unix(v.Now, 0)); (err == nil) != v.Valid {
			t.Errorf("%s: got %v, want valid: %v", v.ID, err, v.Valid)
		}
	}
	if n == 0 {
		t.Error("there are no vectors")
	}
}

func TestEventIsReceivedOnce(t *testing.T) {
	t.Parallel()
	kit := install(t, "hmac")
	o := kit.Webhook(kit.Sample("event", handlers.SampleArgs{}))
	if o.Err != nil || len(o.Parts) != 1 || o.Parts[0].ID != "0SAMPLE1" || o.Parts[0].Key != "C0TOWPATH" {
		t.Fatalf("%v, %+v", o.Err, o.Parts)
	}
	fired := handlerstest.Fired(o, open.EventReceived)
	if len(fired) != 1 || fired[0].ID != "0SAMPLE1" || fired[0].Type != "sample.created" || !strings.Contains(string(fired[0].Payload), `"note":"hello"`) {
		t.Errorf("fired %+v", fired)
	}
	if again := kit.Retry(o); again.Err != nil || again.Events[0].ID != o.Events[0].ID {
		t.Errorf("again: %v, %v", again.Err, again.Events)
	}
	later := kit.Webhook(kit.Sample("event", handlers.SampleArgs{Now: handlerstest.Now.Add(time.Minute), Text: "the same"}))
	if later.Parts[0].DeliveryID != o.Parts[0].DeliveryID {
		t.Error("sent again, it is another delivery")
	}
}

func TestWhereThingsAreFound(t *testing.T) {
	t.Parallel()
	form := post("type=a&id=1")
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, tc := range map[string]struct {
		kit     string
		request *events.Request
		want    open.Event
	}{
		"a field and a header": {"hmac", post(`{"event":{"type":"opened"},"n":12345678901234567890}`),
			open.Event{ID: "d1", Type: "opened", Payload: json.RawMessage(`{"event":{"type":"opened"},"n":12345678901234567890}`)}},
		"no type": {"hmac", post(`[]`), open.Event{ID: "d1", Payload: json.RawMessage(`[]`)}},
		"a form":  {"zendesk", form, open.Event{ID: "1", Type: "a", Payload: json.RawMessage(`{"id":"1","type":"a"}`)}},
		"more than a bot is told": {"hmac", post(`"` + strings.Repeat("a", 130_000) + `"`),
			open.Event{ID: "d1", Payload: json.RawMessage(`null`), Omitted: true}},
		"more than a bot is told, once it is encoded": {"hmac", post(`"` + strings.Repeat("<", 25_000) + `"`),
			open.Event{ID: "d1", Payload: json.RawMessage(`null`), Omitted: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t, tc.kit).Unsigned(tc.request)
			if o.Refused != nil || o.Err != nil {
				t.Fatal(o.Refused, o.Err)
			}
			if diff := cmp.Diff([]open.Event{tc.want}, handlerstest.Fired(o, open.EventReceived)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	handlerstest.Splits(t, install(t, "hmac"), map[string]handlerstest.Splitting{
		"about something": {Request: post(`{"event":{"ticket":{"id":7}}}`), Want: []handlers.Part{{ID: "d1", Key: "7"}}},
		"about nothing":   {Request: post(`{}`), Want: []handlers.Part{{ID: "d1"}}},
		"no JSON":         {Request: post(`{`), Fault: "neither JSON nor a form"},
		"no id":           {Request: &events.Request{Body: []byte(`{}`)}, Fault: "header X-Acme-Delivery is missing"},
	})
	handlerstest.Splits(t, install(t, "a header"), map[string]handlerstest.Splitting{
		"known by its body": {Request: post(`{}`), Want: []handlers.Part{{}}},
	})
	handlerstest.Splits(t, install(t, "zendesk"), map[string]handlerstest.Splitting{
		"no field with the id": {Request: post(`{}`), Fault: "field id is missing"},
	})
}

func TestHandshakeIsAnsweredOnceItIsVerified(t *testing.T) {
	t.Parallel()
	kit := install(t, "hmac")
	r := kit.Sample("handshake", handlers.SampleArgs{})
	if o := kit.Webhook(r); !o.Handshake || string(o.Response.Body) != "0SAMPLE1" || o.Response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %+v", o)
	}
	r.Header.Del("X-Acme-Signature")
	if o := kit.Webhook(r); o.Refused == nil || o.Handshake {
		t.Errorf("unsigned: %+v", o)
	}
	for _, body := range []string{`{"type":"other","challenge":"x"}`, `{"type":"url_verification"}`, `{"challenge":"x"}`, `x`} {
		if o := kit.Unsigned(post(body)); o.Handshake {
			t.Errorf("%s is answered", body)
		}
	}
	if o := install(t, "zendesk").Unsigned(post(`{"id":"1"}`)); o.Handshake {
		t.Error("answered what nobody configured")
	}
}

func TestAKeyThatOnlyVerifiesMakesNoSamples(t *testing.T) {
	t.Parallel()
	installed, err := generic.Integration.Configure(json.RawMessage(`{"secret":"` + strings.Repeat("5b", 32) + `","platform":"discord"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := installed.Sample("event", handlers.SampleArgs{ID: "1", Now: handlerstest.Now}); err == nil || !strings.Contains(err.Error(), "cannot sign itself") {
		t.Errorf("got %v", err)
	}
}

func TestStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t, "hmac")
	kit.StoreFails(errors.New("the store is away"))
	if o := kit.Webhook(kit.Sample("event", handlers.SampleArgs{})); o.Verdict.Decision != handlers.Retry {
		t.Errorf("verdict is %+v", o.Verdict)
	}
}

func TestRegisterSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if o := install(t, "hmac").Register(); o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], handlerstest.WebhookURL) {
		t.Errorf("%v, told %q", o.Err, o.Told)
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: generic.Integration, Configuration: configurations["hmac"], Forgetful: true})
	f.Add([]byte(`{"event":{"type":"a","ticket":{"id":[{}]}}}`))
	f.Add([]byte(`{"type":"url_verification","challenge":1e999}`))
	f.Add(kit.Sample("event", handlers.SampleArgs{}).Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(post(string(body)))
		if o.Refused == nil && o.Err != nil {
			t.Errorf("split took what the handler does not: %v", o.Err)
		}
	})
}

func FuzzConfigure(f *testing.F) {
	for _, configuration := range configurations {
		f.Add([]byte(configuration))
	}
	f.Fuzz(func(t *testing.T, configuration []byte) {
		installed, err := generic.Integration.Configure(configuration)
		if err != nil {
			return
		}
		if installed.Verify(&events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{}, Body: []byte(`{}`)}, handlerstest.Now) == nil {
			t.Error("what was taken verifies a request without any proof")
		}
	})
}
