package dispatch

import (
	"bytes"
	"context"
	"sync"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// Installations decodes configurations, each once until it changes.
type Installations struct {
	registry *handlers.Registry

	mu      sync.Mutex
	decoded map[string]decoded // by webhook id
}

type decoded struct {
	target     Target
	installed  handlers.Installed
	definition handlers.Definition
}

// NewInstallations returns Installations of the registry's integrations.
func NewInstallations(registry *handlers.Registry) *Installations {
	return &Installations{registry: registry, decoded: map[string]decoded{}}
}

// Resolve returns the integration with the target's configuration. It fails on
// an integration that this build does not have and on a configuration that
// does not match its schema; both are mended by a change of the installation
// or of the build, so neither is permanent.
func (i *Installations) Resolve(target Target) (handlers.Installed, handlers.Definition, error) {
	i.mu.Lock()
	known, ok := i.decoded[target.WebhookID]
	i.mu.Unlock()
	if ok && known.target.sameConfiguration(target) {
		return known.installed, known.definition, nil
	}
	integration, definition, err := i.registry.Find(target.Integration)
	if err != nil {
		return nil, handlers.Definition{}, err
	}
	installed, err := integration.ConfigureAs(target.ConfigurationType, target.Configuration)
	if err != nil {
		return nil, handlers.Definition{}, err
	}
	i.mu.Lock()
	i.decoded[target.WebhookID] = decoded{target, installed, definition}
	i.mu.Unlock()
	return installed, definition, nil
}

func (t Target) sameConfiguration(other Target) bool {
	return t.Integration == other.Integration && t.ConfigurationType == other.ConfigurationType &&
		bytes.Equal(t.Configuration, other.Configuration)
}

// Route returns how requests to an integration's global webhook find their
// installation, nil when it has none.
func (i *Installations) Route(integration string) *handlers.Identifier {
	found, _, err := i.registry.Find(integration)
	if err != nil {
		return nil
	}
	return found.Routes()
}

// declaredOnly lets an integration fire only what its definition declares, so
// that bots can rely on the definition.
type declaredOnly struct {
	client.Backend
	definition handlers.Definition
}

// Do implements client.Backend.
func (d *declaredOnly) Do(ctx context.Context, call client.Call, in, out any) error {
	if event, ok := in.(*client.CreateEventInput); ok {
		if _, declared := d.definition.Events[event.Type]; !declared {
			return client.NewError(client.InvalidPayload, "integration %s declares no event %q", d.definition.Name, event.Type)
		}
	}
	return d.Backend.Do(ctx, call, in, out)
}
