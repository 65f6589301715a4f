package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

type healthCommand struct {
	URL     string        `arg:"" help:"Such as http://127.0.0.1:8082/readyz"`
	Timeout time.Duration `default:"2s" env:"TOWPATH_HEALTH_TIMEOUT" help:"How long to wait for an answer."`
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
	JSON bool   `name:"json" help:"One JSON object a line."`
}

// Run prints an integration's definition.
func (c *definitionCommand) Run(p *program) error {
	_, definition, err := p.registry.Find(c.Name)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(p.stdout)
	if !c.JSON {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(definition)
}

// cutAlias splits a name as bots see it, "alias:name".
func cutAlias(name string) (alias, own string, ok bool) { return strings.Cut(name, ":") }
