package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/towpath/towpath/internal/api"
	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/ingest"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// ingestFlags are the flags of the ingest role.
type ingestFlags struct {
	MaxBody  int64         `default:"2097152" env:"TOWPATH_MAX_BODY" help:"Largest body of a webhook, in bytes."`
	Deadline time.Duration `default:"2.5s" env:"TOWPATH_DEADLINE" help:"After this a webhook that could not be stored is refused with 503."`
}

func (n *node) runIngest(ctx context.Context, listener net.Listener, flags ingestFlags) {
	n.serve(ctx, listener, ingest.New(ingest.Config{
		Broker: n.broker, Directory: n.directory, Installations: n.installations(), Logger: n.logger,
		Metrics: n.metrics, Secrets: os.LookupEnv, MaxBody: flags.MaxBody, Deadline: flags.Deadline, Now: n.broker.Now,
		Tracer: n.tracer,
	}))
}

// workerFlags are the flags of the worker role.
type workerFlags struct {
	Concurrency int           `default:"64" env:"TOWPATH_CONCURRENCY" help:"How many handlers run at once."`
	Grace       time.Duration `default:"20s" env:"TOWPATH_GRACE" help:"How long running handlers may go on after SIGTERM."`
	Lease       time.Duration `default:"3s" env:"TOWPATH_LEASE" help:"After this a worker without a sign of life loses its work to others."`
	Timeout     time.Duration `default:"60s" env:"TOWPATH_TIMEOUT" help:"How long one attempt may take."`
	MaxAttempts int           `default:"15" env:"TOWPATH_MAX_ATTEMPTS" help:"After this many failed attempts a delivery is a dead letter."`
	MaxAge      time.Duration `default:"24h" env:"TOWPATH_MAX_AGE" help:"After this time a delivery is not tried again."`
}

// shortestLease is longer than a worker's open requests for work live, so that
// none of a dead one is served in its successor's stead.
const shortestLease = 3 * time.Second

// Validate implements kong's hook.
func (f workerFlags) Validate() error {
	if f.Lease < shortestLease {
		return fmt.Errorf("--lease: %s is shorter than %s, which a worker needs to be sure that it has lost its work", f.Lease, shortestLease)
	}
	return nil
}

func (n *node) runWorker(ctx context.Context, flags workerFlags) {
	n.group.Go(func() error {
		opened, err := n.openStore(ctx)
		if err != nil {
			return err
		}
		w, err := worker.New(ctx, worker.Config{
			Name: n.name, Broker: n.broker, Store: opened, Directory: n.directory, Logger: n.logger, Metrics: n.metrics,
			Dispatcher: &dispatch.Dispatcher{
				Installations: n.installations(), Backend: opened, Logger: n.logger, Timeout: flags.Timeout,
				Secrets: os.LookupEnv, OwnerLog: worker.OwnerLog(n.broker, n.logger), Tracer: n.tracer,
			},
			Concurrency: flags.Concurrency, Grace: flags.Grace, Lease: broker.Lease{TTL: flags.Lease},
			Retry: handlers.RetryPolicy{MaxAttempts: flags.MaxAttempts, MaxAge: flags.MaxAge},
		})
		if err != nil {
			return err
		}
		n.logger.WithField("worker", n.name).Info("worker runs")
		w.Run(ctx)
		return nil
	})
}

func (n *node) runAPI(ctx context.Context, listener net.Listener) {
	handler := &later{}
	n.serve(ctx, listener, handler)
	n.group.Go(func() error {
		opened, err := n.openStore(ctx)
		if err != nil {
			return err
		}
		handler.set(api.New(api.Config{
			Backend: opened, Directory: n.directory, Connected: n.broker.Connected, Logger: n.logger, Tracer: n.tracer,
			Admin: &api.Admin{Store: opened, Broker: n.broker, Registry: n.registry},
		}))
		return nil
	})
}

// The processes, one role each.
type (
	ingestCommand struct {
		roleFlags
		ingestFlags
		Listen string `default:"127.0.0.1:8080" env:"TOWPATH_LISTEN" help:"Address to listen at; for webhooks."`
	}
	workerCommand struct {
		roleFlags
		workerFlags
	}
	apiCommand struct {
		roleFlags
		Listen string `default:"127.0.0.1:8081" env:"TOWPATH_LISTEN" help:"Address to listen at; for the API."`
	}
)

// Run runs ingest until ctx ends.
func (c *ingestCommand) Run(ctx context.Context, p *program) error {
	listener, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	return runRole(ctx, p, "ingest", c.roleFlags, func(ctx context.Context, n *node) {
		n.logger.WithField("address", url(listener)).Info("ingest listens")
		n.runIngest(ctx, listener, c.ingestFlags)
	})
}

// Run runs a worker until ctx ends and it has drained.
func (c *workerCommand) Run(ctx context.Context, p *program) error {
	return runRole(ctx, p, "worker", c.roleFlags, func(ctx context.Context, n *node) {
		n.runWorker(ctx, c.workerFlags)
	})
}

// Run runs the API until ctx ends.
func (c *apiCommand) Run(ctx context.Context, p *program) error {
	listener, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	return runRole(ctx, p, "api", c.roleFlags, func(ctx context.Context, n *node) {
		n.logger.WithField("address", url(listener)).Info("API listens")
		n.runAPI(ctx, listener)
	})
}

func runRole(ctx context.Context, p *program, role string, flags roleFlags, run func(context.Context, *node)) error {
	listener, err := listen("ops", flags.Ops)
	if err != nil {
		return err
	}
	ctx, n, err := newNode(ctx, p, nodeConfig{role: role, broker: broker.Config{URL: flags.NATS, Clock: flags.clock}, log: flags.logFlags})
	if err != nil {
		return err
	}
	n.runDirectory(ctx)
	n.runOps(ctx, listener)
	run(ctx, n)
	return n.wait()
}

// newPlatforms returns stand-ins for the APIs of all integrations, each under
// its name.
func newPlatforms(registry *handlers.Registry) *fake.Server {
	server := fake.New()
	for _, definition := range registry.Definitions() {
		integration, _, err := registry.Find(definition.Name)
		if err != nil {
			continue
		}
		if api := integration.NewFake(); api != nil {
			server.Mount("/"+definition.Name, api)
		}
	}
	return server
}

type fakeCommand struct {
	Listen string `default:"127.0.0.1:8083" env:"TOWPATH_LISTEN" help:"Address to listen at; for what would go to the platforms."`
}

// Run serves the fake platforms until ctx ends.
func (c *fakeCommand) Run(ctx context.Context, p *program) error {
	listener, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	platforms := newPlatforms(p.registry)
	context.AfterFunc(ctx, platforms.Close)
	return ops.Serve(ctx, listener, platforms, ops.Limits{})
}
