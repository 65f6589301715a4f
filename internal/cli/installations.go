package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/towpath/towpath/internal/api"
	"github.com/towpath/towpath/internal/store"
)

type installationsCommand struct {
	List     listInstallations    `cmd:"" default:"withargs" help:"List the installations, their webhook URLs and their status."`
	Install  installCommand       `cmd:"" help:"Put an integration into a bot, or change its configuration."`
	Disable  disableCommand       `cmd:"" help:"Stop an installation; what waits for it waits."`
	Enable   enableCommand        `cmd:"" help:"Let an installation go on that is disabled, or paused because its platform refused its credentials."`
	Register registerAgainCommand `cmd:"" help:"Register an installation again, such as after the platform was mended."`
	Ping     pingCommand          `cmd:"" help:"Ask an installation's integration whether it can do its job."`
	Remove   removeCommand        `cmd:"" help:"Take an installation out of its bot."`
}

type listInstallations struct {
	systemFlags
	JSON bool `name:"json" help:"One JSON object a line."`
}

// shown is an installation without its configuration, which holds secrets.
type shown struct {
	Bot         string       `json:"bot"`
	Alias       string       `json:"alias"`
	Integration string       `json:"integration"`
	WebhookID   string       `json:"webhookId"`
	WebhookURL  string       `json:"webhookUrl"`
	Status      store.Status `json:"status"`
	Reason      string       `json:"reason,omitempty"`
	Disabled    bool         `json:"disabled,omitempty"`
	// Paused is why it is stopped until it is configured anew or enabled.
	Paused string `json:"paused,omitempty"`
}

func showInstallation(i store.Installation) shown {
	row := shown{
		Bot: i.BotID, Alias: i.Alias, Integration: i.Integration, WebhookID: i.WebhookID, WebhookURL: i.WebhookURL,
		Status: i.Status, Reason: i.StatusReason, Disabled: i.Disabled,
	}
	if i.Paused != nil {
		row.Paused = i.Paused.Reason
	}
	return row
}

// Run lists the installations.
func (c *listInstallations) Run(ctx context.Context, p *program) error {
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	installed, err := s.store.Installations(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "BOT\tALIAS\tINTEGRATION\tSTATUS\tWEBHOOK URL")
	}
	for _, i := range installed {
		row := showInstallation(i)
		if c.JSON {
			if err := json.NewEncoder(p.stdout).Encode(row); err != nil {
				return err
			}
			continue
		}
		status := string(row.Status)
		if row.Disabled {
			status = "disabled"
		}
		if row.Reason != "" {
			status += ": " + row.Reason
		}
		if row.Paused != "" {
			status += ", paused: " + row.Paused
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row.Bot, row.Alias, row.Integration, status, row.WebhookURL)
	}
	return table.Flush()
}

// changeFlags are the flags of what changes an installation.
type changeFlags struct {
	systemFlags
	JSON bool `name:"json" help:"One JSON object a line."`
}

// installationArgs name an installation.
type installationArgs struct {
	changeFlags
	Bot   string `arg:"" help:"The bot's id."`
	Alias string `arg:"" help:"The installation's alias."`
}

type (
	installCommand struct {
		changeFlags
		Bot           string `arg:"" help:"The bot's id."`
		Integration   string `arg:"" help:"Which integration."`
		Alias         string `help:"The installation's alias; the integration's name when left out."`
		WebhookID     string `name:"webhook-id" help:"The last part of its webhook URL; generated when left out."`
		Type          string `help:"Which of the integration's configurations."`
		Configuration string `default:"-" help:"A file with the configuration as JSON; - reads it from the standard input, so that secrets stay out of the shell's history."`
	}
	disableCommand       struct{ installationArgs }
	enableCommand        struct{ installationArgs }
	registerAgainCommand struct{ installationArgs }
	removeCommand        struct{ installationArgs }

	pingCommand struct {
		installationArgs
		Wait time.Duration `default:"10s" env:"TOWPATH_PING_WAIT" help:"How long to wait for the answer."`
	}
)

// Run installs.
func (c *installCommand) Run(ctx context.Context, p *program) error {
	var configuration []byte
	var err error
	if c.Configuration == "-" {
		configuration, err = io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	} else {
		configuration, err = os.ReadFile(c.Configuration)
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if !json.Valid(configuration) {
		return errors.New("the configuration is not JSON; give it as a file with --configuration, or on the standard input")
	}
	if c.Alias == "" {
		c.Alias = c.Integration
	}
	return c.change(ctx, p, func(s *store.Store) (store.Installation, error) {
		return s.Install(ctx, store.InstallationSpec{
			Bot: c.Bot, Integration: c.Integration, Alias: c.Alias, WebhookID: c.WebhookID,
			ConfigurationType: c.Type, Configuration: configuration,
		}, (&api.Admin{Store: s, Registry: p.registry}).Check)
	})
}

// Run disables.
func (c *disableCommand) Run(ctx context.Context, p *program) error {
	return c.change(ctx, p, func(s *store.Store) (store.Installation, error) { return s.SetDisabled(ctx, c.Bot, c.Alias, true) })
}

// Run enables.
func (c *enableCommand) Run(ctx context.Context, p *program) error {
	return c.change(ctx, p, func(s *store.Store) (store.Installation, error) { return s.SetDisabled(ctx, c.Bot, c.Alias, false) })
}

// Run asks for another registration.
func (c *registerAgainCommand) Run(ctx context.Context, p *program) error {
	return c.change(ctx, p, func(s *store.Store) (store.Installation, error) { return s.Reregister(ctx, c.Bot, c.Alias) })
}

// Run pings.
func (c *pingCommand) Run(ctx context.Context, p *program) error {
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	delivery, err := s.store.Ping(ctx, c.Bot, c.Alias)
	if err != nil {
		return err
	}
	var ended store.Delivery
	if err := s.store.WatchEnd(ctx, delivery, func(h store.Delivery) { ended = h }); err != nil {
		return fmt.Errorf("%s of bot %s does not answer within %s: its worker's log says why", c.Alias, c.Bot, c.Wait)
	}
	if ended.Outcome != store.Finished {
		return fmt.Errorf("%s of bot %s cannot do its job: its worker's log says why", c.Alias, c.Bot)
	}
	_, err = fmt.Fprintf(p.stdout, "%s of bot %s answers, from worker %s\n", c.Alias, c.Bot, ended.Worker)
	return err
}

// Run removes.
func (c *removeCommand) Run(ctx context.Context, p *program) error {
	return c.change(ctx, p, func(s *store.Store) (store.Installation, error) { return s.Remove(ctx, c.Bot, c.Alias) })
}

// change carries a change out and says what stands then.
func (f changeFlags) change(ctx context.Context, p *program, do func(*store.Store) (store.Installation, error)) error {
	s, err := f.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	i, err := do(s.store)
	if err != nil {
		return err
	}
	if f.JSON {
		return json.NewEncoder(p.stdout).Encode(showInstallation(i))
	}
	status := string(i.Status)
	if i.Disabled {
		status += ", disabled"
	}
	if i.Paused != nil {
		status += ", paused: " + i.Paused.Reason
	}
	_, err = fmt.Fprintf(p.stdout, "%s of bot %s: %s, webhooks at %s\n", i.Alias, i.BotID, status, i.WebhookURL)
	return err
}
