// Package system runs Towpath's binaries and a NATS server as processes of a
// test: built once, at addresses that nobody else takes, killed when their test
// ends.
package system

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Binaries are the paths of what can be run.
type Binaries struct{ Towpath, Ingest, Worker, NATS string }

// Build builds the binaries into a directory. Towpath's look for data races
// when the tests do.
func Build(dir string) (Binaries, error) {
	b := Binaries{
		Towpath: filepath.Join(dir, "towpath"), Ingest: filepath.Join(dir, "ingest"), Worker: filepath.Join(dir, "worker"),
		NATS: filepath.Join(dir, "nats-server"),
	}
	return b, errors.Join(
		build(raceFlag, "-o", dir+string(filepath.Separator), "github.com/towpath/towpath/cmd/..."),
		build("-o", b.NATS, "github.com/nats-io/nats-server/v2"),
	)
}

func build(args ...string) error {
	output, err := exec.CommandContext(context.Background(), "go", append([]string{"build"}, args...)...).CombinedOutput() //nolint:gosec // its arguments are above
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	return nil
}
