package shopify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
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

var topics = []string{"orders/create", "orders/updated", "orders/cancelled", "customers/create", "app/uninstalled"}

// subscribed returns the topics that the fake has at a URL.
func subscribed(t *testing.T, kit *handlerstest.Kit, address string) []string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/shopify/admin/api/2026-10/webhooks.json?address="+url.QueryEscape(address), nil)
	request.Header.Set("X-Shopify-Access-Token", accessToken)
	answer := httptest.NewRecorder()
	kit.Platform.ServeHTTP(answer, request)
	var listed struct {
		Webhooks []struct{ Topic string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &listed); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, one := range listed.Webhooks {
		all = append(all, one.Topic)
	}
	return all
}

func TestRegisterSubscribesOnce(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	for range 2 {
		if o := kit.Register(); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if diff := cmp.Diff(shopify.Webhook{WebhookURL: handlerstest.WebhookURL, Topics: topics}, stored(t, kit)); diff != "" {
		t.Error(diff)
	}
	create := "POST webhooks.json"
	if diff := cmp.Diff([]string{"GET webhooks.json", create, create, create, create, create, "GET webhooks.json"}, asked(kit)); diff != "" {
		t.Error(diff)
	}
	const moved = handlerstest.WebhookURL + "-new"
	if o := register(kit, moved); o.Err != nil {
		t.Fatal(o.Err)
	}
	if second := stored(t, kit); second.WebhookURL != moved {
		t.Errorf("stored %+v", second)
	}
	if diff := cmp.Diff(topics, subscribed(t, kit, moved)); diff != "" {
		t.Error(diff)
	}
	if left := subscribed(t, kit, handlerstest.WebhookURL); len(left) > 0 {
		t.Errorf("of the URL before, %v are left", left)
	}
	for _, r := range kit.Requests() {
		if strings.Contains(r.Path+r.Body, accessToken) {
			t.Errorf("the token is recorded: %+v", r)
		}
	}
}

func TestRegisterMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	kit.Script(fake.Rule{Delay: time.Nanosecond, Times: 3}, fake.Rule{Status: 503, Times: 1})
	o := kit.Register()
	if o.Verdict.Decision != handlers.Retry || kit.State("webhook") != nil {
		t.Fatalf("%v, stored %s", o.Err, kit.State("webhook"))
	}
	if o = kit.Retry(o); o.Err != nil || len(o.Requests) != 4 {
		t.Errorf("%v after %d requests", o.Err, len(o.Requests))
	}
	if diff := cmp.Diff(topics, subscribed(t, kit, handlerstest.WebhookURL)); diff != "" {
		t.Error(diff)
	}
}

func TestOwnerIsToldWhichScopeIsMissing(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	ok := func(n int) fake.Rule { return fake.Rule{Delay: time.Nanosecond, Times: n} }
	kit.Script(ok(4), fake.Rule{Status: 403, Times: 1})
	o := kit.Register()
	if o.Err != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "customers/create: it needs the scope read_customers") {
		t.Errorf("%v, owner was told %q", o.Err, o.Told)
	}
	if diff := cmp.Diff([]string{"orders/create", "orders/updated", "orders/cancelled", "app/uninstalled"}, stored(t, kit).Topics); diff != "" {
		t.Error(diff)
	}
	none := install(t, accessToken)
	none.Script(ok(1), fake.Rule{Status: 403, Times: 4})
	if o := none.Register(); o.Verdict.Decision != handlers.Pause || none.State("webhook") != nil {
		t.Errorf("without any scope: %v", o.Err)
	}
}

func TestUnregisterEndsTheSubscriptions(t *testing.T) {
	t.Parallel()
	kit := install(t, accessToken)
	if o := kit.Register(); o.Err != nil {
		t.Fatal(o.Err)
	}
	kept := kit.State("webhook")
	// One is gone the moment it is to be ended.
	kit.Script(fake.Rule{Method: http.MethodDelete, Status: http.StatusNotFound, Times: 1})
	for range 2 {
		if o := kit.Unregister(); o.Err != nil {
			t.Fatal(o.Err)
		}
		if left := kit.State("webhook"); left != nil {
			t.Errorf("state is left: %s", left)
		}
		kit.SetState("webhook", kept) // as after a crash between the two
	}
	if left := subscribed(t, kit, handlerstest.WebhookURL); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestUnregisterWorksWithoutTheApp(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]fake.Rule{
		"uninstalled": {Status: http.StatusUnauthorized, Body: `{"errors":"[API] Invalid API key or access token"}`},
		"forbidden":   {Status: http.StatusForbidden}, "no such store": {Status: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t, accessToken)
			kit.Register()
			if o := kit.Webhook(kit.Sample("app/uninstalled", sampleArgs())); o.Err != nil {
				t.Fatal(o.Err)
			}
			kit.Script(rule)
			o := kit.Unregister()
			if o.Err != nil || kit.State("webhook") != nil || len(o.Told) != 1 || !strings.Contains(o.Told[0], "by hand") {
				t.Errorf("%v, owner was told %q", o.Err, o.Told)
			}
		})
	}
	kit := install(t, accessToken)
	kit.Register()
	kit.Script(fake.Rule{Status: http.StatusServiceUnavailable})
	if o := kit.Unregister(); o.Verdict.Decision != handlers.Retry || kit.State("webhook") == nil {
		t.Errorf("while Shopify is away: %v", o.Err)
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
		"a closed store":          {fake.Rule{Status: http.StatusPaymentRequired}, handlers.GiveUp, 0},
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

func TestFakeRefusesAsShopifyDoes(t *testing.T) {
	t.Parallel()
	api := shopify.Integration.NewFake()
	for _, tc := range []struct {
		body string
		want int
	}{
		{`{"webhook":{"topic":"orders/create","address":"https://x"}}`, http.StatusCreated},
		{`{"webhook":{"topic":"orders/create","address":"https://x"}}`, http.StatusUnprocessableEntity},
		{`{"webhook":{"topic":"orders/create"}}`, http.StatusUnprocessableEntity},
		{`{"webhook":{"topic":"customers/redact","address":"https://x"}}`, http.StatusUnprocessableEntity},
		{`x`, http.StatusBadRequest},
	} {
		request := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/webhooks.json", strings.NewReader(tc.body))
		request.Header.Set("X-Shopify-Access-Token", accessToken)
		answer := httptest.NewRecorder()
		if api.ServeHTTP(answer, request); answer.Code != tc.want {
			t.Errorf("%s: %d, want %d", tc.body, answer.Code, tc.want)
		}
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
