package linear_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/linear"
)

func stored(t *testing.T, kit *handlerstest.Kit) linear.Webhook {
	t.Helper()
	var stored linear.Webhook
	if err := json.Unmarshal(kit.State("webhook"), &stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestRegisterCreatesTheWebhookAndUnregisterDeletesIt(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Register()
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	if diff := cmp.Diff("Viewer ListWebhooks CreateWebhook", names(t, o.Requests)); diff != "" {
		t.Error(diff)
	}
	want := `{"url":"` + handlerstest.WebhookURL + `","label":"Towpath","enabled":true,"allPublicTeams":true,"resourceTypes":["Issue","Comment"],"secret":"` + signingSecret + `"}`
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(arrived(t, o.Requests)[2].Variables.Input))); diff != "" {
		t.Error(diff)
	}
	if len(o.Told) != 1 || !strings.Contains(o.Told[0], "comments as Towpath Bot") {
		t.Errorf("told %q", o.Told)
	}
	made := stored(t, kit)
	if made.WebhookURL != handlerstest.WebhookURL || len(made.ID) != 36 {
		t.Errorf("stored %+v", made)
	}
	for _, o := range []handlerstest.Outcome{kit.Register(), kit.Retry(o)} {
		if o.Err != nil || names(t, o.Requests) != "Viewer ListWebhooks UpdateWebhook" || stored(t, kit) != made {
			t.Errorf("again: %v, %s", o.Err, names(t, o.Requests))
		}
	}

	o = kit.Unregister()
	if o.Err != nil || names(t, o.Requests) != "ListWebhooks DeleteWebhook" || kit.State("webhook") != nil {
		t.Errorf("unregister: %v, %s", o.Err, names(t, o.Requests))
	}
	if o = kit.Retry(o); o.Err != nil {
		t.Errorf("unregister again: %v", o.Err)
	}
	if o = kit.Register(); o.Err != nil || names(t, o.Requests) != "Viewer ListWebhooks CreateWebhook" {
		t.Errorf("register once more: %v, %s", o.Err, names(t, o.Requests))
	}
}

func TestRegisterMovesTheWebhookToANewURL(t *testing.T) {
	t.Parallel()
	kit := install(t)
	if o := kit.Register(); o.Err != nil {
		t.Fatal(o.Err)
	}
	made := stored(t, kit)
	o := kit.Run(events.Register, events.Registration{WebhookURL: "https://towpath.example/webhooks/w2"})
	if o.Err != nil || names(t, o.Requests) != "Viewer ListWebhooks UpdateWebhook" {
		t.Fatalf("%v, %s", o.Err, names(t, o.Requests))
	}
	if diff := cmp.Diff(linear.Webhook{WebhookURL: "https://towpath.example/webhooks/w2", ID: made.ID}, stored(t, kit)); diff != "" {
		t.Error(diff)
	}
}

func TestUnregisterTakesAWebhookThatIsGone(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.SetState("webhook", linear.Webhook{WebhookURL: handlerstest.WebhookURL, ID: "gone"})
	if o := kit.Unregister(); o.Err != nil || kit.State("webhook") != nil {
		t.Error(o.Err)
	}
}

func TestKeyThatMayNotSetUpWebhooksIsTold(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(fake.Rule{Delay: 1, Times: 1}, // lets the first pass
		fake.Rule{Status: 400, Body: `{"errors":[{"message":"no","extensions":{"type":"forbidden","code":"FORBIDDEN"}}]}`})
	o := kit.Register()
	if o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "by hand") || !strings.Contains(o.Told[0], handlerstest.WebhookURL) {
		t.Fatalf("%v, told %q", o.Err, o.Told)
	}
	if diff := cmp.Diff(linear.Webhook{WebhookURL: handlerstest.WebhookURL}, stored(t, kit)); diff != "" {
		t.Error(diff)
	}
	o = kit.Unregister()
	if o.Err != nil || len(o.Told) != 1 || len(o.Requests) != 0 || kit.State("webhook") != nil {
		t.Errorf("unregister: %v, told %q", o.Err, o.Told)
	}
}

func TestRegisterJudges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fake.Rule
		want handlers.Decision
	}{
		"a key that is refused": {fake.Rule{Status: 401, Body: `{"errors":[{"message":"no","extensions":{"type":"authentication error"}}]}`}, handlers.Pause},
		"Linear is not well":    {fake.Rule{Status: 503}, handlers.Retry},
		"another API":           {fake.Rule{Status: 200, Body: `{}`}, handlers.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			if o := kit.Register(); o.Verdict.Decision != tc.want || kit.State("webhook") != nil {
				t.Errorf("%v is judged %+v", o.Err, o.Verdict)
			}
		})
	}
}

func TestOAuthTokenIsABearers(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"lin_oauth_12345678", "lin_api_12345678"} {
		kit := handlerstest.New(t, linear.Integration, `{"apiKey":"`+key+`","webhookSigningSecret":"s-12345678"}`)
		if o := kit.Send(onIssue(events.Text{Text: "a"})); o.Err != nil {
			t.Errorf("%s: %v", key, o.Err)
		}
	}
}
