package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// anyPorts lets a dev run beside others.
var anyPorts = []string{"--ingest=127.0.0.1:0", "--api=127.0.0.1:0", "--ops=127.0.0.1:0", "--nats=127.0.0.1:0"}

// beginDev starts a dev and waits until tools find it.
func beginDev(t *testing.T, dir string, args ...string) *verb {
	t.Helper()
	dev := begin(t, append(append([]string{"dev", "--dir", dir, "--partitions=4"}, anyPorts...), args...)...)
	until(t, "the greeting", func() bool {
		select {
		case <-dev.ended:
			t.Fatalf("dev ends with %d: %s", dev.status, dev.stderr.String())
		default:
		}
		return strings.Contains(dev.stdout.String(), "what the platforms were sent")
	})
	return dev
}

func TestDevRunsADemoWithoutABot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), []byte("bots: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dev := beginDev(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil || !strings.Contains(string(data), `"bots": []`) || !strings.Contains(string(data), `"installations": []`) {
		t.Errorf("tools read %v: %s", err, data)
	}
	if strings.Contains(dev.stdout.String(), "echoes") {
		t.Errorf("no bot echoes:\n%s", dev.stdout.String())
	}
}

func TestAFirstMessageThatDoesNotArriveStopsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), []byte("bots:\n  - {id: demo, token: 0123456789abcdef}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dev := beginDev(t, dir, "--hello")
	until(t, "what became of the message", func() bool { return strings.Contains(dev.stdout.String(), "It goes on running") })
	if !strings.Contains(dev.stderr.String(), "slack is not installed") {
		t.Errorf("dev says %q", dev.stderr.String())
	}
	if status, _, stderr := run(t, "installations", "--dir", dir); status != 0 {
		t.Errorf("dev has stopped: %s", stderr)
	}
}

func TestWhatThisVersionDoesNotDoIsRefused(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	for name, one := range map[string]struct{ file, flag, want string }{
		"a bot's url":               {"bots:\n  - {id: demo, token: " + token + ", url: \"http://127.0.0.1:9000\"}\n", "", `bot "demo": pushing events`},
		"a greeting without a demo": {"bots: []\n", "--hello", "--hello greets the demo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"dev", "--dir", t.TempDir(), "--config", write(t, one.file)}, anyPorts...)
			if one.flag != "" {
				args = append(args, one.flag)
			}
			status, stdout, stderr := run(t, args...)
			if status != 1 || stdout != "" || !strings.Contains(stderr, one.want) {
				t.Errorf("dev exits with %d, prints %q and says %q, not %q", status, stdout, stderr, one.want)
			}
		})
	}
}

func TestDevNamesItsDirectoryAsOneWouldTypeIt(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	for dir, want := range map[string]string{".towpath": "kept in .towpath,", "other": "--dir other\n"} {
		dev := beginDev(t, dir)
		if greeting := dev.stdout.String(); !strings.Contains(greeting, want) || strings.Contains(greeting, here) {
			t.Errorf("%q is missing, or a path is absolute in:\n%s", want, greeting)
		}
		dev.end()
	}
}
