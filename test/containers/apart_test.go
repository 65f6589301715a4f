package containers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	mobynet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnats "github.com/testcontainers/testcontainers-go/modules/nats"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	natsImage = "nats:2.15-alpine"
	startup   = time.Minute
)

// demo is what deploy/towpath.yaml takes from the environment.
var demo = map[string]string{
	"DEMO_TOKEN":      "demo-token-of-a-test",
	"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_SIGNING_SECRET": "slack-secret-of-a-test", "SLACK_API_URL": "http://fake:8090/slack/api/",
	"SHOPIFY_SHOP_NAME": "test", "SHOPIFY_CLIENT_SECRET": "shopify-secret-of-a-test", "SHOPIFY_ACCESS_TOKEN": "shpat-test",
	"SHOPIFY_API_URL": "http://fake:8090/shopify/",
}

func TestEveryWebhookIsAnsweredOnceAlthoughAWorkerIsKilled(t *testing.T) { //nolint:paralleltest // it needs the machine to itself
	s := startApart(t)

	began := time.Now()
	s.bombard(t).check(t)
	t.Logf("in %s", time.Since(began).Round(time.Millisecond))
}

// startApart puts Towpath together container by container: three workers, the fake platforms and the echoing bot too.
func startApart(t *testing.T) *system {
	t.Helper()

	towpath, provider := image(t), engine(t)

	joined, err := network.New(t.Context())
	testcontainers.CleanupNetwork(t, joined)

	if err != nil {
		t.Fatal(err)
	}

	nats, err := tcnats.Run(t.Context(), natsImage,
		network.WithNetwork([]string{"nats"}, joined),
		testcontainers.WithCmd("nats-server", "--config", "/etc/nats/nats.conf"),
		hardened("4222/tcp", "6222/tcp", "8222/tcp"),
		mounted(t, "deploy/nats.conf", "/etc/nats/nats.conf"),
		testcontainers.WithConfigModifier(func(c *container.Config) { c.Volumes = map[string]struct{}{"/data": {}} }),
		testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForHTTP("/healthz").WithPort("8222/tcp")))
	testcontainers.CleanupContainer(t, nats)

	if err != nil {
		t.Fatal(err)
	}

	run := func(name string, options ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
		return start(t, towpath, name, append(options, network.WithNetwork([]string{name}, joined),
			testcontainers.WithEnv(map[string]string{"NATS_URL": "nats://nats:4222"}))...)
	}
	role := func(name string, ports []string, command ...string) *testcontainers.DockerContainer {
		return run(name, serving(append(ports, "8082/tcp")...), testcontainers.WithCmd(append(command, "--ops", "0.0.0.0:8082")...),
			testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForHTTP("/readyz").WithPort("8082/tcp")))
	}

	platforms := run("fake", serving("8090/tcp"), testcontainers.WithCmd("towpath", "fake", "--listen", "0.0.0.0:8090"),
		testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForHTTP("/_requests").WithPort("8090/tcp")))
	run("provision", hardened(), mounted(t, "deploy/towpath.yaml", "/etc/towpath/towpath.yaml"), testcontainers.WithEnv(demo),
		testcontainers.WithCmd("towpath", "provision", "--config", "/etc/towpath/towpath.yaml"),
		testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForExit()))
	ingest := role("ingest", []string{"8080/tcp"}, "ingest", "--listen", "0.0.0.0:8080")
	api := role("api", []string{"8081/tcp"}, "towpath", "api", "--listen", "0.0.0.0:8081")

	var workers []string
	for i := range 3 {
		workers = append(workers, role(fmt.Sprintf("worker%d", i), nil, "worker").GetContainerID())
	}

	run("bot", hardened(), testcontainers.WithCmd("towpath", "bot", "echo", "--bot", "demo"),
		testcontainers.WithEnv(map[string]string{"TOWPATH_API": "http://api:8081", "TOWPATH_TOKEN": demo["DEMO_TOKEN"]}),
		testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForLog("bot listens")))

	s := &system{
		ingest: endpoint(t, ingest, "8080/tcp"), api: endpoint(t, api, "8081/tcp"), fake: endpoint(t, platforms, "8090/tcp"),
		token: demo["DEMO_TOKEN"], secret: demo["SLACK_SIGNING_SECRET"],
		kill: func(ctx context.Context) error { return kill(ctx, provider, workers[0]) },
	}
	streams := endpoint(t, nats, "8222/tcp") + "/jsz?streams=true"
	s.monitor = func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, streams, nil)
		if err != nil {
			return nil, err
		}

		_, _, answer, err := s.do(request)

		return answer, err
	}

	return s
}

// start runs a container of the image until the test ends, and shows its log if the test fails.
func start(t *testing.T, image, name string, options ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
	t.Helper()

	c, err := testcontainers.Run(t.Context(), image, options...)
	testcontainers.CleanupContainer(t, c)

	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s says at last:\n%s", name, tail(c))
			}
		})
	}

	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}

	return c
}

// tail returns the last lines of a container's log.
func tail(c testcontainers.Container) string {
	log, err := c.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	defer log.Close()

	text, err := io.ReadAll(log)
	if err != nil {
		return err.Error()
	}

	lines := slices.Collect(strings.Lines(string(text)))

	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// serving exposes ports to this machine alone, in a hardened container.
func serving(ports ...string) testcontainers.CustomizeRequestOption {
	return func(request *testcontainers.GenericContainerRequest) error {
		if err := testcontainers.WithExposedPorts(ports...)(request); err != nil {
			return err
		}

		return hardened(ports...)(request)
	}
}

// hardened runs a container as docker-compose.yml does: without capabilities, on a file system that cannot be written.
// Ports that are published are bound to 127.0.0.1, or they would be open to the network.
func hardened(ports ...string) testcontainers.CustomizeRequestOption {
	return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
		host.ReadonlyRootfs = true
		host.CapDrop = []string{"ALL"}
		host.SecurityOpt = []string{"no-new-privileges:true"}

		if host.PortBindings == nil {
			host.PortBindings = mobynet.PortMap{}
		}

		for _, port := range ports {
			host.PortBindings[mobynet.MustParsePort(port)] = []mobynet.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1")}}
		}
	})
}

// mounted lets a container read a file of the repository.
func mounted(t *testing.T, file, at string) testcontainers.CustomizeRequestOption {
	t.Helper()

	bind := filepath.Join(root(t), file) + ":" + at + ":ro"

	return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) { host.Binds = append(host.Binds, bind) })
}

func endpoint(t *testing.T, c testcontainers.Container, port string) string {
	t.Helper()

	base, err := c.PortEndpoint(t.Context(), port, "http")
	if err != nil {
		t.Fatal(err)
	}

	return base
}

// kill ends a container with SIGKILL.
func kill(ctx context.Context, provider *testcontainers.DockerProvider, id string) error {
	_, err := provider.Client().ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"})

	return err
}
