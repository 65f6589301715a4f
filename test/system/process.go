package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Run describes a process to start.
type Run struct {
	Name, Binary string
	Args         []string
	// Env is all that the process sees beside PATH, each as "name=value".
	Env []string
	// Dir is where it works; a directory of the test when empty.
	Dir string
}

// Process is one running process of a test.
type Process struct {
	Name   string
	Output *Output // what it prints, both streams

	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// Start starts a process, which is killed when its test ends. If the test
// failed, its last words are shown and all of them are kept as an artifact; a
// data race fails the test.
func Start(t *testing.T, r Run) *Process {
	t.Helper()
	p := &Process{Name: r.Name, Output: &Output{}, t: t, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), r.Binary, r.Args...) //nolint:gosec // the test says what to run; it ends with it, below
	p.cmd.Dir = r.Dir
	if p.cmd.Dir == "" {
		p.cmd.Dir = t.TempDir()
	}
	p.cmd.Env = environment(r.Env)
	p.cmd.Stdout, p.cmd.Stderr = p.Output, p.Output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		said := p.Output.String()
		if strings.Contains(said, "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", p.Name, said)
		} else if t.Failed() {
			t.Logf("%s said at the end:\n%s", p.Name, Tail(said, 40))
			p.keep(said)
		}
	})
	return p
}

// keep writes down everything that the process said, for `go test -artifacts`.
func (p *Process) keep(said string) {
	name := fmt.Sprintf("%s-%d.log", p.Name, p.cmd.Process.Pid)
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), name), []byte(said), 0o600); err != nil {
		p.t.Log(err)
	}
}

// environment is what a process sees: nothing of the machine's own settings.
// With the race detector a process would wait for a second before it exits.
func environment(own []string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, own...)
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
}

// Kill ends the process the hard way and waits until it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Wait returns the exit status, or fails the test when there is none in time.
func (p *Process) Wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("%s still runs after %s:\n%s", p.Name, within, Tail(p.Output.String(), 40))
		return -1
	}
}

// ExitCode is the status of a process that has ended, -1 after a signal.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Runs tells whether the process has not ended.
func (p *Process) Runs() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Finish runs a command to its end and returns its exit status, what it
// printed and what it complained of.
func Finish(t *testing.T, r Run) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.Binary, r.Args...) //nolint:gosec // the test says what to run
	cmd.Dir = r.Dir
	cmd.Env = environment(r.Env)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", r.Binary, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// Output keeps what is printed.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is everything that was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail returns the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
