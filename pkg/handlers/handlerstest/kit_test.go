package handlerstest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const configuration = `{"token":"token-not-to-be-told","secret":["current-secret","previous-secret"]}`

func room(name string) client.Tags { return client.Tags{"room": name} }

func TestWebhookBecomesAMessage(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	o := kit.Webhook(kit.Sample("said", handlers.SampleArgs{ID: "h-1", Text: "tea", Conversation: "R1"}))
	if o.Status != 200 || o.Refused != nil || o.Err != nil || o.Verdict.Decision != handlers.Done || o.Awaited {
		t.Fatalf("outcome is %+v", o)
	}
	if len(o.Parts) != 1 || o.Parts[0].ID != "h-1" || o.Parts[0].Key != "R1" || !strings.HasPrefix(o.Parts[0].DeliveryID, "dlv_") {
		t.Errorf("parts are %+v", o.Parts)
	}
	if diff := cmp.Diff([]string{"getOrCreateConversation", "getOrCreateUser", "createMessage"}, o.Effects()); diff != "" {
		t.Error(diff)
	}
	if len(o.Messages) != 1 || string(o.Messages[0].Payload) != `{"text":"tea"}` || o.Messages[0].Tags["id"] != "h-1" || o.Messages[0].Direction != client.Incoming {
		t.Errorf("messages are %+v", o.Messages)
	}
	again := kit.Retry(o)
	if again.Messages[0].ID != o.Messages[0].ID {
		t.Error("another attempt made another message")
	}
	if got := kit.Conversation("", room("R1")); got.ID != o.Messages[0].ConversationID {
		t.Errorf("conversation is %+v", got)
	}
}

func TestWebhookWithSeveralParts(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	o := kit.Unsigned(&events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Authorization": {"gone by then"}},
		Body: []byte(`[{"id":"1","room":"A","name":"x"},{"id":"2","room":"B","text":"panic"},{"id":"3","room":"A","name":"y"}]`)})
	if diff := cmp.Diff([]rename{{"A", "x"}, {"A", "y"}}, handlerstest.Fired(o, renamed)); diff != "" {
		t.Error(diff)
	}
	if len(o.Events) != 2 || o.Events[0].Type != "acme:renamed" {
		t.Errorf("events are %+v", o.Events)
	}
	if o.Verdict.Decision != handlers.Retry || o.Err == nil || o.Parts[1].Err == nil || o.Parts[2].Err != nil || string(o.Parts[2].Body) != `{"id":"3","room":"A","name":"y"}` {
		t.Errorf("outcome is %+v", o)
	}
}

func TestWebhookThatIsNotTaken(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	for name, tc := range map[string]struct {
		body   string
		status int
	}{"unsigned": {"[]", 401}, "too large": {strings.Repeat(" ", 2<<20+1), 413}} {
		if o := kit.Webhook(&events.Request{Body: []byte(tc.body)}); o.Status != tc.status || o.Refused == nil || len(o.Parts) > 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := kit.Unsigned(&events.Request{Body: []byte("{")}); o.Status != 400 || o.Refused == nil {
		t.Errorf("malformed: %+v", o)
	}
	if o := kit.Unsigned(&events.Request{Body: []byte("[{},{}]"), Path: "/ask"}); o.Status != 400 {
		t.Errorf("two that want one answer: %+v", o)
	}
}

func TestAnswersOfTheHandshakeAndOfTheHandler(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	if o := kit.Unsigned(&events.Request{Body: []byte("hello?")}); !o.Handshake || string(o.Response.Body) != "hello?" || len(o.Parts) > 0 {
		t.Errorf("handshake: %+v", o)
	}
	if o := kit.Unsigned(&events.Request{Path: "/ask", Body: []byte(`[{"room":"A","text":"a"}]`)}); !o.Awaited || o.Response.Status != http.StatusAccepted {
		t.Errorf("awaited: %+v", o)
	}
}

func TestMessageIsSentAckedAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	kit.Script(fake.Rule{Path: "/messages", Status: 429, Headers: map[string]string{"Retry-After": "3"}, Times: 1})
	o := kit.Send(handlerstest.Message{Payload: events.Text{Text: "tea"}, Conversation: room("R1"), Tags: client.Tags{"id": "draft"}})
	if o.Verdict.Decision != handlers.Retry || o.Verdict.After != 3*time.Second || o.Message.Status != client.Sending || o.Ambiguous {
		t.Fatalf("limited: %+v", o)
	}
	o = kit.Retry(o)
	if o.Err != nil || o.Message.Status != client.Sent || o.Message.AckedAt == nil || o.Message.Tags["id"] != "m-1" {
		t.Fatalf("sent: %+v", o)
	}
	if diff := cmp.Diff([]client.Tags{{"id": "m-1"}}, o.Acks); diff != "" {
		t.Error(diff)
	}
	if len(o.Requests) != 1 || o.Requests[0].Path != "/messages" || !o.Requests[0].Accepted || len(kit.Requests()) != 2 {
		t.Errorf("requests are %+v", o.Requests)
	}
	if o = kit.Retry(o); !o.Skipped || len(o.Requests) > 0 {
		t.Errorf("after the ack: %+v", o)
	}
}

