// Package e2e_test runs the built binaries as processes of their own, beside a
// NATS server that is one too, and treats them as operators, platforms and
// machines do: it sends webhooks, reads what arrives, and kills.
package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The processes under test, built once.
var (
	towpath, ingest, worker string
	natsServer              string
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "towpath-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	towpath, ingest, worker = filepath.Join(dir, "towpath"), filepath.Join(dir, "ingest"), filepath.Join(dir, "worker")
	natsServer = filepath.Join(dir, "nats-server")
	err = errors.Join(
		build(raceFlag, "-o", dir+string(filepath.Separator), "github.com/towpath/towpath/cmd/..."),
		build("-o", natsServer, "github.com/nats-io/nats-server/v2"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(args ...string) error {
	output, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	return nil
}
