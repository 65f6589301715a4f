package ops

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// readiness answers /readyz.
type readiness struct {
	timeout time.Duration
	names   []string // sorted, so that answers compare
	checks  map[string]*check
}

func newReadiness(checks map[string]func(context.Context) error, timeout time.Duration) *readiness {
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	rd := &readiness{timeout: timeout, names: slices.Sorted(maps.Keys(checks)), checks: map[string]*check{}}
	for name, f := range checks {
		rd.checks[name] = &check{f: f}
	}
	return rd
}

// outcome is one check's line, also in JSON.
type outcome struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// ServeHTTP runs all checks at once and reports them.
func (rd *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outcomes := make([]outcome, len(rd.names))
	var wg sync.WaitGroup
	for i, name := range rd.names {
		wg.Go(func() {
			outcomes[i] = outcome{Name: name, OK: true}
			if err := rd.checks[name].ask(r.Context(), rd.timeout); err != nil {
				outcomes[i] = outcome{Name: name, Error: err.Error()}
			}
		})
	}
	wg.Wait()

	status, ready, lines := http.StatusOK, true, []string{"ready"}
	for _, o := range outcomes {
		if o.OK {
			lines = append(lines, o.Name+": ok")
			continue
		}
		status, ready, lines[0] = http.StatusServiceUnavailable, false, "not ready"
		// One line per check, whatever the error holds.
		lines = append(lines, o.Name+": "+strings.Join(strings.Fields(o.Error), " "))
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		asJSON(w, status, struct {
			Ready  bool      `json:"ready"`
			Checks []outcome `json:"checks"`
		}{ready, outcomes})
		return
	}
	text(w, status, strings.Join(lines, "\n"))
}

// check is one function with at most one run at a time: a check that ignores
// its context and hangs holds one goroutine, not one per probe.
type check struct {
	f   func(context.Context) error
	mu  sync.Mutex
	now *run
}

type run struct {
	done chan struct{}
	err  error // after done
}

// ask joins the run under way or starts one, and waits for at most timeout.
func (c *check) ask(ctx context.Context, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	current := c.start(timeout)
	select {
	case <-current.done:
		return current.err
	case <-timer.C:
		return fmt.Errorf("no answer within %s", timeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *check) start(timeout time.Duration) *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		return c.now
	}
	started := &run{done: make(chan struct{})}
	c.now = started
	go func() {
		// Not the probe's context: others may have joined this run.
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		started.err = guarded(ctx, c.f)
		c.mu.Lock()
		c.now = nil
		c.mu.Unlock()
		close(started.done)
	}()
	return started
}

// guarded turns a panic into an error, since a check is no reason to exit.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check panicked: %v", v)
		}
	}()
	return f(ctx)
}
