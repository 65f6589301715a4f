package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestHelpListsEveryVerb(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, "--help")
	if status != 0 || stderr != "" {
		t.Errorf("exits with %d: %s", status, stderr)
	}
	for _, verb := range []string{"dev", "trigger", "installations", "definition", "provision", "ingest", "worker", "api", "fake", "bot echo", "health"} {
		if !strings.Contains(stdout, "\n  "+verb+" ") {
			t.Errorf("%s is missing in:\n%s", verb, stdout)
		}
	}
}

// flagLine matches the line of a flag, that of --help too.
var flagLine = regexp.MustCompile(`(?m)^ +(-\w, )?--(\[no-\])?[a-z]`)

func TestEveryFlagIsAnEnvironmentVariable(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"dev", "trigger", "installations", "definition", "provision", "ingest", "worker", "api", "fake", "bot echo", "health"} {
		status, stdout, _ := run(t, append(strings.Fields(verb), "--help")...)
		flags, variables := len(flagLine.FindAllString(stdout, -1))-1, strings.Count(stdout, "$")
		if status != 0 || flags != variables {
			t.Errorf("%s exits with %d and has %d flags, %d of them variables:\n%s", verb, status, flags, variables, stdout)
		}
	}
}

func TestWhatTheCommandLineCannotMeanIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"nosuch"}, {"worker", "--nosuch"}, {"trigger", "slack"}, {"provision"}, {"dev", "--grace=soon"}} {
		status, _, stderr := run(t, args...)
		if status != 80 || !strings.HasPrefix(stderr, "towpath: error: ") {
			t.Errorf("%v exits with %d: %s", args, status, stderr)
		}
	}
}

func TestDefinitionPrintsJSON(t *testing.T) {
	t.Parallel()
	status, stdout, _ := run(t, "definition", "slack")
	var definition struct {
		Name     string                     `json:"name"`
		Events   map[string]json.RawMessage `json:"events"`
		Channels map[string]json.RawMessage `json:"channels"`
	}
	if err := json.Unmarshal([]byte(stdout), &definition); err != nil || status != 0 {
		t.Fatal(status, err)
	}
	if definition.Name != "slack" || definition.Events["reactionAdded"] == nil || definition.Channels["channel"] == nil {
		t.Errorf("definition: %s", stdout)
	}
	status, _, stderr := run(t, "definition", "nosuch")
	if status != 1 || !strings.Contains(stderr, "shopify, slack") {
		t.Errorf("exits with %d: %s", status, stderr)
	}
}

func TestABuildWithFaultyIntegrationsRunsNothing(t *testing.T) {
	t.Parallel()
	var stdout, stderr output
	status := cli.Run(t.Context(), []string{"definition", "slack"}, &stdout, &stderr, append(integrations(), slack.Integration))
	if status != 1 || stdout.String() != "" || !strings.Contains(stderr.String(), "twice") {
		t.Errorf("exits with %d: %s", status, stderr.String())
	}
}

func TestHealthGoesByTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if status, _, stderr := run(t, "health", server.URL+"/readyz"); status != 0 {
		t.Error(status, stderr)
	}
	if status, _, stderr := run(t, "health", server.URL+"/other"); status != 1 || !strings.Contains(stderr, "503") {
		t.Error(status, stderr)
	}
	if status, _, stderr := run(t, "health", "http://"+free(t), "--timeout=1s"); status != 1 || stderr == "" {
		t.Error(status, stderr)
	}
}

func TestVerbsSayWhatToDoWhenThereIsNoTowpath(t *testing.T) {
	t.Parallel()
	away := "nats://" + free(t)
	file := write(t, "bots:\n  - {id: demo, token: 0123456789abcdef}\n")
	for _, one := range []struct {
		args []string
		want string
	}{
		{[]string{"installations", "--dir", t.TempDir()}, "start `towpath dev` first"},
		{[]string{"trigger", "slack", "message", "--dir", t.TempDir()}, "start `towpath dev` first"},
		{[]string{"provision", "--nats", away, "--wait=200ms", "--config", file}, "NATS cannot be reached"},
		{[]string{"provision", "--nats", away, "--config", file + "x"}, "no such file"},
		{[]string{"worker", "--ops=127.0.0.1:x"}, "--ops"},
		{[]string{"ingest", "--listen=127.0.0.1:x"}, "--listen"},
		{[]string{"api", "--listen=127.0.0.1:x"}, "--listen"},
		{[]string{"fake", "--listen=127.0.0.1:x"}, "--listen"},
		{[]string{"worker", "--ops=127.0.0.1:0", "--log-level=loud"}, "loud"},
	} {
		status, stdout, stderr := run(t, one.args...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, one.want) {
			t.Errorf("%v exits with %d, prints %q and says %q, not %q", one.args, status, stdout, stderr, one.want)
		}
	}
}
