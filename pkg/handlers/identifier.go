package handlers

import (
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// Identifier routes the requests of a webhook that a platform has only one of
// for all installations, such as that of a Slack app in many workspaces. An
// installation says who it is by ConfigureIntegration of its client.
type Identifier struct {
	// Extract returns the identifier that a request carries, "" if none. The
	// request is not verified yet; the installation that is found verifies it.
	Extract func(r *events.Request, secrets SecretLookup) (string, error)
	// Fallback answers a request that carries no identifier, such as a
	// handshake; nil, or a nil response, refuses it.
	Fallback func(r *events.Request, secrets SecretLookup, now time.Time) (*events.Response, error)
}

// Answers says which webhooks the platform wants answered by the handler
// itself, such as slash commands. Such a webhook is stored first, like any
// other, and then awaited.
type Answers struct {
	// Awaited tells whether a request has to be answered by the handler.
	Awaited func(r *events.Request) bool
	// Within is how long the platform waits, from when its request came.
	Within time.Duration
	// Late is what the platform is told when the handler takes longer; the
	// handler's own answer is kept all the same. Nil means 200 without a body.
	Late *events.Response
}
