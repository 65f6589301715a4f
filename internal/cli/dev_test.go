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
	if strings.Contains(dev.stdout.String(), "echoes") {
		t.Errorf("no bot echoes:\n%s", dev.stdout.String())
	}
}
