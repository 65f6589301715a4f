package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type acmeConfig struct {
	Team string `json:"team"`
	Key  string `json:"key"`
}

type question struct {
	Ask string `json:"ask"`
}

// acme is an integration that somebody wrote elsewhere: one webhook for all
// teams, and commands that the handler answers itself.
func acme(release <-chan struct{}) handlers.Integration[acmeConfig] {
	return handlers.Integration[acmeConfig]{
		Name: "acme", Version: "1.0.0",
		Secrets: map[string]handlers.SecretInfo{"PING": {Optional: true}},
		Identifier: &handlers.Identifier{
			Extract: func(r *events.Request, _ handlers.SecretLookup) (string, error) { return r.Header.Get("X-Team"), nil },
			Fallback: func(r *events.Request, _ handlers.SecretLookup, _ time.Time) (*events.Response, error) {
				if r.Query == "challenge=1" {
					return &events.Response{Body: []byte("1")}, nil
				}
				return nil, nil
			},
		},
		Verify: func(r *events.Request, c acmeConfig, _ time.Time) error {
			if r.Header.Get("X-Key") != c.Key {
				return errors.New("the key is wrong")
			}
			return nil
		},
		Split: func(r *events.Request, _ acmeConfig) ([]handlers.Part, error) {
			return []handlers.Part{{ID: r.Header.Get("X-Id")}}, nil
		},
		Answers: &handlers.Answers{
			Awaited: func(r *events.Request) bool { return strings.HasPrefix(string(r.Body), "/") },
			Within:  2 * time.Second,
			Late:    &events.Response{Status: http.StatusAccepted, Body: []byte("still working")},
		},
		Register: func(ctx context.Context, p handlers.RegisterProps[acmeConfig]) error {
			return p.Client.ConfigureIntegration(ctx, client.ConfigureIntegrationInput{Identifier: client.To(p.Ctx.Configuration.Team)})
		},
		Actions: handlers.Actions[acmeConfig]{
			"ask": handlers.NewAction(handlers.ActionInfo{Billable: true},
				func(_ context.Context, p handlers.ActionProps[acmeConfig, question]) (question, error) {
					p.Metadata.SetCost(7)
					p.Metadata.SetCost(1.5) // the last one counts
					p.Logger.ForBot().Info("asked " + p.Input.Ask)
					return p.Input, nil
				}),
		},
		Ping: func(_ context.Context, p handlers.Props[acmeConfig]) error {
			if p.Ctx.Configuration.Team == "blue-team" {
				return handlers.NewRuntimeError("blue is away", nil)
			}
			return nil
		},
		Handler: func(ctx context.Context, p handlers.WebhookProps[acmeConfig]) (*events.Response, error) {
			if string(p.Req.Body) == "/slow" {
				select {
				case <-release:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return &events.Response{
				Status: http.StatusOK, Header: http.Header{"X-Answered-By": {p.Ctx.Configuration.Team}},
				Body: append([]byte("done: "), p.Req.Body...),
			}, nil
		},
	}
}

// own is a dev with integrations of its own.
type own struct {
	*testing.T
	dir, ingest, api string
}

func startOwn(t *testing.T, configuration string, integrations ...handlers.Registrable) *own {
	t.Helper()
	dir := t.TempDir()
	var stdout, stderr output
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	go func() {
		ended <- cli.Run(ctx, []string{
			"dev", "--dir", dir, "--config", write(t, configuration), "--partitions", "4",
			"--ingest", "127.0.0.1:0", "--api", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--nats", "127.0.0.1:0",
		}, &stdout, &stderr, integrations)
	}()
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("dev ends with %d: %s", status, stderr.String())
		}
		http.DefaultClient.CloseIdleConnections()
	})
	dev := found(t, dir)
	return &own{t, dir, dev.Ingest, dev.API}
}

// dev is what dev.json tells.
type dev struct {
	Ingest string `json:"ingest"`
	API    string `json:"api"`
	NATS   string `json:"nats"`
	Bots   []struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	} `json:"bots"`
}

// found waits for a dev and returns what it tells of itself.
func found(t *testing.T, dir string) (d dev) {
	t.Helper()
	until(t, "dev.json", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "dev.json"))
		return err == nil && json.Unmarshal(data, &d) == nil
	})
	return d
}

