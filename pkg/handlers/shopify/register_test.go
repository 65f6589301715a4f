package shopify_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

const webhookURL = "https://towpath.example/webhooks/w1"

// asked returns method, path without query and acceptance of what the platform
// got.
func (i *installation) asked() []string {
	var all []string
	for _, r := range i.platform.Requests() {
		line := r.Method + " " + strings.TrimPrefix(strings.SplitN(r.Path, "?", 2)[0], "/shopify/admin/api/2026-10/")
		if !r.Accepted {
			line += " refused"
		}
		all = append(all, line)
	}
	return all
}

func (i *installation) stored(t *testing.T) shopify.Webhook {
	t.Helper()
	var stored shopify.Webhook
	if err := json.Unmarshal(i.recorder.states["webhook"], &stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestRegisterSubscribesOnce(t *testing.T) {
	t.Parallel()
	i := install(t, accessToken)
	for range 2 {
		if err := i.Register(t.Context(), i.base, webhookURL); err != nil {
			t.Fatal(err)
		}
	}
	first := i.stored(t)
	if first.ID <= 1<<53 || first.WebhookURL != webhookURL {
		t.Errorf("stored %+v", first)
	}
	if diff := cmp.Diff([]string{"GET webhooks.json", "POST webhooks.json", "GET webhooks.json"}, i.asked()); diff != "" {
		t.Error(diff)
	}
	if err := i.Register(t.Context(), i.base, webhookURL+"-new"); err != nil {
		t.Fatal(err)
	}
	if second := i.stored(t); second.ID == first.ID || second.WebhookURL != webhookURL+"-new" {
		t.Errorf("stored %+v after %+v", second, first)
	}
	if last := i.asked()[len(i.asked())-1]; last != "DELETE webhooks/1180000000000000001.json" {
		t.Errorf("the old subscription was not ended: %s", last)
	}
	for _, r := range i.platform.Requests() {
		if strings.Contains(r.Path+r.Body, accessToken) {
			t.Errorf("the token is recorded: %+v", r)
		}
	}
}

func TestUnregisterEndsTheSubscription(t *testing.T) {
	t.Parallel()
	i := install(t, accessToken)
	if err := i.Register(t.Context(), i.base, webhookURL); err != nil {
		t.Fatal(err)
	}
	kept := i.recorder.states["webhook"]
	if err := i.Unregister(t.Context(), i.base, webhookURL); err != nil {
		t.Fatal(err)
	}
	if len(i.recorder.states) > 0 {
		t.Errorf("states are left: %s", i.recorder.states)
	}
	i.recorder.states["webhook"] = kept // as after a crash between the two
	if err := i.Unregister(t.Context(), i.base, webhookURL); err != nil {
		t.Errorf("a subscription that is gone: %v", err)
	}
	want := []string{
		"GET webhooks.json", "POST webhooks.json",
		"DELETE webhooks/1180000000000000001.json", "DELETE webhooks/1180000000000000001.json refused",
	}
	if diff := cmp.Diff(want, i.asked()); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutTokenTheOwnerIsTold(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	if err := i.Register(t.Context(), i.base, webhookURL); err != nil {
		t.Fatal(err)
	}
	if err := i.Unregister(t.Context(), i.base, webhookURL); err != nil {
		t.Fatal(err)
	}
	lines := i.log.all()
	if len(lines) != 2 || !strings.Contains(lines[0], "add "+webhookURL+" by hand") || !strings.Contains(lines[1], "remove") {
		t.Errorf("owner was told %q", lines)
	}
	if got := i.asked(); len(got) > 0 {
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
			i := install(t, accessToken)
			if err := i.platform.Script(tc.rule); err != nil {
				t.Fatal(err)
			}
			err := i.Register(t.Context(), i.base, webhookURL)
			if verdict := handlers.Judge(err); verdict.Decision != tc.want || verdict.After != tc.after {
				t.Errorf("%v is judged %+v, want %s after %s", err, verdict, tc.want, tc.after)
			}
			if err != nil && strings.Contains(err.Error(), accessToken) {
				t.Errorf("the error tells the token: %v", err)
			}
			if len(i.recorder.states) > 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestFakeRefusesWithoutToken(t *testing.T) {
	t.Parallel()
	i := install(t, accessToken)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.server.URL+"/shopify/admin/api/2026-10/webhooks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := i.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("answer is %s", response.Status)
	}
}
