package slack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

const webhookURL = "https://towpath.example/webhooks/w1"

func TestRegisterRemembersWhoTheBotIs(t *testing.T) {
	t.Parallel()
	i := install(t)
	for range 2 { // registering again is nothing special
		if err := i.Register(t.Context(), i.base, webhookURL); err != nil {
			t.Fatal(err)
		}
	}
	var stored slack.Webhook
	if err := json.Unmarshal(i.recorder.states["webhook"], &stored); err != nil {
		t.Fatal(err)
	}
	want := slack.Webhook{WebhookURL: webhookURL, TeamID: "T0TOWPATH1", BotID: "B0TOWPATH1", BotUserID: "U0TOWPATH1"}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Error(diff)
	}
	if lines := i.log.all(); len(lines) == 0 || !strings.Contains(lines[0], "enter "+webhookURL) {
		t.Errorf("owner was told %q", lines)
	}
	for range 2 {
		if err := i.Unregister(t.Context(), i.base, webhookURL); err != nil {
			t.Fatal(err)
		}
	}
	if len(i.recorder.states) > 0 {
		t.Errorf("states are left: %s", i.recorder.states)
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
			i := install(t)
			if err := i.platform.Script(tc.rule); err != nil {
				t.Fatal(err)
			}
			if err := i.Register(t.Context(), i.base, webhookURL); decision(err) != tc.want {
				t.Errorf("%v is judged %s, want %s", err, decision(err), tc.want)
			}
			if len(i.recorder.states) > 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestEverySampleIsSignedWithTheCurrentSecret(t *testing.T) {
	t.Parallel()
	current := configure(t, map[string]any{"botToken": "t", "signingSecret": "current"})
	for name := range slack.Integration.Samples {
		if err := current.Verify(install(t).sample(t, name, sampleArgs()), now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
