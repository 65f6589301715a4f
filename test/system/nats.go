package system

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// NATS is a NATS server that can be killed and started again with the files it
// had.
type NATS struct {
	*Process
	URL string // nats://127.0.0.1:…

	binary, configuration string
}

// StartNATS starts a server with JetStream that acknowledges nothing before it
// is flushed to the disk.
func StartNATS(t *testing.T, binary string) *NATS {
	t.Helper()
	dir := t.TempDir()
	address := FreeAddress(t)
	n := &NATS{URL: "nats://" + address, binary: binary, configuration: filepath.Join(dir, "nats.conf")}
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", address, n.Dir())
	if err := os.WriteFile(n.configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.Start(t)
	return n
}

// Dir is where the server keeps everything.
func (n *NATS) Dir() string { return filepath.Join(filepath.Dir(n.configuration), "store") }

// Start starts the server again.
func (n *NATS) Start(t *testing.T) {
	t.Helper()
	n.Process = Start(t, Run{Name: "nats-server", Binary: n.binary, Args: []string{"--config", n.configuration}})
}
