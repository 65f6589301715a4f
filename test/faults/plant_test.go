package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/slack"
	"github.com/towpath/towpath/test/system"
)

const (
	token  = "0123456789abcdef0123456789abcdef"
	secret = "8f742231b10e8888abcd99yyyzzz85a5"
	lease  = 3 * time.Second // by default
)

// server is a NATS server that can be ended and started again with its files.
type server interface {
	Kill()
	Start(t *testing.T)
}

// setup says what to start. Zero fields mean one worker and a NATS server that
// is a process of its own.
type setup struct {
	workers int
	// aliases are the installations of Slack; "slack" when empty.
	aliases []string
	// env is what single processes see beside, by name.
	env map[string][]string
	// nats and url are a server that runs already.
	nats server
	url  string
	// between returns where ingest finds NATS, instead of at its URL.
	between func(url string) string
}

// plant is a running Towpath, a process for each role, with the platform and
// the bot at its ends.
type plant struct {
	*scenario
	nats      server
	url       string // of NATS
	ingest    string // base URL
	api       string // base URL
	platform  *platform
	bot       *bot
	own       *client.Client
	installed handlers.Installed // signs what people send
	env       map[string][]string
	ops       map[string]string // base URLs by process
	runs      map[string]system.Run
	processes map[string]*system.Process
}

// start starts everything and waits until it is ready.
func (s *scenario) start(with setup) *plant {
	s.Helper()
	p := &plant{
		scenario: s, nats: with.nats, url: with.url, platform: play(s.T), env: with.env,
		ops: map[string]string{}, runs: map[string]system.Run{}, processes: map[string]*system.Process{},
	}
	if p.nats == nil {
		n := system.StartNATS(s.T, binaries.NATS)
		p.nats, p.url = n, n.URL
	}
	listen := system.FreeAddress(s.T)
	p.ingest = "http://" + listen
	p.provision(with.aliases)
	at := p.url
	if with.between != nil {
		at = with.between(p.url)
	}
	p.run("ingest", binaries.Ingest, "--listen", listen, "--nats", at)
	listen = system.FreeAddress(s.T)
	p.api = "http://" + listen
	p.run("api", binaries.Towpath, "api", "--listen", listen, "--nats", p.url)
	for i := range max(1, with.workers) {
		p.runWorker(i + 1)
	}
	p.own = client.New(&client.HTTP{BaseURL: p.api, Token: token, Client: browser}, client.Caller{BotID: "demo"})
	p.waitReady(http.StatusOK, 30*time.Second)
	p.bot = answer(p)
	return p
}

// runWorker starts one more worker and returns its name.
func (p *plant) runWorker(number int) string {
	p.Helper()
	name := fmt.Sprintf("worker%d", number)
	p.run(name, binaries.Worker, "--nats", p.url)
	return name
}

// run starts a process for the first time.
func (p *plant) run(name, binary string, args ...string) {
	p.Helper()
	ops := system.FreeAddress(p.T)
	p.ops[name] = "http://" + ops
	p.runs[name] = system.Run{Name: name, Binary: binary, Args: args, Env: append([]string{"TOWPATH_OPS=" + ops}, p.env[name]...)}
	p.again(name)
}

// again starts a process as it was started before.
func (p *plant) again(name string) {
	p.Helper()
	p.processes[name] = system.Start(p.T, p.runs[name])
}

// retire forgets a process that has ended and will not be started again.
func (p *plant) retire(name string) {
	delete(p.processes, name)
	delete(p.ops, name)
}

func (p *plant) workers() []string {
	var names []string
	for name := range p.processes {
		if strings.HasPrefix(name, "worker") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// provision makes the streams and installs Slack under each alias, whose API
// is at /slack/<alias>/.
func (p *plant) provision(aliases []string) {
	p.Helper()
	if len(aliases) == 0 {
		aliases = []string{"slack"}
	}
	text := "bots:\n  - {id: demo, token: " + token + "}\ninstallations:\n"
	for _, alias := range aliases {
		configuration := fmt.Sprintf(`{"botToken": "xoxb-1", "signingSecret": %q, "apiUrl": "%s/slack/%s/"}`, secret, p.platform.url, alias)
		text += fmt.Sprintf("  - {bot: demo, integration: slack, alias: %s, webhookId: webhook_%s, configuration: %s}\n", alias, alias, configuration)
		installed, err := slack.Integration.Configure(json.RawMessage(configuration))
		if err != nil {
			p.Fatal(err)
		}
		p.installed = installed // all have the same secret
	}
	path := filepath.Join(p.TempDir(), "towpath.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	status, _, stderr := system.Finish(p.T, system.Run{
		Binary: binaries.Towpath, Args: []string{"provision", "--config", path, "--partitions=16", "--public-url", p.ingest},
		Env: []string{"NATS_URL=" + p.url},
	})
	if status != 0 {
		p.Fatalf("provision exits with %d: %s", status, stderr)
	}
}

// waitReady waits until every process, or those named, answers its readiness
// with the status, and returns how long that took.
func (p *plant) waitReady(status int, within time.Duration, names ...string) time.Duration {
	p.Helper()
	began := time.Now()
	for name, url := range p.ops {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		system.Eventually(p.T, within, name, func() error {
			answer, err := browser.Get(url + "/readyz")
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode != status {
				return fmt.Errorf("readyz answers %d", answer.StatusCode)
			}
			return nil
		})
	}
	return time.Since(began).Round(time.Millisecond)
}

// wantAlive fails for each process that has ended by itself.
func (p *plant) wantAlive() {
	p.Helper()
	for name, process := range p.processes {
		if !process.Runs() {
			p.Errorf("%s has ended with %d", name, process.ExitCode())
		}
	}
}

// said is how many lines the processes have printed.
func (p *plant) said() int {
	lines := 0
	for _, process := range p.processes {
		lines += strings.Count(process.Output.String(), "\n")
	}
	return lines
}
