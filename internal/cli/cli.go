// Package cli is the command line: every process of Towpath and every
// operator's verb. The binaries in cmd, and those that others build with their
// own integrations, are this package with a list of integrations.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/towpath/towpath/pkg/handlers"
)

// commands is the grammar: one field a verb.
type commands struct {
	Dev           devCommand           `cmd:"" help:"Run everything in one process: NATS, ingest, worker, API, and a demo."`
	Trigger       triggerCommand       `cmd:"" help:"Send a signed sample webhook and watch what becomes of it."`
	Installations installationsCommand `cmd:"" help:"List the installations, their webhook URLs and their status."`
	Webhooks      webhooksCommand      `cmd:"" help:"List, show or follow the webhooks that were accepted."`
	Deliveries    deliveriesCommand    `cmd:"" help:"List, show or follow what workers were asked to do, and what became of it."`
	Events        eventsCommand        `cmd:"" help:"List, show or follow what bots were told."`
	Trace         traceCommand         `cmd:"" help:"Show everything that followed from one thing, whichever part of it is named."`
	DeadLetters   deadLettersCommand   `cmd:"" help:"List, show, send again or remove what was given up."`
	Replay        replayCommand        `cmd:"" help:"Run deliveries again: here, without consequences, or with --live for real."`
	Logs          logsCommand          `cmd:"" help:"Show what integrations wrote for the bot's owner."`
	Usage         usageCommand         `cmd:"" help:"Show what each installation's actions cost, by month."`
	Platforms     platformsCommand     `cmd:"" help:"Tell of each integration how its webhooks come in and what it can do."`
	Definition    definitionCommand    `cmd:"" help:"Print an integration's definition as JSON."`

	Provision provisionCommand `cmd:"" help:"Create streams and apply the configuration file. Idempotent."`
	Ingest    ingestCommand    `cmd:"" help:"Run the listener for webhooks."`
	Worker    workerCommand    `cmd:"" help:"Run a worker."`
	API       apiCommand       `cmd:"" name:"api" help:"Run the HTTP API for bots."`
	Fake      fakeCommand      `cmd:"" help:"Run stand-ins for the platforms' APIs, which record what they are sent."`
	Bot       botCommand       `cmd:"" help:"Run a bot."`
	Health    healthCommand    `cmd:"" help:"Ask a URL and exit 0 if it answers 200, for health checks."`
}

// program is what commands are given to run with.
type program struct {
	registry       *handlers.Registry
	stdin          io.Reader
	terminal       bool // that stdin is one
	stdout, stderr io.Writer
}

// Main runs the verb that args name until SIGINT or SIGTERM, and returns the
// exit status.
func Main(args []string, integrations []handlers.Registrable) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, args, os.Stdout, os.Stderr, integrations)
}

// Run runs the verb that args name until it or ctx ends, and returns the exit
// status: 0, 1 for an error, and 80 for what the command line cannot mean.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, integrations []handlers.Registrable) int {
	complain := func(err error) int {
		fmt.Fprintf(stderr, "towpath: %v\n", err)
		return 1
	}
	registry, err := handlers.NewRegistry(integrations...)
	if err != nil {
		return complain(fmt.Errorf("this build's integrations have faults:\n%w", err))
	}
	status := -1 // until the parser has said all there is to say
	parser, err := newParser(
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&program{registry: registry, stdin: os.Stdin, terminal: isTerminal(os.Stdin), stdout: stdout, stderr: stderr}),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { status = max(status, code) }),
	)
	if err != nil {
		return complain(err)
	}
	command, err := parser.Parse(args)
	if status < 0 {
		parser.FatalIfErrorf(err)
	}
	if status >= 0 {
		return status
	}
	if err := command.Run(); err != nil {
		return complain(err)
	}
	return 0
}

// newParser returns the parser of the command line.
func newParser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(&commands{}, append([]kong.Option{
		kong.Name("towpath"),
		kong.Description("Chat and SaaS integrations on NATS JetStream. Every flag is also an environment variable, but for those that consent to consequences."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("TOWPATH"),
	}, options...)...)
}
