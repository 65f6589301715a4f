package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/api"
	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/config"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/handlers"
)

// topologyFlags are how streams are made.
type topologyFlags struct {
	Partitions int   `default:"32" env:"TOWPATH_PARTITIONS" help:"Partitions of each queue: no more workers than this share the work."`
	Replicas   int   `default:"1" env:"TOWPATH_REPLICAS" help:"Copies of each stream: 1, or 3 on a cluster."`
	MaxBytes   int64 `default:"1073741824" env:"TOWPATH_MAX_BYTES" help:"Largest size of each stream, in bytes."`
}

func (f topologyFlags) topology() broker.Topology {
	return broker.Topology{Partitions: f.Partitions, Replicas: f.Replicas, MaxBytes: f.MaxBytes}
}

type provisionCommand struct {
	natsFlag
	logFlags
	topologyFlags
	Config    string        `required:"" env:"TOWPATH_CONFIG" help:"The configuration file." type:"path"`
	PublicURL string        `name:"public-url" default:"http://127.0.0.1:8080" env:"TOWPATH_PUBLIC_URL" help:"Where platforms reach ingest; webhook URLs begin with it."`
	Wait      time.Duration `default:"60s" env:"TOWPATH_WAIT" help:"How long to wait for NATS."`
}

// Run creates what is missing and applies the file.
func (c *provisionCommand) Run(ctx context.Context, p *program) error {
	file, err := config.Load(c.Config, os.LookupEnv)
	if err != nil {
		return err
	}
	logger, err := ops.Logger(c.LogFormat, c.LogLevel, p.stderr)
	if err != nil {
		return err
	}
	b, err := broker.Connect(broker.Config{URL: c.NATS, Name: "provision", Logger: logger})
	if err != nil {
		return err
	}
	defer b.Close()
	waiting, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	if err := provisionStreams(waiting, b, c.topology()); err != nil {
		return err
	}
	opened, err := store.Open(ctx, b)
	if err != nil {
		return err
	}
	changes, err := apply(ctx, opened, p.registry, file, c.PublicURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "streams are ready; bots changed: %d, installations: %d new, %d changed, %d removed\n",
		len(changes.Bots), len(changes.Installed), len(changes.Changed), len(changes.Removed))
	return nil
}

// provisionStreams repeats until NATS is there.
func provisionStreams(ctx context.Context, b *broker.Broker, topology broker.Topology) error {
	if err := b.WaitConnected(ctx); err != nil {
		return fmt.Errorf("NATS cannot be reached: %w", err)
	}
	return b.Provision(ctx, topology)
}

// apply makes bots and installations what the file says.
func apply(ctx context.Context, s *store.Store, registry *handlers.Registry, file *config.File, publicURL string) (store.Changes, error) {
	if len(file.Integrations) > 0 {
		return store.Changes{}, fmt.Errorf("integration %q: integrations behind HTTP are not supported by this version; remove it from the file", file.Integrations[0].Name)
	}
	desired := store.Desired{WebhookBase: strings.TrimSuffix(publicURL, "/") + "/webhooks/"}
	for _, bot := range file.Bots {
		if bot.URL != "" {
			return store.Changes{}, fmt.Errorf("bot %q: pushing events to a bot's url is not supported by this version; remove it from the file, and let the bot read its events from NATS or list them", bot.ID)
		}
		desired.Bots = append(desired.Bots, store.BotSpec{ID: bot.ID, Token: bot.Token})
	}
	for _, i := range file.Installations {
		desired.Installations = append(desired.Installations, store.InstallationSpec{
			Bot: i.Bot, Integration: i.Integration, Alias: i.Alias, WebhookID: i.WebhookID,
			ConfigurationType: i.ConfigurationType, Configuration: i.Configuration, Disabled: i.Disabled,
		})
	}
	return s.Apply(ctx, desired, (&api.Admin{Store: s, Registry: registry}).Check)
}
