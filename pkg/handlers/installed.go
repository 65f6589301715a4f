package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Registrable is an integration without its type parameter, as the runtime
// knows it.
type Registrable interface {
	// Definition describes it, with every fault of the value joined.
	Definition() (Definition, error)
	// Configure checks a configuration against its schema and decodes it. The
	// error names the field and is fit to be shown.
	Configure(configuration json.RawMessage) (Installed, error)
	// ConfigureAs does the same for a configuration type by name; the empty one
	// is that of Configure.
	ConfigureAs(typ string, configuration json.RawMessage) (Installed, error)
	// Routes tells how requests to the integration's global webhook find their
	// installation; nil if it has none.
	Routes() *Identifier
	// NewFake returns a stand-in for the platform's API, nil if it has none.
	NewFake() http.Handler
}

// Base is what the runtime hands to every handler, but for the configuration.
type Base struct {
	Identity Identity
	Client   *client.Client
	HTTP     *http.Client
	Logger   Logger
	Delivery Delivery
	Secret   SecretLookup
}

// Installed is an integration with one installation's configuration.
type Installed interface {
	Verify(r *events.Request, now time.Time) error
	// Stored is what is kept of a request, and handed to the handler: without
	// what carries secrets, unless it is the handler who verifies.
	Stored(r *events.Request) *events.Request
	Handshake(r *events.Request) (*events.Response, bool)
	Split(r *events.Request) ([]Part, error)
	Webhook(ctx context.Context, base Base, r *events.Request) (*events.Response, error)
	Message(ctx context.Context, base Base, m Outgoing) error
	Action(ctx context.Context, base Base, name string, input json.RawMessage) (ActionResult, error)
	Register(ctx context.Context, base Base, webhookURL string) error
	Unregister(ctx context.Context, base Base, webhookURL string) error
	MessageUpdated(ctx context.Context, base Base, update MessageUpdate) error
	ConversationUpdated(ctx context.Context, base Base, update ConversationUpdate) error
	Ping(ctx context.Context, base Base) error
	// Awaits returns how the request is to be answered when the handler itself
	// must answer it, nil when it need not.
	Awaits(r *events.Request) *Answers
	// Conduct tells how to carry out an operation: how it is retried, and how
	// much of it the platform takes. Channel is that of a message, else empty.
	Conduct(operation events.Operation, channel string) Conduct
	// Sample builds a signed request; the error lists the samples there are.
	Sample(name string, args SampleArgs) (*events.Request, error)
}

// Configure implements [Registrable].
func (i Integration[C]) Configure(raw json.RawMessage) (Installed, error) {
	return i.ConfigureAs("", raw)
}

// ConfigureAs implements [Registrable].
func (i Integration[C]) ConfigureAs(typ string, raw json.RawMessage) (Installed, error) {
	fail := func(err error) (Installed, error) { return nil, fmt.Errorf("configuration of %s: %w", i.Name, err) }
	whole, err := events.ClosedSchema[C]()
	if err != nil {
		return fail(err)
	}
	described, err := i.configurationSchema(typ, whole)
	if err != nil {
		return fail(err)
	}
	if err := checkSecrets(raw, described); err != nil {
		return fail(err)
	}
	schema, err := resolve(described)
	if err != nil {
		return fail(err)
	}
	var configuration C
	if err := decodeValid(raw, schema, &configuration); err != nil {
		return fail(err)
	}
	return &installed[C]{Integration: i, configuration: configuration}, nil
}

// Routes implements [Registrable].
func (i Integration[C]) Routes() *Identifier { return i.Identifier }

// NewFake implements [Registrable].
func (i Integration[C]) NewFake() http.Handler {
	if i.Fake == nil {
		return nil
	}
	return i.Fake()
}

type installed[C any] struct {
	Integration[C]
	configuration C
}

