package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

// verbs are all verbs, with their flags.
func verbs(t *testing.T) []*kong.Node {
	t.Helper()
	verbs, err := cli.Verbs()
	if err != nil || len(verbs) == 0 {
		t.Fatalf("%d verbs, %v", len(verbs), err)
	}
	return verbs
}

func TestHelpListsEveryVerb(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, "--help")
	if status != 0 || stderr != "" {
		t.Errorf("exits with %d: %s", status, stderr)
	}
	for _, verb := range verbs(t) {
		if !strings.Contains(stdout, "\n  "+strings.TrimPrefix(verb.Path(), "towpath ")+" ") {
			t.Errorf("%s is missing in:\n%s", verb.Path(), stdout)
		}
	}
}

// A variable that is set reaches every verb, so its name must mean the same to
// all: the helps differ at most in what a verb adds behind a semicolon.
func TestEveryFlagIsAnEnvironmentVariableWithOneMeaning(t *testing.T) {
	t.Parallel()
	meanings := map[string]string{}
	for _, verb := range verbs(t) {
		for _, flags := range verb.AllFlags(true) {
			for _, flag := range flags {
				if flag.Name == "help" {
					continue
				}
				switch flag.Name {
				case "live", "yes", "run", "dead-letters": // these consent to consequences
					if len(flag.Envs) != 0 {
						t.Errorf("%s --%s heeds %v", verb.Path(), flag.Name, flag.Envs)
					}
					continue
				}
				if len(flag.Envs) != 1 {
					t.Errorf("%s --%s has the variables %v, want one", verb.Path(), flag.Name, flag.Envs)
					continue
				}
				meaning, _, _ := strings.Cut(strings.TrimSuffix(flag.Help, "."), ";")
				if known, ok := meanings[flag.Envs[0]]; ok && known != meaning {
					t.Errorf("%s --%s: %s means %q here and %q elsewhere", verb.Path(), flag.Name, flag.Envs[0], meaning, known)
				}
				meanings[flag.Envs[0]] = meaning
			}
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
	if status, line, _ := run(t, "definition", "slack", "--json"); status != 0 || strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
		t.Errorf("with --json it exits with %d and prints %s", status, line)
	}
	status, _, stderr := run(t, "definition", "nosuch")
	if status != 1 || !strings.Contains(stderr, "shopify, slack") {
		t.Errorf("exits with %d: %s", status, stderr)
	}
}

func TestPlatformsPrintsARowForEach(t *testing.T) {
	t.Parallel()
	status, table, _ := run(t, "platforms")
	if lines := strings.Split(strings.TrimSpace(table), "\n"); status != 0 || len(lines) != len(integrations())+1 || !strings.HasPrefix(lines[0], "PLATFORM ") ||
		!strings.Contains(table, "X-Slack-Signature") || strings.Contains(table, "`") {
		t.Errorf("it exits with %d and prints\n%s", status, table)
	}
	status, lines, _ := run(t, "platforms", "--json")
	for line := range strings.Lines(lines) {
		var row struct {
			Name, Scheme     string
			Events, Messages []string
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || status != 0 || row.Name == "" || row.Scheme == "" || row.Events == nil || row.Messages == nil {
			t.Errorf("%d, %v: %s", status, err, line)
		}
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
