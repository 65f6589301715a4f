package github_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/github"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func asked(requests []fake.Request) []string {
	var all []string
	for _, r := range requests {
		path, _, _ := strings.Cut(r.Path, "?")
		all = append(all, r.Method+" "+path)
	}
	return all
}

func stored(t *testing.T, kit *handlerstest.Kit) github.Webhook {
	t.Helper()
	var stored github.Webhook
	if err := json.Unmarshal(kit.State("webhook"), &stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestRegisterCreatesWebhooksAndUnregisterDeletesThem(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Register()
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	if diff := cmp.Diff([]string{
		"GET /user", "GET /repos/towpath/example/hooks", "POST /repos/towpath/example/hooks", "GET /orgs/acme/hooks", "POST /orgs/acme/hooks",
	}, asked(o.Requests)); diff != "" {
		t.Error(diff)
	}
	var made map[string]any
	if err := json.Unmarshal([]byte(o.Requests[2].Body), &made); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"name": "web", "active": true, "events": []any{"issues", "pull_request", "push", "issue_comment"},
		"config": map[string]any{"url": handlerstest.WebhookURL, "content_type": "json", "insecure_ssl": "0", "secret": secret},
	}, made); diff != "" {
		t.Error(diff)
	}
	want := github.Webhook{WebhookURL: handlerstest.WebhookURL, Hooks: map[github.Repository]int64{"towpath/example": 3_000_000_001, "acme": 3_000_000_002}}
	if diff := cmp.Diff(want, stored(t, kit)); diff != "" || len(o.Told) != 1 || o.Told[0] != "the bot comments as towpath-bot" {
		t.Error(o.Told, diff)
	}

	o = kit.Run(events.Register, events.Registration{WebhookURL: "https://towpath.example/webhooks/w2"})
	if diff := cmp.Diff([]string{
		"GET /user", "GET /repos/towpath/example/hooks", "PATCH /repos/towpath/example/hooks/3000000001", "GET /orgs/acme/hooks", "PATCH /orgs/acme/hooks/3000000002",
	}, asked(o.Requests)); diff != "" || o.Err != nil {
		t.Error(o.Err, diff)
	}
	want.WebhookURL = "https://towpath.example/webhooks/w2"
	if diff := cmp.Diff(want, stored(t, kit)); diff != "" {
		t.Error(diff)
	}

	o = kit.Unregister()
	if len(o.Requests) != 2 || o.Err != nil || kit.State("webhook") != nil || !o.Requests[0].Accepted || !o.Requests[1].Accepted {
		t.Error(o.Err, asked(o.Requests))
	}
	if o = kit.Retry(o); o.Err != nil {
		t.Errorf("again: %v", o.Err)
	}
}

// An attempt that died before it had stored what it made left webhooks behind.
func TestRegisterFindsItsWebhookByItsURL(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(fake.Rule{Method: http.MethodPost, AfterAccept: true, Times: 1})
	o := kit.Register()
	if o.Verdict.Decision != handlers.Retry {
		t.Fatalf("verdict is %+v", o.Verdict)
	}
	if o = kit.Retry(o); o.Err != nil || stored(t, kit).Hooks["towpath/example"] != 3_000_000_001 {
		t.Error(o.Err, asked(o.Requests))
	}
}

func TestRepositoryThatIsNoLongerListedIsLeft(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.SetState("webhook", github.Webhook{WebhookURL: handlerstest.WebhookURL, Hooks: map[github.Repository]int64{"towpath/former": 7}})
	o := kit.Register()
	if o.Err != nil || o.Requests[len(o.Requests)-1].Path != "/repos/towpath/former/hooks/7" || o.Requests[len(o.Requests)-1].Method != http.MethodDelete {
		t.Error(o.Err, asked(o.Requests))
	}
	if _, still := stored(t, kit).Hooks["towpath/former"]; still {
		t.Error("is still remembered")
	}
}

func TestWhatIsLeftToDoByHandIsTold(t *testing.T) {
	t.Parallel()
	for name, configuration := range map[string]string{
		"no token":        `{"webhookSecret":"s-12345678"}`,
		"no repositories": `{"webhookSecret":"s-12345678","token":"t-12345678"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := handlerstest.New(t, github.Integration, configuration)
			for _, o := range []handlerstest.Outcome{kit.Register(), kit.Unregister()} {
				if o.Err != nil || len(o.Told) == 0 || !strings.Contains(o.Told[len(o.Told)-1], "by hand") {
					t.Errorf("%v, told %q", o.Err, o.Told)
				}
			}
		})
	}
}

func TestRegisterJudges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fake.Rule
		want handlers.Decision
	}{
		"a token that is refused":        {fake.Rule{Status: 401, Body: `{"message":"Bad credentials"}`}, handlers.Pause},
		"GitHub is not well":             {fake.Rule{Status: 503}, handlers.Retry},
		"a limit":                        {fake.Rule{Status: 403, Body: `{"message":"secondary rate limit"}`}, handlers.Retry},
		"another API":                    {fake.Rule{Status: 200, Body: `{}`}, handlers.Retry},
		"an app's token":                 {fake.Rule{Path: "/user", Status: 403, Body: `{"message":"Resource not accessible by integration"}`}, handlers.Done},
		"a repository that is not there": {fake.Rule{Path: "/repos", Status: 404, Body: `{"message":"Not Found"}`}, handlers.GiveUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			if o := kit.Register(); o.Verdict.Decision != tc.want || (kit.State("webhook") != nil) != (tc.want == handlers.Done) {
				t.Errorf("%v is judged %+v", o.Err, o.Verdict)
			}
		})
	}
}
