package cli_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/generic"
	"github.com/towpath/towpath/pkg/handlers/shopify"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func integrations() []handlers.Registrable {
	return []handlers.Registrable{generic.Integration, slack.Integration, shopify.Integration}
}

// output is written by one goroutine and read by another.
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

// String is what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run runs a verb to its end.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints output
	status = cli.Run(t.Context(), args, &out, &complaints, integrations())
	return status, out.String(), complaints.String()
}

// verb is one that runs until it is told to stop.
type verb struct {
	t              *testing.T
	name           string
	stdout, stderr output
	cancel         context.CancelFunc
	ended          chan struct{}
	status         int // once ended is closed
}

// begin starts a verb, which ends with its test at the latest.
func begin(t *testing.T, args ...string) *verb {
	t.Helper()
	v := &verb{t: t, name: args[0], ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	v.cancel = cancel
	go func() {
		defer close(v.ended)
		v.status = cli.Run(ctx, args, &v.stdout, &v.stderr, integrations())
	}()
	t.Cleanup(v.end)
	return v
}

// end stops the verb as SIGTERM does, and holds it to the status 0.
func (v *verb) end() {
	v.t.Helper()
	v.cancel()
	select {
	case <-v.ended:
	case <-time.After(20 * time.Second):
		v.t.Fatalf("%s does not end", v.name)
	}
	if v.status != 0 {
		v.t.Errorf("%s ends with %d: %s", v.name, v.status, v.stderr.String())
	}
}

// until waits for something that comes about in another goroutine.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not in time", what)
		}
	}
}

// free returns an address that nobody listens on at the moment.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "towpath.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
