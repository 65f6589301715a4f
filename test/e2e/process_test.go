package e2e_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one running process of a test.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	output *output
	exited chan struct{} // closed when it has ended
}

// run describes a process to start.
type run struct {
	name, binary string
	args, env    []string
	dir          string // to work in; a directory of the test when empty
}

// start starts a process, which is killed when its test ends.
func start(t *testing.T, r run) *process {
	t.Helper()
	p := &process{t: t, name: r.name, cmd: exec.Command(r.binary, r.args...), output: &output{}, exited: make(chan struct{})}
	p.cmd.Dir = r.dir
	if p.cmd.Dir == "" {
		p.cmd.Dir = t.TempDir()
	}
	p.cmd.Env = environment(r.env)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
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
		said := p.output.String()
		if strings.Contains(said, "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", p.name, said)
		} else if t.Failed() {
			t.Logf("%s said at the end:\n%s", p.name, tail(said, 40))
		}
	})
	return p
}

// environment is what a process sees: nothing of the machine's own settings.
// With the race detector a process would wait for a second before it exits.
func environment(own []string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "DEMO_TOKEN=" + token, "GORACE=atexit_sleep_ms=0"}, own...)
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// kill ends the process the hard way and waits until it is gone.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// wait returns the exit status, or fails the test when there is none in time.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("%s still runs after %s:\n%s", p.name, within, tail(p.output.String(), 40))
		return -1
	}
}

// runs tells whether the process has not ended.
func (p *process) runs() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// finish runs a command to its end and returns its exit status, what it
// printed and what it complained of.
func finish(t *testing.T, r run) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.binary, r.args...)
	cmd.Dir = r.dir
	cmd.Env = environment(r.env)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", r.binary, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is everything that was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// given holds the ports that were given out, so that none is given twice.
var given sync.Map

// freeAddress returns an address that nobody listens on. Its port is below
// those that the kernel picks by itself, so it stays free until it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 200 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000)))
		if _, taken := given.LoadOrStore(address, true); taken {
			continue
		}
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// eventually waits until ok returns nil, or fails the test with its last error.
func eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
	}
}
