package whatsapp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// asked are method, path without query, and what was said of the webhook.
func asked(o handlerstest.Outcome) []string {
	var all []string
	for _, r := range o.Requests {
		path, _, _ := strings.Cut(r.Path, "?")
		all = append(all, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(path, "/v24.0")+" "+r.Body))
	}
	return all
}

func TestRegisterSetsTheNumbersWebhook(t *testing.T) {
	t.Parallel()
	kit := install(t)
	want := []string{
		"GET /106540352242922",
		`POST /106540352242922 {"webhook_configuration":{"override_callback_uri":"` + handlerstest.WebhookURL + `","verify_token":"verify-token-1234"}}`,
		`POST /106540352242922/conversational_automation {"enable_welcome_message":true}`,
	}
	for range 2 {
		o := kit.Register()
		if diff := cmp.Diff(want, asked(o)); diff != "" || o.Err != nil {
			t.Error(o.Err, diff)
		}
		if len(o.Told) != 1 || !strings.Contains(o.Told[0], handlerstest.WebhookURL) {
			t.Errorf("told %v", o.Told)
		}
	}
	if o := kit.Ping(); o.Err != nil || len(o.Requests) != 1 {
		t.Errorf("ping: %v after %d requests", o.Err, len(o.Requests))
	}
	want = []string{"GET /106540352242922", `POST /106540352242922 {"webhook_configuration":{"override_callback_uri":""}}`}
	if diff := cmp.Diff(want, asked(kit.Unregister())); diff != "" {
		t.Error(diff)
	}
	if state := string(kit.State("webhook")); state != "" && state != "null" {
		t.Errorf("left %s", state)
	}
	if o := kit.Unregister(); o.Err != nil || len(o.Requests) != 0 {
		t.Errorf("again: %v, %v", o.Err, asked(o))
	}
}

func TestUnregisterLeavesAnothersWebhook(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Register()
	kit.SetState("webhook", whatsapp.Webhook{WebhookURL: "https://towpath.example/webhooks/older"})
	if o := kit.Unregister(); o.Err != nil || len(o.Requests) != 1 {
		t.Errorf("%v, asked %v", o.Err, asked(o))
	}
}

func TestRegisterSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fake.Rule
		want handlers.Decision
		told string
	}{
		"the token":        {whatsapp.Refusal(190, "Error validating access token"), handlers.Pause, "check accessToken"},
		"the number":       {whatsapp.Refusal(100, "Unsupported get request"), handlers.GiveUp, "check phoneNumberId"},
		"for now":          {fake.Rule{Status: 503}, handlers.Retry, ""},
		"not Meta":         {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, ""},
		"the webhook":      {fake.Rule{Method: "POST", Path: "/v24.0/106540352242922", Status: 400, Body: `{"error":{"code":2200,"message":"Callback verification failed"}}`}, handlers.GiveUp, "verification failed"},
		"no welcome":       {fake.Rule{Path: "/v24.0/106540352242922/conversational_automation", Status: 403, Body: `{"error":{"code":200,"message":"no"}}`}, handlers.Done, ""},
		"welcome, for now": {fake.Rule{Path: "/v24.0/106540352242922/conversational_automation", Status: 500}, handlers.Retry, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Register()
			if o.Verdict.Decision != tc.want || !strings.Contains(o.Verdict.Message, tc.told) {
				t.Errorf("got %+v, %v", o.Verdict, o.Err)
			}
		})
	}
}
