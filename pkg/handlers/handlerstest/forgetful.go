package handlerstest

import (
	"context"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
)

// forgetful takes whatever a handler makes and keeps nothing of it: what is
// looked for is not found, and what is made has no id.
type forgetful struct{}

// Do implements client.Backend.
func (forgetful) Do(_ context.Context, call client.Call, in, _ any) error {
	switch in := in.(type) {
	case *client.StateInput:
		return client.NotFound("State", in.Name)
	case *client.IDInput:
		return client.NotFound(call.Operation.Name, in.ID)
	}
	return nil
}

// forget installs the integration where nothing is kept.
func (k *Kit) forget() {
	bot, alias := botID(0), k.Definition.Name
	k.journal = &journal{backend: forgetful{}}
	k.Client = client.New(forgetful{}, client.Caller{BotID: bot, IntegrationID: k.Definition.IntegrationID(), Alias: alias})
	k.Bot = client.New(forgetful{}, client.Caller{BotID: bot})
	k.target = dispatch.Target{
		BotID: bot, BotUserID: "user-" + bot, Integration: k.Definition.Name, Alias: alias, WebhookID: "w-" + bot,
		ConfigurationType: k.config.ConfigurationType, Configuration: k.configuration,
	}
}
