package standardwebhooks_test

import (
	"crypto/ed25519"
	"encoding/base64"
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
	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
	"github.com/towpath/towpath/pkg/handlers/standardwebhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret        = "whsec_bm90LXRvLWJlLXNlZW4tYnktYW55Ym9keQ=="
	previous      = "whsec_dGhlLW9uZS1iZWZvcmUtaXQtd2FzLXJvdGF0ZWQ="
	configuration = `{"secret":["` + secret + `","` + previous + `"],"key":"data.id"}`
)

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, standardwebhooks.Integration, configuration)
}

// post is an unsigned message.
func post(id, body string) *events.Request {
	return &events.Request{
		Method: http.MethodPost, Path: "/", Body: []byte(body),
		Header: http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {id}},
	}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, standardwebhooks.Integration, "testdata/definition.json")
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, standardwebhooks.Integration, map[string]string{
		"no secret":                  `{}`,
		"a secret that is too short": `{"secret":"whsec_c2hvcnQ="}`,
		"a secret that is no base64": `{"secret":"whsec_not base64, and long enough for all that"}`,
		"the sender's private key":   `{"secret":"whsk_bm90LXRvLWJlLXNlZW4tYnktYW55Ym9keSEhISE="}`,
		"half a public key":          `{"secret":"whpk_bm90LXRvLWJl"}`,
		"an API key":                 `{"secret":"` + secret + `","apiKey":"k"}`,
		"a path that leads nowhere":  `{"secret":"` + secret + `","key":"data..id"}`,
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	set := func(header, value string) func(*events.Request) {
		return func(r *events.Request) { r.Header.Set(header, value) }
	}
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "event", Header: "Webhook-Signature", Secret: "secret", Tolerance: 5 * time.Minute,
		Also: map[string]func(*events.Request){
			"another id":                set("Webhook-Id", "msg_other"),
			"an id of the other family": set("Svix-Id", "msg_other"),
			"another time":              set("Webhook-Timestamp", "1763717401"),
			"two ids":                   func(r *events.Request) { r.Header.Add("Webhook-Id", "msg_other") },
			"two signatures' families": func(r *events.Request) {
				r.Header.Set("Svix-Signature", r.Header.Get("Webhook-Signature"))
			},
		},
	})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, standardwebhooks.Integration, func(v handlerstest.Vector) string {
		encoded, err := json.Marshal(map[string]string{"secret": v.Secret})
		if err != nil {
			t.Error(err)
		}
		return string(encoded)
	})
}

func TestVerifyTakesBothSecretsWhileOneIsRotated(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for name, by := range map[string]string{"the current one": secret, "the one before": previous} {
		r := post("msg_1", `{"type":"a"}`)
		message := signature.Message{Header: r.Header, Body: r.Body}
		if err := (signature.StandardWebhooks{}).Sign(&message, by, handlerstest.Now); err != nil {
			t.Fatal(err)
		}
		if o := kit.Webhook(r); o.Refused != nil || o.Err != nil {
			t.Errorf("%s: %v, %v", name, o.Refused, o.Err)
		}
	}
}

// A sender may sign with ed25519, whose key to verify is public; Svix's headers
// have names of their own.
func TestPublicKeysAndSvixHeadersVerify(t *testing.T) {
	t.Parallel()
	private := ed25519.NewKeyFromSeed([]byte("a seed for a test, of 32 bytes.."))
	public := "whpk_" + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	kit := handlerstest.New(t, standardwebhooks.Integration, `{"secret":["`+public+`","`+secret+`"]}`)

	r := post("msg_1", `{"type":"a"}`)
	message := signature.Message{Header: r.Header, Body: r.Body}
	if err := (signature.StandardWebhooks{}).Sign(&message, "whsk_"+base64.StdEncoding.EncodeToString(private), handlerstest.Now); err != nil {
		t.Fatal(err)
	}
	if o := kit.Webhook(r); o.Refused != nil || o.Parts[0].ID != "msg_1" {
		t.Errorf("v1a: %v, %+v", o.Refused, o.Parts)
	}
	r.Body = append(r.Body, ' ')
	if kit.Webhook(r).Refused == nil {
		t.Error("v1a: a changed body was accepted")
	}

	svix := kit.Sample("event", handlers.SampleArgs{})
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		svix.Header.Set("Svix-"+name, svix.Header.Get("Webhook-"+name))
		svix.Header.Del("Webhook-" + name)
	}
	o := kit.Webhook(svix)
	if fired := handlerstest.Fired(o, open.EventReceived); o.Refused != nil || len(fired) != 1 || fired[0].ID != "msg_0SAMPLE1" {
		t.Errorf("svix: %v, %+v", o.Refused, fired)
	}
}

