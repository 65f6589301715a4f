package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers"
)

// verb runs an operator's verb on the dev, in the same build.
func (o *own) verb(args ...string) (status int, stdout, stderr string) {
	o.Helper()
	var out, complaints output
	status = cli.Run(o.Context(), append(args, "--dir", o.dir), &out, &complaints, []handlers.Registrable{acme(nil)})
	return status, out.String(), complaints.String()
}

func TestInstallationsSayWhyARegistrationFailed(t *testing.T) {
	t.Parallel()
	broken := acme(nil)
	broken.Register = func(context.Context, handlers.RegisterProps[acmeConfig]) error {
		return handlers.Permanent(handlers.NewRuntimeError("the team was closed", errors.New("gone")))
	}
	o := startOwn(t, twoTeams, broken)
	status, table, stderr := o.verb("installations")
	if status != 0 || strings.Count(table, "registration_failed: the team was closed") != 2 {
		t.Errorf("installations exits with %d: %s%s", status, table, stderr)
	}
	status, lines, stderr := o.verb("installations", "--json")
	if status != 0 || strings.Count(lines, `"reason":"the team was closed`) != 2 {
		t.Errorf("installations exits with %d: %s%s", status, lines, stderr)
	}
}

func TestChangesOfInstallationsAreToldInJSON(t *testing.T) {
	t.Parallel()
	o := startOwn(t, twoTeams, acme(nil))
	for _, verb := range []string{"disable", "enable"} {
		status, line, stderr := o.verb("installations", verb, "demo", "red", "--json")
		var told struct {
			Bot, WebhookURL string
			Disabled        bool
		}
		if err := json.Unmarshal([]byte(line), &told); status != 0 || err != nil || strings.Count(line, "\n") != 1 {
			t.Fatalf("%s exits with %d, %v: %s%s", verb, status, err, line, stderr)
		}
		if told.Bot != "demo" || told.WebhookURL == "" || told.Disabled != (verb == "disable") || strings.Contains(line, "k1") {
			t.Errorf("%s tells %s", verb, line)
		}
	}
	if status, line, stderr := o.verb("installations", "disable", "demo", "red"); status != 0 || !strings.Contains(line, "red of bot demo: ") {
		t.Errorf("for people it tells %q and exits with %d: %s", line, status, stderr)
	}
}

func TestTriggerAsksWhichBotIsMeant(t *testing.T) {
	t.Parallel()
	o := startOwn(t, `
bots:
  - {id: one, token: token-of-the-first-bot}
  - {id: two, token: token-of-the-second-bot}
installations:
  - {bot: one, integration: acme, configuration: {team: a, key: k1}}
  - {bot: two, integration: acme, configuration: {team: b, key: k2}}
`, acme(nil))
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"none":    {nil, "installed in the bots one, two: choose one with --bot"},
		"one":     {[]string{"--bot=two"}, "sample"},
		"unknown": {[]string{"--bot=three"}, "not installed in the bot three"},
	} {
		status, _, stderr := o.verb(append([]string{"trigger", "acme", "nothing"}, c.flags...)...)
		if status != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: trigger exits with %d: %s", name, status, stderr)
		}
	}
}
