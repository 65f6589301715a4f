package faults_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/towpath/towpath/test/system"
)

// small is a NATS server in a container whose disk is small. The container
// outlives the server, since its disk is memory.
type small struct {
	container *testcontainers.DockerContainer
	url       string
}

const (
	smallConfiguration = "listen: 0.0.0.0:4222\njetstream {\n  store_dir: /data\n  sync_interval: always\n  max_file: 200GB\n}\n"
	smallCommand       = "trap 'kill -9 $(cat /tmp/pid); exit' TERM; while :; do nats-server --config /tmp/nats.conf & echo $! >/tmp/pid; wait $!; " +
		"while [ -e /tmp/stay ]; do sleep 0.1; done; done"
)

// startSmall starts it, or skips where there is no container engine.
func startSmall(s *scenario) *small {
	s.Helper()
	s.needEngine()
	address := system.FreeAddress(s.T)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		s.Fatal(err)
	}
	c, err := testcontainers.Run(s.Context(), "nats:2.15-alpine",
		testcontainers.WithEntrypoint("sh", "-c"), testcontainers.WithCmd(smallCommand),
		testcontainers.WithTmpfs(map[string]string{"/data": "size=48m"}),
		testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader: strings.NewReader(smallConfiguration), ContainerFilePath: "/tmp/nats.conf", FileMode: 0o644,
		}),
		testcontainers.WithExposedPorts("4222/tcp"),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.PortBindings = network.PortMap{network.MustParsePort("4222/tcp"): []network.PortBinding{
				{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port},
			}}
		}),
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForListeningPort("4222/tcp").SkipInternalCheck()))
	testcontainers.CleanupContainer(s.T, c)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if s.Failed() {
			log, err := c.Logs(context.Background())
			if err != nil {
				return
			}
			defer log.Close()
			text, _ := io.ReadAll(log)
			s.Logf("NATS said at the end:\n%s", system.Tail(string(text), 40))
		}
	})
	return &small{container: c, url: "nats://" + address}
}

// needEngine ends the test where no container engine of this machine answers.
func (s *scenario) needEngine() {
	s.Helper()
	missing := s.Skip
	if os.Getenv("CI") == "true" {
		missing = s.Fatal
	}
	provider, err := testcontainers.NewDockerProvider()
	if err == nil {
		err = provider.Health(s.Context())
	}
	if err != nil {
		missing("no container engine answers (docker info):", err)
	}
	if host := provider.Client().DaemonHost(); !strings.HasPrefix(host, "unix://") {
		missing("the container engine at", host, "may not be on this machine: unset DOCKER_HOST")
	}
}

// do runs a command in the container.
func (n *small) do(t *testing.T, command string) string {
	t.Helper()
	_, output, err := n.container.Exec(t.Context(), []string{"sh", "-c", command}, exec.Multiplexed())
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestNATSDiskFull(t *testing.T) {
	t.Parallel()
	s := beginLong(t, "NATS' disk full, then freed")
	n := startSmall(s)
	p := s.start(setup{workers: 2, nats: process{n, t}, url: n.url})
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	s.let(3 * time.Second)
	t.Log(n.do(t, "cat /dev/zero >/data/ballast; df /data | tail -1"))
	l.untilRefused()
	s.let(20 * time.Second)
	p.wantAlive()
	held := l.count()
	n.do(t, "rm /data/ballast")
	s.let(10 * time.Second)
	if l.count() == held { // it does not go on by itself
		t.Log("NATS is restarted")
		p.nats.Kill()
		p.nats.Start(t)
	}
	p.waitReady(http.StatusOK, 30*time.Second)
	s.let(5 * time.Second)
	l.stop()
	p.settle(2*time.Minute, l)
}

// process makes the server in the container one that can be killed.
type process struct {
	*small
	t *testing.T
}

// Kill ends the server, not the container.
func (p process) Kill() { p.do(p.t, "touch /tmp/stay; kill -9 $(cat /tmp/pid)") }

// Start starts it again.
func (p process) Start(t *testing.T) {
	t.Helper()
	p.do(t, "rm -f /tmp/stay")
}

// untilRefused waits until ingest says that it cannot store.
func (l *load) untilRefused() {
	l.Helper()
	l.mu.Lock()
	before := l.refused
	l.mu.Unlock()
	system.Eventually(l.T, 30*time.Second, "an answer of 503", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refused == before {
			return io.ErrNoProgress
		}
		return nil
	})
}
