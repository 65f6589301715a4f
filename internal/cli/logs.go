package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/towpath/towpath/internal/broker"
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
