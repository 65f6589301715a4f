package telegram_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

func TestRegisterAndUnregister(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Register()
	want := []string{`setWebhook {"allowed_updates":["message","edited_message","channel_post","edited_channel_post","callback_query","chat_member"],` +
		`"drop_pending_updates":false,"secret_token":"` + secretToken + `","url":"` + handlerstest.WebhookURL + `"}`}
	if diff := cmp.Diff(want, calls(t, o.Requests)); diff != "" || o.Err != nil {
		t.Errorf("%v: %s", o.Err, diff)
	}
	if diff := cmp.Diff([]string{"Telegram sends the bot's updates to " + handlerstest.WebhookURL}, o.Told); diff != "" {
		t.Error(diff)
	}
	if again := kit.Retry(o); again.Err != nil || len(again.Requests) != 1 {
		t.Errorf("again: %v after %d requests", again.Err, len(again.Requests))
	}
	o = kit.Unregister()
	if diff := cmp.Diff([]string{`getWebhookInfo `, `deleteWebhook {"drop_pending_updates":false}`}, calls(t, o.Requests)); diff != "" || o.Err != nil {
		t.Errorf("%v: %s", o.Err, diff)
	}
	if o = kit.Unregister(); o.Err != nil || len(o.Requests) != 1 {
		t.Errorf("again: %v after %d requests", o.Err, len(o.Requests))
	}
}

func TestUnregisterLeavesAnotherInstallationsWebhook(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Run(events.Register, events.Registration{WebhookURL: "https://towpath.example/webhooks/another"})
	o := kit.Unregister()
	if o.Err != nil || len(o.Requests) != 1 || len(o.Told) != 1 || !strings.Contains(o.Told[0], "another address") {
		t.Errorf("%v after %d requests, told %q", o.Err, len(o.Requests), o.Told)
	}
}

func TestRegisterGivesTheDerivedSecretThatVerifyTakes(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, telegram.Integration, `{"botToken":"`+botToken+`"}`)
	o := kit.Register()
	given := decoded[struct {
		Secret string `json:"secret_token"`
	}](t, []byte(o.Requests[0].Body)).Secret
	r := post(`{}`)
	r.Header.Set(secretHeader, given)
	if err := kit.Installed.Verify(r, handlerstest.Now); err != nil || given == "" {
		t.Errorf("%q: %v", given, err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		configuration, url string
		want               handlers.Decision
		message            string
		requests           int
	}{
		"a secret of other letters": {`{"botToken":"1:not-to-be-seen","secretToken":"pass phrase"}`, handlerstest.WebhookURL, handlers.GiveUp, "secretToken is not one that Telegram takes", 0},
		"a secret that is too long": {`{"botToken":"1:not-to-be-seen","secretToken":"` + strings.Repeat("a", 257) + `"}`, handlerstest.WebhookURL, handlers.GiveUp, "secretToken", 0},
		"a revoked token":           {`{"botToken":"1:revoked"}`, handlerstest.WebhookURL, handlers.Pause, "Unauthorized", 1},
		"what is no token":          {`{"botToken":"a/../b?c"}`, handlerstest.WebhookURL, handlers.GiveUp, "check botToken", 1},
		"a webhook in the clear":    {`{"botToken":"1:not-to-be-seen"}`, "http://towpath.example/w", handlers.GiveUp, "An HTTPS URL must be provided", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := handlerstest.New(t, telegram.Integration, tc.configuration)
			o := kit.Run(events.Register, events.Registration{WebhookURL: tc.url})
			if o.Verdict.Decision != tc.want || !strings.Contains(o.Verdict.Message, tc.message) || len(o.Requests) != tc.requests {
				t.Errorf("verdict is %+v after %d requests", o.Verdict, len(o.Requests))
			}
		})
	}
}
