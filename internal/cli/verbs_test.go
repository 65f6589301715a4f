package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/pkg/client"
)

func TestDevGreetsWithWhatIsToBeTriedNext(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	dev := begin(t, "dev", "--dir", dir, "--hello", "--ingest=127.0.0.1:0", "--api=127.0.0.1:0", "--ops=127.0.0.1:0", "--nats=127.0.0.1:0")
	until(t, "the first message", func() bool { return strings.Contains(dev.stdout.String(), "Ctrl-C") })
	greeting := dev.stdout.String()
	for _, want := range []string{"Towpath runs", "/webhooks/webhook_demo_slack", "bot demo, token ", "trigger slack message \"hello\" --dir " + dir, "acked"} {
		if !strings.Contains(greeting, want) {
			t.Errorf("%q is missing in:\n%s", want, greeting)
		}
	}

	status, table, stderr := run(t, "installations", "--dir", dir)
	if status != 0 || !regexp.MustCompile(`demo +slack +slack +registered +http://`).MatchString(table) {
		t.Errorf("installations exits with %d: %s%s", status, table, stderr)
	}
	status, steps, stderr := run(t, "trigger", "slack", "message", "good morning", "--dir", dir)
	if status != 0 {
		t.Errorf("trigger exits with %d: %s", status, stderr)
	}
	for _, want := range []string{"ms  accepted ", "ms  stored ", "ms  message created ", "ms  handled ", "ms  bot answered ", "ms  sending ", "ms  sent ", "ms  acked "} {
		if strings.Count(steps, want) != 1 {
			t.Errorf("%q is not once in:\n%s", want, steps)
		}
	}
	for again, want := range []string{" ms  handled ", "             handled "} {
		status, steps, stderr = run(t, "trigger", "slack", "message_bot", "--id=once", "--dir", dir)
		if status != 0 || !strings.Contains(steps, want) || strings.Contains(steps, "(earlier: this is a duplicate)") != (again > 0) {
			t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
		}
	}
	status, steps, stderr = run(t, "trigger", "slack", "message_bot", "--id=once", "--json", "--dir", dir)
	if status != 0 || !strings.Contains(steps, `"earlier":true`) || strings.Contains(steps, `"ms":-`) {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}
	status, _, stderr = run(t, "trigger", "slack", "message", "--ingest=http://"+free(t), "--dir", dir)
	if status != 1 || !strings.Contains(stderr, "ingest cannot be reached") {
		t.Errorf("trigger looks for the dev's ingest, not for the one it is told of: %d: %s", status, stderr)
	}
	status, steps, stderr = run(t, "trigger", "slack", "url_verification", "--id=mine", "--dir", dir)
	if status != 0 || !strings.Contains(steps, `answered with "mine"; nothing was stored`) {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}

	status, lines, stderr := run(t, "logs", "--dir", dir)
	if status != 0 || !strings.Contains(lines, "Slack knows the bot as towpath") {
		t.Errorf("logs exits with %d: %s%s", status, lines, stderr)
	}
	status, _, stderr = run(t, "dev", "--dir", dir, "--ingest=127.0.0.1:0", "--api=127.0.0.1:0", "--ops=127.0.0.1:0", "--nats=127.0.0.1:0")
	if status != 1 || !strings.Contains(stderr, "another dev runs in "+dir) {
		t.Errorf("a second dev exits with %d: %s", status, stderr)
	}

	dev.end()
	if _, err := os.Stat(filepath.Join(dir, "dev.json")); err == nil {
		t.Error("dev.json is still there")
	}
}

