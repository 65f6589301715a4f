package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
)

type logsCommand struct {
	systemFlags
	Bot    string `default:"demo" env:"TOWPATH_BOT" help:"The bot's id; its integrations' lines are shown."`
	Alias  string `help:"The installation's alias; all when left out."`
	Since  moment `default:"1h" help:"How far back; 90m, 7d, or a time such as 2026-01-31T12:00:00Z."`
	Follow bool   `short:"f" help:"Go on with new lines until interrupted."`
	JSON   bool   `name:"json" help:"One JSON object a line."`
}

// Run prints what integrations wrote for the bot's owner.
func (c *logsCommand) Run(ctx context.Context, p *program) error {
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.broker.ReadLogs(ctx, c.Bot, c.Alias, c.Since.Time, c.Follow, func(line broker.LogLine) error {
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(line)
		}
		text := fmt.Sprintf("%s  %-7s %-10s %s", local(line.Time), line.Level, line.Alias, line.Message)
		if line.Error != "" {
			text += ": " + line.Error
		}
		_, err := fmt.Fprintln(p.stdout, text)
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type usageCommand struct {
	systemFlags
	JSON bool `name:"json" help:"One JSON object a line."`
}

// usageRow is the usage of one installation in one month.
type usageRow struct {
	Bot   string `json:"bot"`
	Alias string `json:"alias"`
	store.Usage
}

// Run prints the usage of every installation.
func (c *usageCommand) Run(ctx context.Context, p *program) error {
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
		fmt.Fprintln(table, "BOT\tALIAS\tMONTH\tACTIONS\tCOST")
	}
	for _, i := range installed {
		months, err := s.store.Usage(ctx, i.WebhookID)
		if err != nil {
			return err
		}
		for _, month := range months {
			if !c.JSON {
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%g\n", i.BotID, i.Alias, month.Month, month.Actions, month.Cost)
			} else if err := json.NewEncoder(p.stdout).Encode(usageRow{i.BotID, i.Alias, month}); err != nil {
				return err
			}
		}
	}
	return table.Flush()
}
