package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/towpath/towpath/internal/store"
)

type healthCommand struct {
	URL     string        `arg:"" help:"Such as http://127.0.0.1:8082/readyz"`
	Timeout time.Duration `default:"2s" help:"How long to wait for an answer."`
}

// Run fails unless the URL answers 200.
func (c *healthCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", c.URL, response.Status)
	}
	return nil
}

type definitionCommand struct {
	Name string `arg:"" help:"The integration's name."`
}

// Run prints an integration's definition.
func (c *definitionCommand) Run(p *program) error {
	_, definition, err := p.registry.Find(c.Name)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(definition)
}

type installationsCommand struct {
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
}

// Run lists the installations.
func (c *installationsCommand) Run(ctx context.Context, p *program) error {
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
		row := shown{i.BotID, i.Alias, i.Integration, i.WebhookID, i.WebhookURL, i.Status, i.StatusReason, i.Disabled}
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
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row.Bot, row.Alias, row.Integration, status, row.WebhookURL)
	}
	return table.Flush()
}

// cutAlias splits a name as bots see it, "alias:name".
func cutAlias(name string) (alias, own string, ok bool) { return strings.Cut(name, ":") }
