// Package catalog lists the integrations that are built into Towpath.
package catalog

import (
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/generic"
	"github.com/towpath/towpath/pkg/handlers/github"
	"github.com/towpath/towpath/pkg/handlers/linear"
	"github.com/towpath/towpath/pkg/handlers/shopify"
	"github.com/towpath/towpath/pkg/handlers/slack"
	"github.com/towpath/towpath/pkg/handlers/standardwebhooks"
	"github.com/towpath/towpath/pkg/handlers/stripe"
	"github.com/towpath/towpath/pkg/handlers/telegram"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// All returns the integrations of this build, one line each.
func All() []handlers.Registrable {
	return []handlers.Registrable{
		generic.Integration,
		github.Integration,
		linear.Integration,
		shopify.Integration,
		slack.Integration,
		standardwebhooks.Integration,
		stripe.Integration,
		telegram.Integration,
		whatsapp.Integration,
	}
}

// Registry returns them by name. Its error lists every fault in any of them.
func Registry() (*handlers.Registry, error) { return handlers.NewRegistry(All()...) }
