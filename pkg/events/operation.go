package events

import (
	"encoding/json"
	"strings"
)

// Operation names what a worker is asked to do for one installation. The
// values are Botpress's, as sent in its x-bp-operation header.
type Operation string

// The operations of the integration model.
const (
	WebhookReceived     Operation = "webhook_received"
	MessageCreated      Operation = "message_created"
	ActionTriggered     Operation = "action_triggered"
	Register            Operation = "register"
	Unregister          Operation = "unregister"
	Ping                Operation = "ping"
	CreateUser          Operation = "create_user"
	CreateConversation  Operation = "create_conversation"
	MessageUpdated      Operation = "message_updated"
	ConversationUpdated Operation = "conversation_updated"
)

// Known tells whether the integration model has the operation.
func (o Operation) Known() bool {
	switch o {
	case WebhookReceived, MessageCreated, ActionTriggered, Register, Unregister, Ping,
		CreateUser, CreateConversation, MessageUpdated, ConversationUpdated:
		return true
	}
	return false
}

// typePrefix sets operations, which are Towpath's own, apart from the events
// of integrations in ce-type.
const typePrefix = "towpath."

// CloudEventType returns the ce-type that an operation travels under, such as
// "towpath.webhook_received".
func (o Operation) CloudEventType() string { return typePrefix + string(o) }

// OperationOf reads an operation out of a ce-type. It reports false for
// anything that is no operation, such as an integration's event.
func OperationOf(cloudEventType string) (Operation, bool) {
	name, ok := strings.CutPrefix(cloudEventType, typePrefix)
	return Operation(name), ok && name != ""
}

// ActionCall is the data of an action_triggered operation.
type ActionCall struct {
	Type  string          `json:"type"` // without the alias
	Input json.RawMessage `json:"input"`
}

// Registration is the data of a register or unregister operation.
type Registration struct {
	WebhookURL string `json:"webhookUrl"`
}
