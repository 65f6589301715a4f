package cli

import (
	"context"

	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// newPlatforms returns stand-ins for the APIs of all integrations, each under
// its name.
func newPlatforms(registry *handlers.Registry) *fake.Server {
	server := fake.New()
	for _, definition := range registry.Definitions() {
		integration, _, err := registry.Find(definition.Name)
		if err != nil {
			continue
		}
		if api := integration.NewFake(); api != nil {
			server.Mount("/"+definition.Name, api)
		}
	}
	return server
}

type fakeCommand struct {
	Listen string `default:"127.0.0.1:8083" env:"TOWPATH_LISTEN" help:"Address to listen at; for what would go to the platforms."`
}

// Run serves the fake platforms until ctx ends.
func (c *fakeCommand) Run(ctx context.Context, p *program) error {
	listener, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	platforms := newPlatforms(p.registry)
	context.AfterFunc(ctx, platforms.Close)
	return ops.Serve(ctx, listener, platforms, ops.Limits{})
}
