package handlers

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Definition describes an integration; all schemas are JSON Schema, draft
// 2020-12.
type Definition struct {
	Name          string          `json:"name"`
	Version       string          `json:"version"`
	Title         string          `json:"title,omitempty"`
	Description   string          `json:"description,omitempty"`
	Icon          string          `json:"icon,omitempty"`   // SVG
	Readme        string          `json:"readme,omitempty"` // Markdown
	Configuration json.RawMessage `json:"configuration"`
	// Configurations are those that a configuration type chooses, by its name.
	Configurations map[string]ConfigurationDefinition `json:"configurations,omitempty"`
	Secrets        map[string]SecretInfo              `json:"secrets,omitempty"`
	Events         map[string]EventDefinition         `json:"events,omitempty"`
	Actions        map[string]ActionDefinition        `json:"actions,omitempty"`
	Channels       map[string]ChannelDefinition       `json:"channels,omitempty"`
	States         map[string]StateDefinition         `json:"states,omitempty"`
	UserTags       []string                           `json:"userTags,omitempty"`
	// GlobalWebhook tells that one webhook serves all installations.
	GlobalWebhook bool `json:"globalWebhook,omitempty"`
	// AnswersWithin is how long, in milliseconds, the platform waits for
	// answers that the handler itself must give; 0 when it gives none.
	AnswersWithin int64    `json:"answersWithin,omitempty"`
	Samples       []string `json:"samples,omitempty"`
	// Wire is told to people only.
	Wire Wire `json:"-"`
}

// Wire tells people how a platform's requests come in, where the rest of an
// integration does not: nothing runs by it.
type Wire struct {
	// Scheme is how a request is verified, and Tolerance how far its signed time
	// may be off; see signature.Describe and signature.Window.
	Scheme    string
	Tolerance string // empty if none is signed
	// Handshake is what the platform asks about the webhook itself. It is set
	// together with [Integration].Handshake.
	Handshake string
	// DedupID is what tells a delivery from its retries, OrderingKey what stays
	// in order.
	DedupID     string
	OrderingKey string // empty if nothing does
	// Deadline is how long the platform waits for the answer to a webhook; 0 if
	// it does not tell.
	Deadline time.Duration
}

// ConfigurationDefinition describes a further configuration.
type ConfigurationDefinition struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
}

// StateDefinition describes a state.
type StateDefinition struct {
	Type   client.StateType `json:"type"`
	Schema json.RawMessage  `json:"schema"`
}

// EventDefinition describes an event.
type EventDefinition struct {
	Schema json.RawMessage `json:"schema"`
}

// ActionDefinition describes an action.
type ActionDefinition struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Billable    bool            `json:"billable,omitempty"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

// ChannelDefinition describes a channel; Messages maps types to schemas.
type ChannelDefinition struct {
	Title            string   `json:"title,omitempty"`
	ConversationTags []string `json:"conversationTags,omitempty"`
	MessageTags      []string `json:"messageTags,omitempty"`
	// Receipt is the message tag that receipts tell a message by; empty if the
	// platform gives none.
	Receipt  string                     `json:"receipt,omitempty"`
	Messages map[string]json.RawMessage `json:"messages"`
}

// IntegrationID is the id of the integration in this version. It has the
// length and form that Botpress's ids have.
func (d Definition) IntegrationID() string {
	return "intver_" + strings.TrimPrefix(events.DeliveryID(d.Name, d.Version), "dlv_")
}
