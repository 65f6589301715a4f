package slack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestRegisterRemembersWhoTheBotIs(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for range 2 { // registering again is nothing special
		o := kit.Register()
		if o.Err != nil || len(o.Told) == 0 || !strings.Contains(o.Told[0], "enter "+handlerstest.WebhookURL) {
			t.Fatalf("%v, owner was told %q", o.Err, o.Told)
		}
	}
	var stored slack.Webhook
	if err := json.Unmarshal(kit.State("webhook"), &stored); err != nil {
		t.Fatal(err)
	}
	want := slack.Webhook{WebhookURL: handlerstest.WebhookURL, TeamID: "T0TOWPATH1", BotID: "B0TOWPATH1", BotUserID: "U0TOWPATH1"}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if o := kit.Unregister(); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if left := kit.State("webhook"); left != nil {
		t.Errorf("state is left: %s", left)
	}
}

func TestRegisterFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fake.Rule
		want handlers.Decision
	}{
		"with a token that Slack refuses": {fake.Rule{Status: 200, Body: `{"ok":false,"error":"invalid_auth"}`}, handlers.Pause},
		"while Slack is away":             {fake.Rule{Status: 503}, handlers.Retry},
		"at something that is not Slack":  {fake.Rule{Status: 200, Body: `{"ok":true}`}, handlers.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			if o := kit.Register(); o.Verdict.Decision != tc.want {
				t.Errorf("%v is judged %s, want %s", o.Err, o.Verdict.Decision, tc.want)
			}
			if kit.State("webhook") != nil {
				t.Error("something was stored")
			}
		})
	}
}

func TestSamplesAreTaken(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}
