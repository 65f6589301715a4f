package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

type logsCommand struct {
	systemFlags
	Bot    string        `default:"demo" env:"TOWPATH_BOT" help:"The bot's id; its integrations' lines are shown."`
	Alias  string        `help:"The installation's alias; all when left out."`
	Since  time.Duration `default:"1h" help:"How far back."`
	Follow bool          `short:"f" help:"Go on with new lines until interrupted."`
	JSON   bool          `name:"json" help:"One JSON object a line."`
}

// Run prints what integrations wrote for the bot's owner.
func (c *logsCommand) Run(ctx context.Context, p *program) error {
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.broker.ReadLogs(ctx, c.Bot, c.Alias, time.Now().Add(-c.Since), c.Follow, func(line broker.LogLine) error {
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(line)
		}
		text := fmt.Sprintf("%s  %-7s %-10s %s", line.Time.Local().Format(time.DateTime), line.Level, line.Alias, line.Message) //nolint:gosmopolitan // read by somebody on this machine
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
