package whatsapp_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

func TestVerifyRefusesWhatIsNotMetas(t *testing.T) {
	t.Parallel()
	kit := install(t)
	handlerstest.Refusals(t, kit, handlerstest.Scheme{
		Sample: "message", Header: "X-Hub-Signature-256", Secret: "appSecret", Undated: true,
		Also: map[string]func(*events.Request){
			"the SHA-1 signature alone": func(r *events.Request) {
				r.Header = http.Header{"X-Hub-Signature": {"sha1=" + r.Header.Get("X-Hub-Signature-256")[len("sha256="):][:40]}}
			},
			"another method, unsigned": func(r *events.Request) { r.Method, r.Header = http.MethodPut, http.Header{} },
			"two signatures":           func(r *events.Request) { r.Header.Add("X-Hub-Signature-256", r.Header.Get("X-Hub-Signature-256")) },
		},
	})
}

func TestASecretThatIsRotatedOutStillVerifies(t *testing.T) {
	t.Parallel()
	old := install(t)
	kit := handlerstest.New(t, whatsapp.Integration, strings.Replace(configuration, `"app-secret-1234"`, `["app-secret-5678","app-secret-1234"]`, 1))
	if o := kit.Webhook(old.Sample("message", handlers.SampleArgs{})); o.Refused != nil || len(o.Messages) != 1 {
		t.Errorf("got %v, %d messages", o.Refused, len(o.Messages))
	}
}

func TestHandshakeAnswersWhoKnowsTheToken(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, whatsapp.Integration, strings.Replace(configuration, `"verify-token-1234"`, `["verify-token-5678","verify-token-1234"]`, 1))
	o := kit.Webhook(kit.Sample("hub.challenge", handlers.SampleArgs{ID: "1158201444"}))
	if !o.Handshake || o.Response.Status != 200 || string(o.Response.Body) != "1158201444" || o.Response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %+v", o.Response)
	}
	for name, tc := range map[string]struct {
		query  url.Values
		status int
	}{
		"the current token":   {url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1"}, "hub.verify_token": {"verify-token-5678"}}, 200},
		"the token before it": {url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1"}, "hub.verify_token": {"verify-token-1234"}}, 200},
		"a wrong token":       {url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1"}, "hub.verify_token": {"wrong"}}, 403},
		"an empty token":      {url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1"}, "hub.verify_token": {""}}, 403},
		"no token":            {url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1"}}, 403},
		"another mode":        {url.Values{"hub.mode": {"unsubscribe"}, "hub.challenge": {"1"}, "hub.verify_token": {"verify-token-5678"}}, 403},
		"no challenge":        {url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {"verify-token-5678"}}, 403},
		"nothing":             {nil, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := kit.With(t).Webhook(&events.Request{Method: http.MethodGet, Path: "/", Query: tc.query.Encode(), Header: http.Header{}})
			if !o.Handshake || o.Response.Status != tc.status || tc.status == 403 && strings.Contains(string(o.Response.Body), "1") {
				t.Errorf("got %+v", o.Response)
			}
		})
	}
	if o := kit.Webhook(&events.Request{Method: http.MethodGet, Query: "%zz", Header: http.Header{}}); o.Response.Status != 403 {
		t.Errorf("a broken query got %+v", o.Response)
	}
}

// Three messages and two statuses in one request are five deliveries, each known
// by an id of its own however they come again.
func TestABatchIsTakenApart(t *testing.T) {
	t.Parallel()
	kit := install(t)
	batch := kit.Webhook(kit.Sample("batch", handlers.SampleArgs{User: "16505551234", Text: "hello"}))
	var ids, keys []string
	deliveries := map[string]bool{}
	for _, part := range batch.Parts {
		ids, keys = append(ids, part.ID), append(keys, part.Key)
		deliveries[part.DeliveryID] = true
		if n := strings.Count(string(part.Body), `"wamid.`); n != 1 {
			t.Errorf("a part tells of %d things: %s", n, part.Body)
		}
	}
	want := []string{"wamid.0SAMPLE1.1", "wamid.0SAMPLE1.2", "wamid.0SAMPLE1.3", "wamid.0SAMPLE1:sent", "wamid.0SAMPLE1:delivered"}
	if diff := cmp.Diff(want, ids); diff != "" || len(deliveries) != 5 {
		t.Errorf("%d deliveries: %s", len(deliveries), diff)
	}
	if diff := cmp.Diff([]string{"16505551234", "16505551234", "16505551234", "16505551234", "16505551234"}, keys); diff != "" {
		t.Error(diff)
	}
	if len(batch.Messages) != 3 || len(handlerstest.Fired(batch, whatsapp.ConversationStarted)) != 1 {
		t.Errorf("%d messages, events %v", len(batch.Messages), batch.Events)
	}
	for i, m := range batch.Messages {
		same(t, `{"text":"hello `+string(rune('1'+i))+`"}`, m.Payload)
	}
	// The second of them comes again, alone: it is the same delivery.
	again := kit.Unsigned(&events.Request{Method: "POST", Header: http.Header{}, Body: batch.Parts[1].Body})
	if len(again.Parts) != 1 || again.Parts[0].DeliveryID != batch.Parts[1].DeliveryID {
		t.Errorf("got %+v", again.Parts)
	}
	if len(again.Messages) != 0 && again.Messages[0].ID != batch.Messages[1].ID {
		t.Errorf("made %+v", again.Messages)
	}
}

func TestSplitKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Unsigned(post(`{"object":"whatsapp_business_account","entry":[
		{"id":"1","changes":[
			{"field":"account_update","value":{"event":"VERIFIED_ACCOUNT"}},
			{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106540352242922"},"messages":[
				{"from":"16505551234","id":"wamid.A","type":"text","timestamp":"1700000000","text":{"body":"a"}},
				{"from":"16505551235","id":"wamid.B","type":"hologram","timestamp":"1700000000","hologram":{}},
				{"from":"16505551236","id":"wamid.C","type":"text","timestamp":"1700000000","text":{"body":"c"}}]}},
			{"field":"messages","value":{"metadata":{"phone_number_id":"106540352242922"},"errors":[{"code":130429,"title":"Rate limit hit"}]}},
			{"field":"messages","value":"surprise"}]},
		{"id":"2","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"106540352242922"},"statuses":[
			{"id":"wamid.D","status":"warped","recipient_id":"16505551234"},{"status":"sent"}]}}]}]}`))
	if len(o.Parts) != 8 {
		t.Fatalf("%d parts, %v", len(o.Parts), o.Refused)
	}
	if len(o.Messages) != 2 {
		t.Errorf("made %d messages", len(o.Messages))
	}
	for i, part := range o.Parts {
		want := handlers.Done
		if i == 5 { // the surprise
			want = handlers.GiveUp
		}
		if part.Verdict.Decision != want {
			t.Errorf("part %d: %+v, %v", i, part.Verdict, part.Err)
		}
	}
	told := strings.Join(o.Told, "\n")
	for _, want := range []string{`"hologram"`, "Rate limit hit (130429)"} {
		if !strings.Contains(told, want) {
			t.Errorf("the owner is not told of %s: %s", want, told)
		}
	}
}

func TestSplitRefusesWhatIsNotWhatsApps(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, body := range []string{``, `[]`, `{}`, `{"object":"page","entry":[]}`, `{"object":`, `null`} {
		if o := kit.Unsigned(post(body)); o.Status != http.StatusBadRequest {
			t.Errorf("%q got %d", body, o.Status)
		}
	}
	if o := kit.Unsigned(post(`{"object":"whatsapp_business_account","entry":[]}`)); o.Refused != nil || len(o.Parts) != 0 {
		t.Errorf("an empty batch got %+v", o)
	}
}

func TestWhatIsAboutAnotherNumberIsPassedOver(t *testing.T) {
	t.Parallel()
	kit := install(t)
	r := kit.Sample("message", handlers.SampleArgs{})
	r.Body = []byte(strings.ReplaceAll(string(r.Body), "106540352242922", "999"))
	o := kit.Unsigned(r)
	if o.Verdict.Decision != handlers.Done || len(o.Calls) != 0 || len(o.Told) != 1 || !strings.Contains(o.Told[0], "999") {
		t.Errorf("asked %d times, told %v", len(o.Calls), o.Told)
	}
}

func post(body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{}, Body: []byte(body)}
}

