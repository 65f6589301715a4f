package handlers

import (
	"context"
	"net/http"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Context says for whom a handler runs.
type Context[C any] struct {
	Identity
	Configuration C
}

// Identity is the part of a [Context] that is the same for every integration.
type Identity struct {
	BotID             string
	BotUserID         string
	IntegrationID     string // "intver_…", the integration in its version
	IntegrationAlias  string
	WebhookID         string
	Operation         events.Operation
	ConfigurationType string // empty for the integration's one configuration
}

// Delivery says which delivery a handler runs for, and for which time.
type Delivery struct {
	ID       string // equal in all attempts
	Attempt  int    // from 1
	Replayed bool
}

// Props is what every handler is given.
type Props[C any] struct {
	Ctx    Context[C]
	Client *client.Client
	// HTTP is the only way to the platform: what goes through it is bounded,
	// sent at most once, and known to have been answered or not.
	HTTP     *http.Client
	Logger   Logger
	Delivery Delivery
	// Secret finds a secret of the integration itself.
	Secret SecretLookup
}

// WebhookProps is what a webhook handler is given.
type WebhookProps[C any] struct {
	Props[C]
	Req *events.Request
}

// RegisterProps is what register and unregister handlers are given.
type RegisterProps[C any] struct {
	Props[C]
	WebhookURL string // where the platform shall send its requests
}

// ActionProps is what an action is given; its input is valid against In's
// schema.
type ActionProps[C, In any] struct {
	Props[C]
	Input    In
	Metadata *Metadata
}

// MessageProps is what a channel's message handler is given.
type MessageProps[C, M any] struct {
	Props[C]
	Payload      M
	Conversation client.Conversation
	Message      client.Message
	User         client.User

	receipt string // Channel.Receipt
}

// Ack says that the platform took the message, with tags such as the id that
// the platform gave it. A message that was acked is never sent again. A
// handler that returns without it leaves the message sent, but not acked.
//
// From then on the platform's receipts find the message by the tag that the
// channel declares as its Receipt.
func (p MessageProps[C, M]) Ack(ctx context.Context, tags client.Tags) error {
	in := client.UpdateMessageInput{ID: p.Message.ID, Tags: tags}
	if tags[p.receipt] != "" {
		in.Receipt = p.receipt
	}
	_, err := p.Client.UpdateMessage(ctx, in)
	return err
}

// Metadata is what an action says about its own run.
type Metadata struct {
	mu   sync.Mutex
	cost float64
}

// SetCost says what this run costs, in the units of the integration. The last
// call of an attempt counts.
func (m *Metadata) SetCost(cost float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost = cost
}

// Cost is what was set last, 0 if nothing was.
func (m *Metadata) Cost() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cost
}

// Logger writes a handler's lines, with the ids of what it runs for.
type Logger struct {
	*logrus.Entry
	// Owner takes the lines of ForBot; nil where nobody keeps them.
	Owner *logrus.Entry
}

// ForBot returns a Logger whose lines are also for the bot's owner, who reads
// them with "towpath logs". Of an error that goes along, the owner sees only
// what a [RuntimeError] says.
func (l Logger) ForBot() Logger {
	to := l.Owner
	if to == nil {
		to = l.Entry
	}
	return Logger{Entry: to.WithField("for_bot", true), Owner: l.Owner}
}
