package shopify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

// asked returns method, path without query and acceptance of what the platform
// got.
func asked(kit *handlerstest.Kit) []string {
	var all []string
	for _, r := range kit.Requests() {
		line := r.Method + " " + strings.TrimPrefix(strings.SplitN(r.Path, "?", 2)[0], "/admin/api/2026-10/")
		if !r.Accepted {
			line += " refused"
		}
		all = append(all, line)
	}
	return all
}

func stored(t *testing.T, kit *handlerstest.Kit) shopify.Webhook {
	t.Helper()
	var stored shopify.Webhook
	if err := json.Unmarshal(kit.State("webhook"), &stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

// register registers the webhook at another URL than the kit's.
func register(kit *handlerstest.Kit, url string) handlerstest.Outcome {
	return kit.Run(events.Register, events.Registration{WebhookURL: url})
}

func TestRegisterSubscribesOnce(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	for range 2 {
		if o := kit.Register(); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	first := stored(t, kit)
	if first.ID <= 1<<53 || first.WebhookURL != handlerstest.WebhookURL {
		t.Errorf("stored %+v", first)
	}
	if diff := cmp.Diff([]string{"GET webhooks.json", "POST webhooks.json", "GET webhooks.json"}, asked(kit)); diff != "" {
		t.Error(diff)
	}
	const moved = handlerstest.WebhookURL + "-new"
	if o := register(kit, moved); o.Err != nil {
		t.Fatal(o.Err)
	}
	if second := stored(t, kit); second.ID == first.ID || second.WebhookURL != moved {
		t.Errorf("stored %+v after %+v", second, first)
	}
	if last := asked(kit)[len(asked(kit))-1]; last != "DELETE webhooks/1180000000000000001.json" {
		t.Errorf("the old subscription was not ended: %s", last)
	}
	for _, r := range kit.Requests() {
		if strings.Contains(r.Path+r.Body, accessToken) {
			t.Errorf("the token is recorded: %+v", r)
		}
	}
}

func TestUnregisterEndsTheSubscription(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	if o := kit.Register(); o.Err != nil {
		t.Fatal(o.Err)
	}
	kept := kit.State("webhook")
	if o := kit.Unregister(); o.Err != nil {
		t.Fatal(o.Err)
	}
	if left := kit.State("webhook"); left != nil {
		t.Errorf("state is left: %s", left)
	}
	kit.SetState("webhook", kept) // as after a crash between the two
	if o := kit.Unregister(); o.Err != nil {
		t.Errorf("a subscription that is gone: %v", o.Err)
	}
	want := []string{
		"GET webhooks.json", "POST webhooks.json",
		"DELETE webhooks/1180000000000000001.json", "DELETE webhooks/1180000000000000001.json refused",
	}
	if diff := cmp.Diff(want, asked(kit)); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutTokenTheOwnerIsTold(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	if o := kit.Register(); o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "add "+handlerstest.WebhookURL+" by hand") {
		t.Errorf("%v, owner was told %q", o.Err, o.Told)
	}
	if o := kit.Unregister(); o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "remove") {
		t.Errorf("%v, owner was told %q", o.Err, o.Told)
	}
	if got := asked(kit); len(got) > 0 {
		t.Errorf("the platform was asked %v", got)
	}
}

func TestErrorsOfShopify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule  fake.Rule
		want  handlers.Decision
		after time.Duration
	}{
		"a refused token":         {fake.Rule{Status: 401, Body: `{"errors":"no"}`}, handlers.Pause, 0},
		"a missing scope":         {fake.Rule{Status: 403}, handlers.Pause, 0},
		"no such store":           {fake.Rule{Status: 404}, handlers.GiveUp, 0},
		"unprocessable":           {fake.Rule{Status: 422, Body: `{"errors":{"address":["is no URL"]}}`}, handlers.GiveUp, 0},
		"too many requests":       {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "2.5"}}, handlers.Retry, 2500 * time.Millisecond},
		"too many without a time": {fake.Rule{Status: 429}, handlers.Retry, 0},
		"too many for ever":       {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "1e300"}}, handlers.Retry, 0},
		"a locked store":          {fake.Rule{Status: http.StatusLocked}, handlers.Retry, 0},
		"broken":                  {fake.Rule{Status: 500}, handlers.Retry, 0},
		"unavailable":             {fake.Rule{Status: 503}, handlers.Retry, 0},
		"connection reset":        {fake.Rule{Reset: true}, handlers.Retry, 0},
		"no JSON":                 {fake.Rule{Status: 200, Body: "<html>"}, handlers.Retry, 0},
		"nothing of Shopify's":    {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t, accessToken)
			kit.Script(tc.rule)
			if o := kit.Register(); o.Verdict.Decision != tc.want || o.Verdict.After != tc.after {
				t.Errorf("%v is judged %+v, want %s after %s", o.Err, o.Verdict, tc.want, tc.after)
			}
			if kit.State("webhook") != nil {
				t.Error("something was stored")
			}
		})
	}
}

func TestFakeRefusesWithoutToken(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/admin/api/2026-10/webhooks.json", nil)
	shopify.Integration.NewFake().ServeHTTP(answer, request)
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("answer is %d", answer.Code)
	}
}