func (i *installed[C]) props(base Base) Props[C] {
	return Props[C]{
		Ctx:    Context[C]{Identity: base.Identity, Configuration: i.configuration},
		Client: base.Client, HTTP: base.HTTP, Logger: base.Logger, Delivery: base.Delivery,
		Secret: base.Secret,
	}
}

func (i *installed[C]) Verify(r *events.Request, now time.Time) error {
	if i.Integration.Verify == nil {
		if i.Unverified {
			return nil
		}
		return fmt.Errorf("%s verifies nothing and does not say so", i.Name)
	}
	return i.Integration.Verify(r, i.configuration, now)
}

func (i *installed[C]) Stored(r *events.Request) *events.Request {
	switch {
	case i.Integration.Stored != nil:
		return i.Integration.Stored(r, i.configuration)
	case i.Integration.Verify == nil:
		return r
	}
	return r.Redacted()
}

func (i *installed[C]) Handshake(r *events.Request) (*events.Response, bool) {
	if i.Integration.Handshake == nil {
		return nil, false
	}
	return i.Integration.Handshake(r, i.configuration)
}

func (i *installed[C]) Split(r *events.Request) ([]Part, error) {
	if i.Integration.Split == nil {
		return []Part{{}}, nil
	}
	return i.Integration.Split(r, i.configuration)
}

func (i *installed[C]) Webhook(ctx context.Context, base Base, r *events.Request) (*events.Response, error) {
	if i.Handler == nil {
		return nil, Permanent(NewRuntimeError(i.Name+" handles no webhooks", nil))
	}
	return i.Handler(ctx, WebhookProps[C]{Props: i.props(base), Req: r})
}

func (i *installed[C]) Message(ctx context.Context, base Base, m Outgoing) error {
	channel, ok := i.Channels[m.Conversation.Channel]
	if !ok {
		return Permanent(NewRuntimeError(fmt.Sprintf("%s has no channel %q", i.Name, m.Conversation.Channel), nil))
	}
	message, ok := channel.Messages[m.Message.Type]
	if !ok {
		return Permanent(NewRuntimeError(fmt.Sprintf("channel %s of %s cannot deliver messages of type %q",
			m.Conversation.Channel, i.Name, m.Message.Type), nil))
	}
	return message.run(ctx, i.props(base), m, channel.Receipt)
}

func (i *installed[C]) Action(ctx context.Context, base Base, name string, input json.RawMessage) (ActionResult, error) {
	action, ok := i.Actions[name]
	if !ok {
		return ActionResult{}, Permanent(NewRuntimeError(fmt.Sprintf("%s has no action %q", i.Name, name), nil))
	}
	return action.run(ctx, i.props(base), input)
}

func (i *installed[C]) Register(ctx context.Context, base Base, webhookURL string) error {
	return i.life(ctx, i.Integration.Register, base, webhookURL)
}

func (i *installed[C]) Unregister(ctx context.Context, base Base, webhookURL string) error {
	return i.life(ctx, i.Integration.Unregister, base, webhookURL)
}

func (i *installed[C]) life(ctx context.Context, fn func(context.Context, RegisterProps[C]) error, base Base, url string) error {
	if fn == nil {
		return nil
	}
	return fn(ctx, RegisterProps[C]{Props: i.props(base), WebhookURL: url})
}

func (i *installed[C]) Ping(ctx context.Context, base Base) error {
	if i.Integration.Ping == nil {
		return nil
	}
	return i.Integration.Ping(ctx, i.props(base))
}

func (i *installed[C]) Awaits(r *events.Request) *Answers {
	if i.Answers == nil || !i.Answers.Awaited(r) {
		return nil
	}
	return i.Answers
}

func (i *installed[C]) Sample(name string, args SampleArgs) (*events.Request, error) {
	sample, ok := i.Samples[name]
	if !ok {
		return nil, fmt.Errorf("%s has no sample %q; it has %s", i.Name, name, names(i.Samples))
	}
	return sample.Build(args, i.configuration)
}
