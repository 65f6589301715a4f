package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

// natsProcess is a NATS server that can be killed and started again with the
// files it had.
type natsProcess struct {
	*process
	url, configuration string
}

func startNATS(t *testing.T) *natsProcess {
	t.Helper()
	dir := t.TempDir()
	address := freeAddress(t)
	n := &natsProcess{url: "nats://" + address, configuration: filepath.Join(dir, "nats.conf")}
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", address, filepath.Join(dir, "store"))
	if err := os.WriteFile(n.configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	return n
}

func (n *natsProcess) start(t *testing.T) {
	t.Helper()
	n.process = start(t, run{name: "nats-server", binary: natsServer, args: []string{"--config", n.configuration}})
}

// apart is Towpath as it runs in production: a process for each role.
type apart struct {
	t           *testing.T
	nats        *natsProcess
	ingest, api string
	fake        platform
	ops         map[string]string // URLs by the process's name
	processes   map[string]*process
	slack       handlers.Installed // signs what the test sends
	own         *client.Client
	conn        *nats.Conn
	dir         string
}

// startApart starts everything, with Slack installed in an echoing bot.
func startApart(t *testing.T, workers int) *apart {
	t.Helper()
	a := &apart{
		t: t, nats: startNATS(t), dir: t.TempDir(),
		ops: map[string]string{}, processes: map[string]*process{},
	}
	listen := freeAddress(t)
	a.fake = platform("http://" + listen)
	a.start("fake", towpath, "", "fake", "--listen", listen)
	a.slack = configure(t, slack.Integration, slackConfiguration(a.fake, slackSecret))
	listen = freeAddress(t)
	a.ingest = "http://" + listen
	a.provision(map[string]string{"slack": slackConfiguration(a.fake, slackSecret)})
	a.start("ingest", ingest, "ops", "--listen", listen, "--nats", a.nats.url)
	listen = freeAddress(t)
	a.api = "http://" + listen
	a.own = bot(a.api, token)
	a.start("api", towpath, "ops", "api", "--listen", listen, "--nats", a.nats.url)
	for i := range workers {
		a.start(fmt.Sprintf("worker%d", i+1), worker, "ops", "--nats", a.nats.url)
	}
	a.start("bot", towpath, "", "bot", "echo", "--nats", a.nats.url, "--api", a.api, "--token", token)
	a.waitReady(http.StatusOK)
	return a
}

// start starts one process; those with a port of their own get it from the
// environment.
func (a *apart) start(name, binary, port string, args ...string) {
	a.t.Helper()
	r := run{name: name, binary: binary, args: args}
	if port != "" {
		address := freeAddress(a.t)
		r.env = append(r.env, "TOWPATH_OPS="+address)
		a.ops[name] = "http://" + address
	}
	a.processes[name] = start(a.t, r)
}

// provision applies a configuration and returns what it printed.
func (a *apart) provision(installations map[string]string) string {
	a.t.Helper()
	path := writeConfiguration(a.t, filepath.Join(a.dir, "towpath.yaml"), installations)
	status, stdout, stderr := finish(a.t, run{
		binary: towpath, args: []string{"provision", "--config", path, "--partitions=8", "--public-url", a.ingest},
		env: []string{"NATS_URL=" + a.nats.url},
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
		if !a.processes[name].runs() {
			continue
		}
		eventually(a.t, 20*time.Second, name, func() error { return answers(url+"/readyz", status) })
	}
}

// wantAlive fails for each process that has ended, but for those named.
func (a *apart) wantAlive(but ...string) {
	a.t.Helper()
	for name, p := range a.processes {
		if !p.runs() && !strings.Contains(strings.Join(but, " "), name) {
			a.t.Errorf("%s has ended with %d", name, p.cmd.ProcessState.ExitCode())
		}
	}
}

// connection is one to NATS that is the test's own.
func (a *apart) connection() *nats.Conn {
	a.t.Helper()
	if a.conn == nil {
		conn, err := nats.Connect(a.nats.url, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			a.t.Fatal(err)
		}
		a.conn = conn
		a.t.Cleanup(conn.Close)
	}
	return a.conn
}
