package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Integration is the code for one platform. C is its configuration: a struct
// whose JSON Schema checks every installation before it is accepted.
type Integration[C any] struct {
	Name        string // lower case, the default alias of its installations
	Version     string // "1.0.0"
	Title       string
	Description string
	Icon        string // SVG
	Readme      string // Markdown

	// Configurations are further ways to fill C, by the name that an
	// installation gives as its configuration type.
	Configurations map[string]Configuration
	// Secrets are what the integration itself needs to know, whoever installs
	// it, by name in SCREAMING_SNAKE case.
	Secrets map[string]SecretInfo

	Events   []events.Declared
	Actions  Actions[C]
	Channels Channels[C]
	States   []client.DeclaredState
	UserTags []string

	// Retry says how deliveries are retried, by operation; what is left out is
	// up to [EveryOperation], then to the runtime.
	Retry map[events.Operation]RetryPolicy
	// Uncertain says what becomes of a send of which nobody knows whether the
	// platform took it; [Resend] when left out.
	Uncertain Uncertain
	// Rate is how much the platform takes of one installation: messages,
	// actions and changes together.
	Rate Rate

	// Wire tells people what is in none of the other fields.
	Wire Wire

	// Identifier finds the installation of a request that comes to the
	// integration's one global webhook.
	Identifier *Identifier
	// Answers says which webhooks the handler itself must answer.
	Answers *Answers

	// Verify decides whether a request comes from the platform. It runs in
	// ingest, before anything is stored; its error's text is not shown to the
	// sender. An integration without it must say Unverified.
	Verify func(r *events.Request, configuration C, now time.Time) error
	// Unverified admits requests that nobody has verified, because the handler
	// does it. It has to be said aloud. The headers that carry secrets, which
	// are left out otherwise, are then stored with the request.
	Unverified bool
	// Stored returns what is kept of a verified request, for an integration whose
	// configuration says where the secrets are. It must not change r. Nil means
	// [events.Request.Redacted], which goes by the names of headers.
	Stored func(r *events.Request, configuration C) *events.Request
	// Handshake answers a platform's question about the webhook itself. What
	// it answers is not stored. It runs after Verify.
	Handshake func(r *events.Request, configuration C) (*events.Response, bool)
	// Split takes a request apart into what happened. Without it, a request is
	// one part with neither id nor key.
	Split func(r *events.Request, configuration C) ([]Part, error)

	// Handler runs in a worker for each part. Its response is the answer to
	// the platform only where that is awaited.
	Handler func(ctx context.Context, p WebhookProps[C]) (*events.Response, error)
	// Register runs when an installation or its configuration is new;
	// Unregister when it is removed. Both may run more than once.
	Register   func(ctx context.Context, p RegisterProps[C]) error
	Unregister func(ctx context.Context, p RegisterProps[C]) error
	// Ping tells whether the integration can do its job; nil means that it can
	// whenever it runs.
	Ping func(ctx context.Context, p Props[C]) error

	// Samples are requests as the platform would send them, signed with the
	// installation's secret; "towpath trigger" sends them.
	Samples Samples[C]
	// Fake returns a stand-in for the platform's API, for tests and for
	// "towpath dev".
	Fake func() http.Handler
}

// Part is one thing that happened, out of a request that may tell of many.
type Part struct {
	// ID is the provider's own id of what it delivers, equal in each of its
	// retries: what makes a delivery one. Empty means a hash of the body.
	ID string
	// Key names what must stay in order, such as a channel; parts without a
	// key run in parallel.
	Key string
	// Body is the part of the request's body that the handler gets; nil means
	// all of it.
	Body []byte
}

// ProviderID is the part's ID, or a hash of its body if it has none; body is
// that of the whole request.
func (p Part) ProviderID(body []byte) string {
	if p.ID != "" {
		return p.ID
	}
	if p.Body != nil {
		body = p.Body
	}
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Samples are an integration's sample requests by name.
type Samples[C any] map[string]Sample[C]

// Sample makes one kind of request.
type Sample[C any] struct {
	Title string
	Build func(args SampleArgs, configuration C) (*events.Request, error)
}

// SampleArgs is what may be chosen about a sample. Every field is set when
// Build is called.
type SampleArgs struct {
	ID           string // makes the provider's delivery id
	Text         string
	Conversation string
	User         string
	Now          time.Time
}