// post sends a request as the platform would, and returns status and body.
func (o *own) post(path, body string, header ...string) (int, string) {
	o.Helper()
	request, err := http.NewRequestWithContext(o.Context(), http.MethodPost, o.ingest+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		o.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(answer))
}

const twoTeams = `
bots:
  - {id: demo, token: demo-token-of-the-test}
installations:
  - {bot: demo, integration: acme, alias: red, webhookId: red, configuration: {team: red-team, key: k1}}
  - {bot: demo, integration: acme, alias: blue, webhookId: blue, configuration: {team: blue-team, key: k2}}
`

func TestOneGlobalWebhookServesEveryInstallation(t *testing.T) {
	t.Parallel()
	o := startOwn(t, twoTeams, acme(nil))
	const global = "/integration/global/acme"
	until(t, "the identifiers", func() bool {
		status, _ := o.post(global, "x", "X-Team", "blue-team", "X-Key", "k2", "X-Id", "0")
		return status == http.StatusOK
	})
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		answer     string
	}{
		"answered by the one that is meant": {global, "/who", []string{"X-Team", "red-team", "X-Key", "k1", "X-Id", "1"}, 200, "done: /who"},
		"verified with its configuration":   {global, "/who", []string{"X-Team", "red-team", "X-Key", "k2", "X-Id", "2"}, 401, "the request could not be verified"},
		"nobody of that name":               {global, "/who", []string{"X-Team", "green", "X-Key", "k1", "X-Id", "3"}, 404, "no such webhook"},
		"names nobody":                      {global, "/who", nil, 404, "the request names no installation"},
		"names nobody, but is a handshake":  {global + "?challenge=1", "", nil, 200, "1"},
		"no integration of that name":       {"/integration/global/nobody", "", nil, 404, "no such webhook"},
	} {
		if status, answer := o.post(c.path, c.body, c.header...); status != c.status || answer != c.answer {
			t.Errorf("%s: %d %q, want %d %q", name, status, answer, c.status, c.answer)
		}
	}
}

func TestAHandlersAnswerIsAwaitedAndKeptWhenLate(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	o := startOwn(t, twoTeams, acme(release))
	if status, answer := o.post("/webhooks/red", "/hello", "X-Key", "k1", "X-Id", "1"); status != 200 || answer != "done: /hello" {
		t.Fatalf("in time: %d %q", status, answer)
	}
	if status, answer := o.post("/webhooks/red", "no command", "X-Key", "k1", "X-Id", "2"); status != 200 || answer != "" {
		t.Fatalf("what is no command is only stored: %d %q", status, answer)
	}
	if status, answer := o.post("/webhooks/red", "/slow", "X-Key", "k1", "X-Id", "3"); status != http.StatusAccepted || answer != "still working" {
		t.Fatalf("late: %d %q", status, answer)
	}
	close(release)
	until(t, "the late answer", func() bool {
		status, answer := o.post("/webhooks/red", "/slow", "X-Key", "k1", "X-Id", "3")
		return status == http.StatusOK && answer == "done: /slow"
	})
}

func TestUsageIsSummedByMonth(t *testing.T) {
	t.Parallel()
	o := startOwn(t, twoTeams, acme(nil))
	bot := client.New(&client.HTTP{BaseURL: o.api, Token: "demo-token-of-the-test"}, client.Caller{BotID: "demo"})
	for range 3 {
		out, err := bot.CallAction(t.Context(), client.CallActionInput{Type: "red:ask", Input: json.RawMessage(`{"ask":"a"}`)})
		if err != nil || string(out.Output) != `{"ask":"a"}` {
			t.Fatalf("%v, %v", out, err)
		}
	}
	var stdout, stderr output
	if status := cli.Run(t.Context(), []string{"usage", "--dir", o.dir, "--json"}, &stdout, &stderr, nil); status != 0 {
		t.Fatal(stderr.String())
	}
	var row struct {
		Alias   string  `json:"alias"`
		Month   string  `json:"month"`
		Actions int     `json:"actions"`
		Cost    float64 `json:"cost"`
	}
	if err := json.Unmarshal([]byte(stdout.String()), &row); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	if row.Alias != "red" || row.Actions != 3 || row.Cost != 4.5 || row.Month != time.Now().UTC().Format("2006-01") {
		t.Fatalf("usage is %+v", row)
	}
}

