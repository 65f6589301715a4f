package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/api"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/handlers/catalog"
)

// admin is the API with its admin routes.
type admin struct {
	*testing.T
	url       string
	directory *store.Directory
}

func newAdmin(t *testing.T) *admin {
	t.Helper()
	b := brokertest.Start(t).Connect(t)
	opened, err := store.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := catalog.Registry()
	if err != nil {
		t.Fatal(err)
	}
	desired := store.Desired{WebhookBase: "http://ingest/webhooks/", Bots: []store.BotSpec{{ID: demo, Token: token}, {ID: "other", Token: "another-bots-token"}}}
	if _, err := opened.Apply(t.Context(), desired, nil); err != nil {
		t.Fatal(err)
	}
	directory := store.NewDirectory(b, brokertest.Logger(t))
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = directory.Run(ctx)
	}()
	server := httptest.NewServer(api.New(api.Config{
		Backend: opened, Directory: directory, Connected: b.Connected, Logger: brokertest.Logger(t),
		Admin: &api.Admin{Store: opened, Registry: registry},
	}))
	t.Cleanup(func() {
		server.Close()
		stop()
		<-ran
	})
	a := &admin{T: t, url: server.URL, directory: directory}
	a.until(func() bool { return directory.Ready() })
	return a
}

// until waits for what the directory learns by watching.
func (a *admin) until(holds func() bool) {
	a.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Second) // a change is promised to show within it
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			a.Fatal("the directory did not learn of it within a second")
		}
	}
}

type seenBot struct {
	Type, Message string
	Bot           struct {
		ID           string
		Integrations map[string]struct {
			ID, Name, Status, WebhookID, WebhookURL string
			Enabled                                 bool
		}
	}
}

func (a *admin) ask(method, bot, bearer, body string, want int) seenBot {
	a.Helper()
	request, err := http.NewRequestWithContext(a.Context(), method, a.url+"/v1/admin/bots/"+bot, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		a.Fatal(err)
	}
	if response.StatusCode != want {
		a.Fatalf("%s %s: %s: %s", method, body, response.Status, data)
	}
	if strings.Contains(string(data), "s3cret") {
		a.Fatalf("a secret is shown: %s", data)
	}
	var seen seenBot
	if err := json.Unmarshal(data, &seen); err != nil {
		a.Fatal(err)
	}
	return seen
}

func TestInstallationsLiveByTheAPI(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	defer http.DefaultClient.CloseIdleConnections()
	configuration := `{"botToken":"xoxb-s3cret","signingSecret":"s3cret"}`
	made := a.ask("PUT", demo, token, `{"integrations":{"team":{"integrationId":"slack","configuration":`+configuration+`}}}`, 200)
	team := made.Bot.Integrations["team"]
	if team.Name != "slack" || !team.Enabled || team.Status != "registration_pending" ||
		team.WebhookURL != "http://ingest/webhooks/"+team.WebhookID || !strings.HasPrefix(team.ID, "intver_") {
		t.Fatalf("installed as %+v", team)
	}
	a.until(func() bool { _, ok := a.directory.ByAlias(demo, "team"); return ok })

	changed := a.ask("PUT", demo, token, `{"integrations":{"team":{"enabled":false}}}`, 200)
	if i := changed.Bot.Integrations["team"]; i.Enabled || i.WebhookID != team.WebhookID {
		t.Fatalf("disabled as %+v", i)
	}
	a.until(func() bool { i, _ := a.directory.ByAlias(demo, "team"); return i.Disabled })

	removed := a.ask("PUT", demo, token, `{"integrations":{"team":null}}`, 200)
	if status := removed.Bot.Integrations["team"].Status; status != "unregistration_pending" {
		t.Fatalf("removed as %s", status)
	}
	a.until(func() bool { _, ok := a.directory.Installation(team.WebhookID); return !ok })
}

func TestInstallingSaysWhatIsWrong(t *testing.T) { //nolint:tparallel // what the cases leave behind is looked at after them
	t.Parallel()
	a := newAdmin(t)
	defer http.DefaultClient.CloseIdleConnections()
	for name, one := range map[string]struct { //nolint:paralleltest // as above
		method, bot, token, body string
		status                   int
		typ, says                string
	}{
		"unknown integration": {"PUT", demo, token, `{"integrations":{"acme":{}}}`, 400, "InvalidPayload", `no integration "acme"`},
		"missing field":       {"PUT", demo, token, `{"integrations":{"slack":{"configuration":{"botToken":"x"}}}}`, 400, "InvalidPayload", "signingSecret"},
		"unknown field":       {"PUT", demo, token, `{"integrations":{"slack":{"configuration":{"botToken":"x","signingSecret":"y","nope":1}}}}`, 400, "InvalidPayload", "nope"},
		"unknown type":        {"PUT", demo, token, `{"integrations":{"slack":{"configurationType":"nope","configuration":{}}}}`, 400, "InvalidPayload", "configuration type"},
		"nothing to remove":   {"PUT", demo, token, `{"integrations":{"gone":null}}`, 404, "ResourceNotFound", "not found"},
		"no JSON":             {"PUT", demo, token, `{`, 400, "InvalidPayload", "JSON"},
		"another bot's token": {"PUT", demo, "another-bots-token", `{}`, 403, "Forbidden", "token"},
		"no such token":       {"GET", demo, "nobodys-token", ``, 401, "Unauthorized", "token"},
		"wrong method":        {"DELETE", demo, token, ``, 405, "MethodNotFound", "GET and PUT"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := (&admin{T: t, url: a.url}).ask(one.method, one.bot, one.token, one.body, one.status)
			if seen.Type != one.typ || !strings.Contains(seen.Message, one.says) {
				t.Fatalf("got %s: %s", seen.Type, seen.Message)
			}
		})
	}
	if installed := a.ask("GET", demo, token, "", 200).Bot.Integrations; len(installed) != 0 {
		t.Fatalf("a refused change left %v", installed)
	}
}
