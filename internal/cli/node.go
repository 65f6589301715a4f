package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/handlers"
)

// logFlags are the flags of every process that logs.
type logFlags struct {
	LogFormat string `enum:"text,json" default:"text" env:"TOWPATH_LOG_FORMAT" help:"text or json."`
	LogLevel  string `default:"info" env:"TOWPATH_LOG_LEVEL" help:"debug, info, warn or error; can be changed while running at {ops}/loglevel."`
}

// natsFlag is the flag of everything that talks to NATS.
type natsFlag struct {
	NATS string `name:"nats" default:"nats://127.0.0.1:4222" env:"NATS_URL" help:"Where NATS is."`
}

// roleFlags are the flags of every process that has one role.
type roleFlags struct {
	natsFlag
	logFlags
	Ops         string        `default:"127.0.0.1:8082" env:"TOWPATH_OPS" help:"Address of /healthz, /readyz and /metrics."`
	ClockOffset time.Duration `env:"TOWPATH_CLOCK_OFFSET" help:"By how much to put this process's clock off, to try what a wrong one does."`
}

// clock is the process's clock.
func (f roleFlags) clock() time.Time { return time.Now().Add(f.ClockOffset) }

// node is what the roles of a process share.
type node struct {
	name      string
	registry  *handlers.Registry
	logger    *logrus.Logger
	metrics   *prometheus.Registry
	tracer    trace.Tracer
	untrace   func(context.Context) error // sends the last spans
	broker    *broker.Broker
	directory *store.Directory
	group     *errgroup.Group
	cancel    context.CancelFunc
}

// nodeConfig says what kind of node to make.
type nodeConfig struct {
	role   string // "ingest", shown in logs and metrics
	broker broker.Config
	log    logFlags
}

// newNode connects a node; its tasks run in the group until ctx ends or one of
// them fails.
func newNode(ctx context.Context, p *program, config nodeConfig) (context.Context, *node, error) {
	logger, err := ops.Logger(config.log.LogFormat, config.log.LogLevel, p.stderr)
	if err != nil {
		return nil, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, err
	}
	n := &node{name: fmt.Sprintf("%s-%s-%d", config.role, host, os.Getpid()), registry: p.registry, logger: logger, metrics: ops.NewRegistry(config.role)}
	config.broker.Name, config.broker.Logger = n.name, logger
	if n.tracer, n.untrace, err = ops.Tracing(ctx, config.role); err != nil {
		return nil, nil, err
	}
	if n.broker, err = broker.Connect(config.broker); err != nil {
		return nil, nil, err
	}
	n.directory = store.NewDirectory(n.broker, logger)
	ctx, n.cancel = context.WithCancel(ctx)
	n.group, ctx = errgroup.WithContext(ctx)
	return ctx, n, nil
}

// runDirectory watches bots and installations.
func (n *node) runDirectory(ctx context.Context) {
	n.group.Go(func() error {
		_ = n.directory.Run(ctx) // it ends with ctx, and only then
		return nil
	})
}

// lastSpans is how long a process that ends tries to send its last spans.
const lastSpans = 2 * time.Second

// wait blocks until every task has ended, and closes the connection last.
func (n *node) wait() error {
	defer n.broker.Close()
	defer n.cancel()
	err := n.group.Wait()
	last, enough := context.WithTimeout(context.Background(), lastSpans)
	defer enough()
	if err := n.untrace(last); err != nil {
		n.logger.WithError(err).Warn("the last spans could not be sent")
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// stop ends every task and waits for it.
func (n *node) stop() error {
	n.cancel()
	return n.wait()
}

// ready fails until the node can do its job.
func (n *node) ready(ctx context.Context) error {
	if err := n.broker.Ready(ctx); err != nil {
		return err
	}
	if !n.directory.Ready() {
		return errors.New("the installations are not loaded yet")
	}
	return nil
}

// openStore waits for NATS, for as long as that takes, and opens the store.
func (n *node) openStore(ctx context.Context) (*store.Store, error) {
	said := false
	for {
		opened, err := store.Open(ctx, n.broker)
		if err == nil || ctx.Err() != nil {
			return opened, err
		}
		if !said {
			n.logger.WithError(err).Warn("waiting for NATS and its streams")
			said = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (n *node) installations() *dispatch.Installations { return dispatch.NewInstallations(n.registry) }

// listen opens a listener; the error says which flag to change.
func listen(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w (choose another address, or port 0 for any)", flag, address, err)
	}
	return listener, nil
}

// runOps serves the node's own port.
func (n *node) runOps(ctx context.Context, listener net.Listener) {
	n.serve(ctx, listener, ops.New(ops.Config{
		Logger: n.logger, Registry: n.metrics,
		Checks: map[string]func(context.Context) error{"ready": n.ready},
	}))
}

func (n *node) serve(ctx context.Context, listener net.Listener, handler http.Handler) {
	n.group.Go(func() error { return ops.Serve(ctx, listener, handler, ops.Limits{}) })
}

// later is a handler that refuses with 503 until it is given one, so that a
// process listens from its start even while NATS is away.
type later struct{ handler atomic.Pointer[http.Handler] }

func (l *later) set(handler http.Handler) { l.handler.Store(&handler) }

// ServeHTTP implements http.Handler.
func (l *later) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := l.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "5")
	http.Error(w, "not ready yet, send it again", http.StatusServiceUnavailable)
}

// url is the base URL of a listener as this machine reaches it.
func url(listener net.Listener) string {
	address := listener.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + strings.TrimSuffix(address, "/")
}