// admin reads an admin route with the bot's token.
func (o *own) admin(path string, into any) {
	o.Helper()
	request, err := http.NewRequestWithContext(o.Context(), http.MethodGet, o.api+"/v1/admin/bots/demo/"+path, nil)
	if err != nil {
		o.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer demo-token-of-the-test")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		o.Fatalf("%s: %s, %v", path, response.Status, err)
	}
}

func TestTheOwnerReadsLogsAndUsageOverTheAPI(t *testing.T) {
	t.Parallel()
	o := startOwn(t, twoTeams, acme(nil))
	bot := client.New(&client.HTTP{BaseURL: o.api, Token: "demo-token-of-the-test"}, client.Caller{BotID: "demo"})
	if _, err := bot.CallAction(t.Context(), client.CallActionInput{Type: "blue:ask", Input: json.RawMessage(`{"ask":"why"}`)}); err != nil {
		t.Fatal(err)
	}
	var logs struct {
		Logs []struct {
			Message string `json:"message"`
			Alias   string `json:"alias"`
		} `json:"logs"`
	}
	until(t, "the line", func() bool {
		o.admin("logs?integration=blue", &logs)
		return len(logs.Logs) > 0
	})
	if len(logs.Logs) != 1 || logs.Logs[0].Message != "asked why" || logs.Logs[0].Alias != "blue" {
		t.Errorf("lines are %+v", logs.Logs)
	}
	if o.admin("logs?integration=red", &logs); len(logs.Logs) != 0 {
		t.Errorf("lines of the other are %+v", logs.Logs)
	}
	var usage struct {
		Usage []struct {
			Alias string  `json:"alias"`
			Cost  float64 `json:"cost"`
		} `json:"usage"`
	}
	if o.admin("usage", &usage); len(usage.Usage) != 1 || usage.Usage[0].Alias != "blue" || usage.Usage[0].Cost != 1.5 {
		t.Errorf("usage is %+v", usage.Usage)
	}
}

func TestABotOfOnesOwnGetsTheTypesItNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	process := begin(t, "dev", "--dir", dir, "--partitions", "4", "--ingest", "127.0.0.1:0", "--api", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--nats", "127.0.0.1:0")
	running := found(t, dir)
	got := make(chan client.Event, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- cli.RunBot(ctx, cli.Bot{
			NATS: running.NATS, API: running.API, ID: running.Bots[0].ID, Token: running.Bots[0].Token, Types: []string{"shopify:newOrderCreated"},
		}, func(ctx context.Context, c *client.Client, e client.Event) (client.EventStatus, error) {
			if _, err := c.GetEvent(ctx, e.ID); err != nil {
				return "", err
			}
			got <- e
			return client.EventProcessed, nil
		})
	}()
	for _, sample := range [][]string{{"slack", "reaction_added"}, {"shopify", "orders/create"}} {
		if status, _, stderr := run(t, append([]string{"trigger", "--dir", dir}, sample...)...); status != 0 {
			t.Fatal(stderr)
		}
	}
	if e := <-got; e.Type != "shopify:newOrderCreated" {
		t.Errorf("got %s", e.Type)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(got) > 0 {
		t.Errorf("got %s too", (<-got).Type)
	}
	process.end()
	http.DefaultClient.CloseIdleConnections()
}

func TestPingTellsWhetherAnIntegrationCanDoItsJob(t *testing.T) {
	t.Parallel()
	o := startOwn(t, twoTeams, acme(nil))
	if status, stdout, stderr := run(t, "installations", "ping", "demo", "red", "--dir", o.dir); status != 0 || !strings.Contains(stdout, "red of bot demo answers") {
		t.Errorf("red: %d %s%s", status, stdout, stderr)
	}
	if status, _, stderr := run(t, "installations", "ping", "demo", "blue", "--dir", o.dir); status != 1 || !strings.Contains(stderr, "cannot do its job") {
		t.Errorf("blue: %d %s", status, stderr)
	}
	if status, _, stderr := run(t, "installations", "ping", "demo", "green", "--dir", o.dir); status != 1 || !strings.Contains(stderr, "not found") {
		t.Errorf("green: %d %s", status, stderr)
	}
}
