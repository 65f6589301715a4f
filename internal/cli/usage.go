package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/towpath/towpath/internal/store"
)

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
