package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/broker/embedded"
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
	status, steps, stderr = run(t, "trigger", "slack", "url_verification", "--id=mine", "--dir", dir)
	if status != 0 || !strings.Contains(steps, `answered with "mine"; nothing was stored`) {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
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
	begin(t, "bot", "echo", nats, "--api=http://"+api, "--token=0123456789abcdef", "--log-level=error")
	for _, address := range []string{"http://" + ready + "/readyz", "http://" + fake + "/_requests"} {
		until(t, address, func() bool { status, _, _ := run(t, "health", address); return status == 0 })
	}
	until(t, "the registration", func() bool {
		_, table, _ := run(t, "installations", "--json", nats)
		return strings.Contains(table, `"status":"registered"`)
	})
	status, steps, stderr := run(t, "trigger", "slack", "message", nats)
	if status != 0 || !strings.Contains(steps, "acked") {
		t.Errorf("trigger exits with %d: %s%s", status, steps, stderr)
	}
	status, _, stderr = run(t, "trigger", "shopify", "orders/create", nats)
	if status != 1 || !strings.Contains(stderr, "not installed") {
		t.Errorf("trigger exits with %d: %s", status, stderr)
	}
}
