// Package containers_test runs Towpath as it is deployed, from the image of the Dockerfile: once put together by the test,
// once by docker-compose.yml. It sends webhooks, kills a worker amid them, and counts what became of each.
//
// Without a container engine its tests skip; with CI=true they fail. All traffic stays on this machine.
package containers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		// Where there is a /.dockerenv, testcontainers would dial the default gateway, which may be anybody's.
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
		// Every test removes what it made. The reaper would be one more image to pull, with the engine's socket in hand.
		"TESTCONTAINERS_RYUK_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}

	log.SetDefault(silent{}) // it tells of every container's birth and death; a test that fails tells more

	os.Exit(m.Run())
}

type silent struct{}

// Printf implements log.Logger.
func (silent) Printf(string, ...any) {}

// root is the repository's folder.
func root(t *testing.T) string {
	t.Helper()

	folder, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}

	return folder
}

// engine returns the container engine of this machine. Where there is none, the test ends here.
func engine(t *testing.T) *testcontainers.DockerProvider {
	t.Helper()

	if testing.Short() {
		t.Skip("containers take minutes: run without -short")
	}

	provider, err := findEngine()
	if errors.Is(err, errNoEngine) {
		missing(t, err.Error())
	}

	if err != nil {
		t.Fatal(err)
	}

	return provider
}

// missing ends a test that lacks a program: it skips, unless in CI, where a test that is always skipped would go unseen.
func missing(t *testing.T, what string) {
	t.Helper()

	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}

	t.Skip(what)
}

var errNoEngine = errors.New("no container engine answers (docker info)")

var findEngine = sync.OnceValues(func() (provider *testcontainers.DockerProvider, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// A DOCKER_HOST that does not answer means no engine. Testcontainers would go on looking elsewhere.
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		if err := onThisMachine(ctx, host); err != nil {
			return nil, err
		}

		named, err := client.New(client.FromEnv)
		if err != nil {
			return nil, err
		}
		defer named.Close()

		if _, err := named.Ping(ctx, client.PingOptions{}); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoEngine, err)
		}
	}

	defer func() { // it panics where it finds no socket
		if cause := recover(); cause != nil {
			provider, err = nil, fmt.Errorf("%w: %v", errNoEngine, cause)
		}
	}()

	provider, err = testcontainers.NewDockerProvider()
	if err == nil {
		err = provider.Health(ctx)
	}

	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoEngine, err)
	}

	published, err := provider.DaemonHost(ctx)
	if err != nil {
		return nil, err
	}

	return provider, errors.Join(onThisMachine(ctx, "tcp://"+published), onThisMachine(ctx, provider.Client().DaemonHost()))
})

// onThisMachine refuses a host that is not this machine, or that only a gateway leads to.
func onThisMachine(ctx context.Context, host string) error {
	address, err := url.Parse(host)
	if err != nil {
		return err
	}

	if address.Scheme == "unix" || address.Scheme == "npipe" {
		return nil
	}

	resolved, err := net.DefaultResolver.LookupIPAddr(ctx, address.Hostname())
	if err != nil {
		return err
	}

	for _, ip := range resolved {
		if !ip.IP.IsLoopback() {
			return fmt.Errorf("the container engine is at %s, which is not this machine: unset DOCKER_HOST", host)
		}
	}

	return nil
}

// image builds the Dockerfile once, and returns the image's name.
func image(t *testing.T) string {
	t.Helper()

	provider := engine(t)

	buildOnce.Do(func() {
		var output bytes.Buffer

		began := time.Now()
		built, errBuild = provider.BuildImage(context.Background(), &testcontainers.ContainerRequest{
			FromDockerfile: testcontainers.FromDockerfile{
				Context: root(t), Repo: "towpath", Tag: "test", KeepImage: true, BuildLogWriter: &output,
			},
		})
		t.Logf("the image was built in %s", time.Since(began).Round(time.Second))

		if errBuild != nil {
			t.Log(output.String())
		}
	})

	if errBuild != nil {
		t.Fatal(errBuild)
	}

	return built
}

var (
	buildOnce sync.Once
	built     string
	errBuild  error
)