func TestAPublicKeyAloneMakesNoSamples(t *testing.T) {
	t.Parallel()
	public := "whpk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed([]byte("a seed for a test, of 32 bytes.."))[32:])
	installed, err := standardwebhooks.Integration.Configure(json.RawMessage(`{"secret":"` + public + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := installed.Sample("event", handlers.SampleArgs{}); err == nil || !strings.Contains(err.Error(), "whsec_") {
		t.Errorf("got %v", err)
	}
}

func TestEventIsReceivedOnce(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("event", handlers.SampleArgs{}))
	if o.Err != nil || len(o.Parts) != 1 || o.Parts[0].ID != "msg_0SAMPLE1" || o.Parts[0].Key != "C0TOWPATH" {
		t.Fatalf("%v, %+v", o.Err, o.Parts)
	}
	want := []open.Event{{ID: "msg_0SAMPLE1", Type: "contact.created", Payload: json.RawMessage(
		`{"data":{"id":"C0TOWPATH","name":"U0TOWPATH","note":"hello"},"timestamp":"2026-11-21T09:30:00Z","type":"contact.created"}`)}}
	if diff := cmp.Diff(want, handlerstest.Fired(o, open.EventReceived)); diff != "" {
		t.Error(diff)
	}
	if again := kit.Retry(o); again.Err != nil || again.Events[0].ID != o.Events[0].ID {
		t.Errorf("again: %v, %v", again.Err, again.Events)
	}
	later := kit.Webhook(kit.Sample("event", handlers.SampleArgs{Now: handlerstest.Now.Add(time.Minute), Text: "the same"}))
	if later.Parts[0].DeliveryID != o.Parts[0].DeliveryID {
		t.Error("sent again, it is another delivery")
	}
}

func TestTheTypeIsWhereTheConfigurationSays(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, standardwebhooks.Integration, `{"secret":"`+secret+`","event":"event_type"}`)
	o := kit.Unsigned(post("msg_1", `{"event_type":"transfer.done","type":"x","amount":12345678901234567890}`))
	want := []open.Event{{ID: "msg_1", Type: "transfer.done", Payload: json.RawMessage(`{"event_type":"transfer.done","type":"x","amount":12345678901234567890}`)}}
	if diff := cmp.Diff(want, handlerstest.Fired(o, open.EventReceived)); diff != "" || o.Parts[0].Key != "" {
		t.Errorf("key %q, %s", o.Parts[0].Key, diff)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	handlerstest.Splits(t, install(t), map[string]handlerstest.Splitting{
		"about a number":      {Request: post("msg_1", `{"data":{"id":820982911946154508}}`), Want: []handlers.Part{{ID: "msg_1", Key: "820982911946154508"}}},
		"about nothing":       {Request: post("msg_1", `{"type":"a"}`), Want: []handlers.Part{{ID: "msg_1"}}},
		"a list":              {Request: post("msg_1", `[1]`), Want: []handlers.Part{{ID: "msg_1"}}},
		"no JSON":             {Request: post("msg_1", `{`), Fault: "neither JSON nor a form"},
		"no id":               {Request: post("", `{}`), Fault: "webhook-id is missing"},
		"nothing":             {Request: post("msg_1", ``), Fault: "neither JSON nor a form"},
		"two values in a row": {Request: post("msg_1", `{} {}`), Fault: "neither JSON nor a form"},
	})
}

func TestStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.StoreFails(errors.New("the store is away"))
	if o := kit.Webhook(kit.Sample("event", handlers.SampleArgs{})); o.Verdict.Decision != handlers.Retry {
		t.Errorf("verdict is %+v", o.Verdict)
	}
}

func TestRegisterSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if o := install(t).Register(); o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], handlerstest.WebhookURL) {
		t.Errorf("%v, told %q", o.Err, o.Told)
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: standardwebhooks.Integration, Configuration: configuration, Forgetful: true})
	f.Add([]byte(`{"type":"a","data":{"id":[{}]}}`))
	f.Add([]byte(`[{"data":{"id":1e999}}]`))
	f.Add(kit.Sample("event", handlers.SampleArgs{}).Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(post("msg_1", string(body)))
		if o.Refused == nil && o.Err != nil {
			t.Errorf("split took what the handler does not: %v", o.Err)
		}
	})
}
