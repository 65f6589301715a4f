package containers_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// composition is docker-compose.yml as one project of a test.
type composition struct{ folder, project, environment string }

// command runs a verb of docker compose. What the shell exports does not reach it: only the test's own .env file does.
func (c composition) command(ctx context.Context, arguments ...string) *exec.Cmd {
	compose := []string{"compose", "--project-directory", c.folder, "--project-name", c.project}
	if c.environment != "" {
		compose = append(compose, "--env-file", c.environment)
	}

	command := exec.CommandContext(ctx, "docker", append(compose, arguments...)...)
	command.Dir = c.folder

	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if name == "PATH" || name == "HOME" || strings.HasPrefix(name, "DOCKER_") || strings.HasPrefix(name, "XDG_") {
			command.Env = append(command.Env, variable)
		}
	}

	return command
}

// do runs a verb and returns what it printed, on both of its streams.
func (c composition) do(ctx context.Context, t *testing.T, arguments ...string) string {
	t.Helper()

	printed, err := c.command(ctx, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker compose %s: %v\n%s", strings.Join(arguments, " "), err, printed)
	}

	return string(printed)
}

// needCompose ends the test where docker has no verb compose.
func needCompose(t *testing.T) {
	t.Helper()
	engine(t)

	if err := exec.CommandContext(t.Context(), "docker", "compose", "version").Run(); err != nil {
		missing(t, "docker compose is not installed")
	}
}

func TestComposeWithoutSettingsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	needCompose(t)

	c := composition{folder: t.TempDir(), project: "towpath-test-bare"}

	file, err := os.ReadFile(filepath.Join(root(t), "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(c.folder, "docker-compose.yml"), file, 0o600); err != nil {
		t.Fatal(err)
	}

	printed, err := c.command(t.Context(), "up", "--no-start").CombinedOutput()
	if err == nil || !strings.Contains(string(printed), "copy .env.example to .env first") {
		t.Errorf("it says (%v):\n%s", err, printed)
	}
}

func TestComposeAnswersEveryWebhookOnceAlthoughAWorkerIsKilled(t *testing.T) { //nolint:paralleltest // it needs the machine to itself
	needCompose(t)

	provider := engine(t)
	c, s := newComposition(t)

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		if t.Failed() {
			t.Logf("at last:\n%s", c.do(ctx, t, "logs", "--tail", "20"))
		}

		c.do(ctx, t, "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")
	})

	began := time.Now()
	c.do(t.Context(), t, "up", "--detach", "--build", "--scale", "worker=3", "--wait", "--wait-timeout", "120")
	t.Logf("up in %s", time.Since(began).Round(time.Second))

	triggered := c.do(t.Context(), t, "run", "--rm", "towpath", "trigger", "slack", "message", "hello")
	for _, step := range []string{"accepted", "stored", "message created", "handled", "bot answered", "sending", "sent", "acked"} {
		if !strings.Contains(triggered, " ms  "+step+" ") {
			t.Errorf("the step %q is missing in:\n%s", step, triggered)
		}
	}

	installed := c.do(t.Context(), t, "run", "--rm", "towpath", "installations")
	if strings.Count(installed, "  registered  "+s.ingest+"/webhooks/webhook_demo_") != 2 {
		t.Errorf("not both installations are registered under %s:\n%s", s.ingest, installed)
	}

	workers := strings.Fields(c.do(t.Context(), t, "ps", "--quiet", "worker"))
	if len(workers) != 3 {
		t.Fatalf("workers: %v", workers)
	}

	s.kill = func(ctx context.Context) error { return kill(ctx, provider, workers[0]) }
	began = time.Now()
	s.bombard(t).check(t)
	t.Logf("in %s", time.Since(began).Round(time.Millisecond))

	c.do(t.Context(), t, "stop")

	ended := c.do(t.Context(), t, "ps", "--all", "--format", "{{.Service}} {{.ExitCode}}")
	if failed := strings.Count(ended, "\n") - strings.Count(ended, " 0\n"); failed != 1 || !strings.Contains(ended, "worker 137\n") {
		t.Errorf("only the killed worker should not have exited with 0:\n%s", ended)
	}
}

// newComposition makes a project with .env.example as its settings, on ports that are free.
func newComposition(t *testing.T) (composition, *system) {
	t.Helper()

	settings, err := os.ReadFile(filepath.Join(root(t), ".env.example"))
	if err != nil {
		t.Fatal(err)
	}

	var ports [3]int
	for i := range ports {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close() // all are held until the last is found, so that none comes twice

		ports[i] = free.Addr().(*net.TCPAddr).Port
	}

	settings = fmt.Appendf(settings, "\nTOWPATH_INGEST_PORT=%d\nTOWPATH_API_PORT=%d\nTOWPATH_FAKE_PORT=%d\n", ports[0], ports[1], ports[2])
	c := composition{
		folder: root(t), project: fmt.Sprintf("towpath-test-%d", os.Getpid()), environment: filepath.Join(t.TempDir(), ".env"),
	}

	if err := os.WriteFile(c.environment, settings, 0o600); err != nil {
		t.Fatal(err)
	}

	on := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

	return c, &system{
		ingest: on(ports[0]), api: on(ports[1]), fake: on(ports[2]),
		token: setting(t, settings, "DEMO_TOKEN"), secret: setting(t, settings, "SLACK_SIGNING_SECRET"),
		monitor: func(ctx context.Context) ([]byte, error) {
			return c.command(ctx, "exec", "-T", "nats", "wget", "-q", "-O", "-", "http://127.0.0.1:8222/jsz?streams=true").Output()
		},
	}
}

// setting reads one line of an .env file.
func setting(t *testing.T, settings []byte, name string) string {
	t.Helper()

	for line := range strings.Lines(string(settings)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}

	t.Fatalf("no %s in .env.example", name)

	return ""
}
