package e2e_test

import (
	"testing"

	"github.com/towpath/towpath/test/system"
)

// start starts a process that knows the demo bot's token.
func start(t *testing.T, r system.Run) *system.Process {
	t.Helper()
	return system.Start(t, knowing(r))
}

// finish runs a command that knows the demo bot's token to its end.
func finish(t *testing.T, r system.Run) (status int, stdout, stderr string) {
	t.Helper()
	return system.Finish(t, knowing(r))
}

func knowing(r system.Run) system.Run {
	r.Env = append([]string{"DEMO_TOKEN=" + token}, r.Env...)
	return r
}
