// Package e2e_test runs the built binaries as processes of their own, beside a
// NATS server that is one too, and treats them as operators, platforms and
// machines do: it sends webhooks, reads what arrives, and kills.
package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/towpath/towpath/test/system"
)

// binaries are the processes under test, built once.
var binaries system.Binaries

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "towpath-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binaries, err = system.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
