package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/slack"
	"github.com/towpath/towpath/test/system"
)

// apart is Towpath as it runs in production: a process for each role.
type apart struct {
	t           *testing.T
	nats        *system.NATS
	ingest, api string
	fake        platform
	ops         map[string]string // URLs by the process's name
	processes   map[string]*system.Process
	slack       handlers.Installed // signs what the test sends
	own         *client.Client
	conn        *nats.Conn
	dir         string
}

// startApart starts everything, with Slack installed in an echoing bot.
func startApart(t *testing.T, workers int) *apart {
	t.Helper()
	a := &apart{
		t: t, nats: system.StartNATS(t, binaries.NATS), dir: t.TempDir(),
		ops: map[string]string{}, processes: map[string]*system.Process{},
	}
	listen := system.FreeAddress(t)
	a.fake = platform("http://" + listen)
	a.start("fake", binaries.Towpath, "", "fake", "--listen", listen)
	a.slack = configure(t, slack.Integration, slackConfiguration(a.fake, slackSecret))
	listen = system.FreeAddress(t)
	a.ingest = "http://" + listen
	a.provision(map[string]string{"slack": slackConfiguration(a.fake, slackSecret)})
	a.start("ingest", binaries.Ingest, "ops", "--listen", listen, "--nats", a.nats.URL)
	listen = system.FreeAddress(t)
	a.api = "http://" + listen
	a.own = bot(a.api, token)
	a.start("api", binaries.Towpath, "ops", "api", "--listen", listen, "--nats", a.nats.URL)
	for i := range workers {
		a.start(fmt.Sprintf("worker%d", i+1), binaries.Worker, "ops", "--nats", a.nats.URL)
	}
	a.start("bot", binaries.Towpath, "", "bot", "echo", "--nats", a.nats.URL, "--api", a.api, "--token", token)
	a.waitReady(http.StatusOK)
	return a
}

// start starts one process; those with a port of their own get it from the
// environment.
func (a *apart) start(name, binary, port string, args ...string) {
	a.t.Helper()
	r := system.Run{Name: name, Binary: binary, Args: args}
	if port != "" {
		address := system.FreeAddress(a.t)
		r.Env = append(r.Env, "TOWPATH_OPS="+address)
		a.ops[name] = "http://" + address
	}
	a.processes[name] = start(a.t, r)
}

// provision applies a configuration and returns what it printed.
func (a *apart) provision(installations map[string]string) string {
	a.t.Helper()
	path := writeConfiguration(a.t, filepath.Join(a.dir, "towpath.yaml"), installations)
	status, stdout, stderr := finish(a.t, system.Run{
		Binary: binaries.Towpath, Args: []string{"provision", "--config", path, "--partitions=8", "--public-url", a.ingest},
		Env: []string{"NATS_URL=" + a.nats.URL},
	})
	if status != 0 {
		a.t.Fatalf("provision exits with %d: %s", status, stderr)
	}
	return stdout
}

// waitReady waits until every process that runs answers its readiness with the
// status.
func (a *apart) waitReady(status int) {
	a.t.Helper()
	for name, url := range a.ops {
		if !a.processes[name].Runs() {
			continue
		}
		system.Eventually(a.t, 20*time.Second, name, func() error { return answers(url+"/readyz", status) })
	}
}

// wantAlive fails for each process that has ended, but for those named.
func (a *apart) wantAlive(but ...string) {
	a.t.Helper()
	for name, p := range a.processes {
		if !p.Runs() && !strings.Contains(strings.Join(but, " "), name) {
			a.t.Errorf("%s has ended with %d", name, p.ExitCode())
		}
	}
}

// connection is one to NATS that is the test's own.
func (a *apart) connection() *nats.Conn {
	a.t.Helper()
	if a.conn == nil {
		conn, err := nats.Connect(a.nats.URL, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			a.t.Fatal(err)
		}
		a.conn = conn
		a.t.Cleanup(conn.Close)
	}
	return a.conn
}
