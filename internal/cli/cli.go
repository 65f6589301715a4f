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
	Logs          logsCommand          `cmd:"" help:"Show what integrations wrote for the bot's owner."`
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
	stdout, stderr io.Writer
}

// Main runs the verb that args name and returns the exit status.
func Main(args []string, integrations []handlers.Registrable) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	registry, err := handlers.NewRegistry(integrations...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "towpath: this build's integrations have faults:\n%v\n", err)
		return 1
	}
	parser, err := kong.New(&commands{},
		kong.Name("towpath"),
		kong.Description("Chat and SaaS integrations on NATS JetStream. Every flag is also an environment variable."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&program{registry: registry, stdout: os.Stdout, stderr: os.Stderr}),
	)
	if err != nil {
		fmt.Fprintf(os.Stderr, "towpath: %v\n", err)
		return 1
	}
	command, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err := command.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "towpath: %v\n", err)
		return 1
	}
	return 0
}