func TestRolesWorkTogetherOverNATS(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	nats := "--nats=" + server.ClientURL()
	fake, ingest, api := free(t), free(t), free(t)
	file := write(t, fmt.Sprintf(`
bots:
  - {id: demo, token: 0123456789abcdef}
installations:
  - bot: demo
    integration: slack
    webhookId: webhook_slack
    configuration: {botToken: xoxb-1, signingSecret: secret, apiUrl: "http://%s/slack/api/"}
`, fake))

	begin(t, "fake", "--listen", fake)
	// Started before anything is provisioned, each waits for what it needs.
	begin(t, "ingest", nats, "--listen", ingest, "--ops=127.0.0.1:0", "--log-level=error")
	begin(t, "api", nats, "--listen", api, "--ops=127.0.0.1:0", "--log-level=error")
	ready := free(t)
	begin(t, "worker", nats, "--ops", ready, "--log-level=error")
	if status, _, _ := run(t, "health", "http://"+ready+"/readyz"); status == 0 {
		t.Error("the worker is ready without streams")
	}
	for _, want := range []string{"1, installations: 1 new", "0, installations: 0 new"} {
		status, stdout, stderr := run(t, "provision", nats, "--config", file, "--partitions=4", "--public-url=http://"+ingest)
		if status != 0 || !strings.Contains(stdout, want) {
			t.Fatalf("provision exits with %d: %s%s", status, stdout, stderr)
		}
	}
	for _, address := range []string{"http://" + ready + "/readyz", "http://" + fake + "/_requests"} {
		until(t, address, func() bool { status, _, _ := run(t, "health", address); return status == 0 })
	}
	until(t, "the registration", func() bool {
		_, table, _ := run(t, "installations", "--json", nats)
		return strings.Contains(table, `"status":"registered"`)
	})
	status, steps, stderr := run(t, "trigger", "slack", "message", nats, "--timeout=1s", "--json")
	if status != 0 || !strings.Contains(steps, `{"note":"the bot did not answer in time"}`) {
		t.Errorf("without a bot, trigger exits with %d: %s%s", status, steps, stderr)
	}
	begin(t, "bot", "echo", nats, "--api=http://"+api, "--token=0123456789abcdef", "--log-level=error")
	status, steps, stderr = run(t, "trigger", "slack", "message", nats)
	if status != 0 || !strings.Contains(steps, "acked") {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}
	own := client.New(&client.HTTP{BaseURL: "http://" + api, Token: "0123456789abcdef"}, client.Caller{BotID: "demo"})
	until(t, "the bot's word on what it answered", func() bool {
		listed, err := own.ListMessages(t.Context(), client.ListMessagesInput{})
		return err == nil && slices.ContainsFunc(listed.Messages, func(m client.Message) bool {
			told, err := own.GetEvent(t.Context(), "evt"+strings.TrimPrefix(m.ID, "msg"))
			return err == nil && told.Event.Status == client.EventProcessed
		})
	})
	status, _, stderr = run(t, "trigger", "shopify", "orders/create", nats)
	if status != 1 || !strings.Contains(stderr, "not installed") {
		t.Errorf("trigger exits with %d: %s", status, stderr)
	}

	response, err := http.Post("http://"+fake+"/_script", "application/json", strings.NewReader(
		`[{"path": "/slack/api/chat.postMessage", "status": 200, "body": "{\"ok\":false,\"error\":\"is_archived\"}"}]`))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	status, steps, stderr = run(t, "trigger", "slack", "message", nats)
	if status != 1 || !strings.Contains(steps, "failed") || !strings.Contains(stderr, "given up") {
		t.Errorf("to an archived channel, trigger exits with %d: %s%s", status, steps, stderr)
	}
}

func TestTriggerSaysThatNoWorkerRuns(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	nats, ingest, ready := "--nats="+server.ClientURL(), free(t), free(t)
	file := write(t, `
bots:
  - {id: demo, token: 0123456789abcdef}
installations:
  - {bot: demo, integration: slack, alias: work, webhookId: webhook_slack, configuration: {botToken: xoxb-1, signingSecret: secret}}
`)
	if status, _, stderr := run(t, "provision", nats, "--config", file, "--partitions=2"); status != 0 {
		t.Fatal(stderr)
	}
	begin(t, "ingest", nats, "--listen", ingest, "--ops", ready, "--log-level=error")
	until(t, "ingest", func() bool { status, _, _ := run(t, "health", "http://"+ready+"/readyz"); return status == 0 })
	status, steps, stderr := run(t, "trigger", "slack", "message", nats, "--ingest=http://"+ingest, "--timeout=500ms")
	if status != 1 || !strings.Contains(steps, "stored") || !strings.Contains(stderr, "does a worker run?") {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}
	status, _, stderr = run(t, "trigger", "slack", "message", nats, "--alias=home")
	if status != 1 || !strings.Contains(stderr, "installed as work, not as home") {
		t.Errorf("trigger exits with %d: %s", status, stderr)
	}
	status, _, stderr = run(t, "trigger", "slack", "message", nats, "--ingest=http://"+free(t))
	if status != 1 || !strings.Contains(stderr, "ingest cannot be reached") {
		t.Errorf("trigger exits with %d: %s", status, stderr)
	}
}

// Some platforms say in the URL what others say in headers.
func TestTriggerSendsTheQueryToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "towpath.yaml")
	err := os.WriteFile(file, []byte(`{bots: [{id: demo, token: 0123456789abcdef}], installations: [{bot: demo, integration: generic, configuration:
		{secret: query-SECRET, sharedSecret: {query: key}, event: {field: type}, id: {field: id}}}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	dev := begin(t, "dev", "--dir", dir, "--config", file, "--ingest=127.0.0.1:0", "--api=127.0.0.1:0", "--ops=127.0.0.1:0", "--nats=127.0.0.1:0")
	until(t, "dev", func() bool { _, err := os.Stat(filepath.Join(dir, "dev.json")); return err == nil })
	status, steps, stderr := run(t, "trigger", "generic", "event", "--dir", dir)
	if status != 0 || !strings.Contains(steps, "event fired") {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}
	status, _, stderr = run(t, "trigger", "generic", "event", "--ingest=http://"+free(t), "--dir", dir)
	if status != 1 || !strings.Contains(stderr, "ingest cannot be reached") || strings.Contains(stderr+dev.stderr.String(), "SECRET") {
		t.Errorf("trigger exits with %d and tells %s", status, stderr)
	}
}