func TestWhatCannotBeSentFails(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	o := kit.Send(handlerstest.Message{Type: "image", Payload: `{"imageUrl":"https://example.com/a.png"}`, Conversation: room("R1")})
	if o.Verdict.Decision != handlers.GiveUp || o.Message.Status != client.Failed {
		t.Errorf("outcome is %+v", o)
	}
	kit.Script(fake.Rule{AfterAccept: true})
	if o := kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: room("R1")}); !o.Ambiguous || o.Message.Ambiguous != 1 {
		t.Errorf("lost answer: %+v", o)
	}
}

func TestActionsRegistrationAndStates(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	o := kit.Action("rename", rename{"R1", "Tea"})
	if o.Err != nil || string(o.Action.Output) != `{"room":"R1","name":"Tea"}` || o.Action.Cost != 2 || o.Requests[0].Path != "/rooms/R1" {
		t.Errorf("action: %+v", o)
	}
	if o := kit.Action("rename", `{"room":7}`); o.Verdict.Decision != handlers.GiveUp {
		t.Errorf("a wrong input: %+v", o)
	}
	if o := kit.Register(); o.Err != nil || string(kit.State("hook")) != `{"url":"`+handlerstest.WebhookURL+`"}` || !strings.HasPrefix(o.Told[0], "registered") {
		t.Errorf("registered: %+v, state %s", o, kit.State("hook"))
	}
	if o := kit.Unregister(); o.Err != nil || kit.State("hook") != nil {
		t.Errorf("unregistered: %+v", o)
	}
	kit.SetState("hook", acmeHook{"x"})
	if string(kit.State("hook")) != `{"url":"x"}` {
		t.Error("state is not set")
	}
	if o := kit.Ping(); o.Err != nil {
		t.Errorf("ping: %+v", o)
	}
}

func TestStoreCanFail(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	away := errors.New("away")
	kit.StoreFails(away)
	if o := kit.Register(); !errors.Is(o.Err, away) || o.Verdict.Decision != handlers.Retry {
		t.Errorf("outcome is %+v", o)
	}
	kit.StoreFails(nil)
	if o := kit.Register(); o.Err != nil {
		t.Errorf("outcome is %+v", o)
	}
}

func TestNothingReachesTheNetwork(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, `{"token":"t","secret":"s","apiUrl":"https://acme.example"}`)
	if o := kit.Action("rename", rename{"R1", "Tea"}); o.Err == nil || !strings.Contains(o.Err.Error(), "honour apiUrl") {
		t.Errorf("outcome is %+v", o)
	}
}

// noting is a test that may fail.
type noting struct {
	testing.TB
	faults []string
}

func (n *noting) Helper()                   {}
func (n *noting) Errorf(f string, _ ...any) { n.faults = append(n.faults, f) }

func TestSecretsThatAreToldAreFound(t *testing.T) {
	t.Parallel()
	kit, test := handlerstest.New(t, acme, configuration), &noting{TB: t}
	told := kit.With(test)
	told.Unsigned(&events.Request{Body: []byte(`[{"room":"A","text":"leak"}]`)})
	if len(test.faults) != 1 || !strings.Contains(test.faults[0], "the log tells a secret") {
		t.Errorf("faults are %q", test.faults)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, handlerstest.New(t, acme, configuration), handlerstest.Scheme{
		Sample: "said", Header: "X-Slack-Signature", Secret: "secret", Tolerance: 5 * time.Minute,
	})
}

func TestManyKitsDoNotKnowEachOther(t *testing.T) {
	t.Parallel()
	for range 40 { // more than one town has places for
		kit := handlerstest.New(t, acme, configuration)
		if kit.State("hook") != nil {
			t.Fatal("somebody else's state")
		}
		kit.Register()
	}
}

func TestTablesForEveryPlatform(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, acme, configuration)
	handlerstest.Samples(t, kit)
	handlerstest.Misconfigured(t, acme, map[string]string{
		"an empty token": `{"token":"","secret":"s"}`, "no object": `[]`, "nothing": ``,
		"a field that is not Acme's": `{"token":"token-not-to-be-told","secret":"s","shop":"x"}`,
	})
	handlerstest.Splits(t, kit, map[string]handlerstest.Splitting{
		"none":    {Request: &events.Request{Body: []byte(`[]`)}, Want: []handlers.Part{}},
		"one":     {Request: &events.Request{Body: []byte(`[{"id":"1","room":"A"}]`)}, Want: []handlers.Part{{ID: "1", Key: "A", Body: []byte(`{"id":"1","room":"A"}`)}}},
		"no JSON": {Request: &events.Request{Body: []byte(`x`)}, Fault: "decode body"},
	})
}

func FuzzForgetfulKit(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: acme, Configuration: configuration, Forgetful: true})
	f.Add(kit.Sample("said", handlers.SampleArgs{}).Body)
	f.Add([]byte(`[{"id":"1","room":"A","name":"x"},{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(&events.Request{Body: body})
		if len(o.Parts) > 0 && o.Verdict.Decision == handlers.Done && len(o.Messages)+len(o.Events) != len(o.Parts) {
			t.Errorf("%d parts made %v", len(o.Parts), o.Effects())
		}
	})
}