func FuzzWebhook(f *testing.F) {
	installed, err := whatsapp.Integration.Configure(json.RawMessage(configuration))
	if err != nil {
		f.Fatal(err)
	}
	for name := range whatsapp.Integration.Samples {
		r, err := installed.Sample(name, handlers.SampleArgs{ID: "1", Text: "hé", User: "16505551234", Conversation: "c", Now: handlerstest.Now})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Body)
	}
	f.Add([]byte(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"messages":[null,1,{}],"statuses":[[]]}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		parts, err := installed.Split(post(string(body)))
		if err != nil {
			return
		}
		for _, part := range parts {
			again, err := installed.Split(post(string(part.Body)))
			if err != nil || len(again) != 1 || again[0].ID != part.ID || again[0].Key != part.Key {
				t.Errorf("part %+v becomes %+v, %v", part, again, err)
			}
		}
	})
}

// FuzzHandle lets the handler run on whatever a part may hold.
func FuzzHandle(f *testing.F) {
	for _, seed := range []string{
		`{"from":"16505551234","id":"wamid.A","type":"text","timestamp":"1700000000","text":{"body":"a"}}`,
		`{"from":"16505551234","id":"wamid.A","type":"order","timestamp":1,"order":{"product_items":[{"quantity":"x"}]}}`,
		`{"from":"16505551234","id":"wamid.A","type":"contacts","contacts":[{"name":7}]}`,
		`{"from":"1","id":"wamid.A","type":"edit","edit":{"message":{"type":"edit"}}}`,
		`{"from":"1","id":"wamid.A","type":"image"}`, `{"type":"system","system":{}}`, `{}`, `null`, `[]`,
	} {
		f.Add(seed)
	}
	kit := handlerstest.Start(f, handlerstest.Config{Integration: whatsapp.Integration, Configuration: configuration, Forgetful: true})
	f.Fuzz(func(t *testing.T, message string) {
		if !json.Valid([]byte(message)) {
			return
		}
		o := kit.With(t).Unsigned(post(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"messages":[` + message + `]}}]}]}`))
		if o.Err != nil && strings.Contains(o.Err.Error(), "panic") {
			t.Error(o.Err)
		}
	})
}
