package client

import (
	"encoding/json"
	"time"
)

// Tags are an entity's labels. An integration sees its own without prefix; a
// bot sees and sends them as "alias:tag".
type Tags map[string]string

// User is somebody on a platform.
type User struct {
	ID         string            `json:"id"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	Tags       Tags              `json:"tags"`
	Name       string            `json:"name,omitempty"`
	PictureURL string            `json:"pictureUrl,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

// Conversation is a place on a platform where messages go back and forth.
// Integration is the alias of the installation that it belongs to. MessageCount
// is part of Botpress's answers and always 0 here: to count costs a walk through
// all that was ever said.
type Conversation struct {
	ID           string            `json:"id"`
	CreatedAt    time.Time         `json:"createdAt"`
	UpdatedAt    time.Time         `json:"updatedAt"`
	Channel      string            `json:"channel"`
	Integration  string            `json:"integration"`
	Tags         Tags              `json:"tags"`
	Properties   map[string]string `json:"properties,omitempty"`
	MessageCount int               `json:"messageCount"`
}

// Direction tells who made a message: an integration (incoming) or a bot.
type Direction string

// The directions of a message.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// Status is how far an outgoing message got. It never goes backwards. Failed
// ends it, unless its integration acks it later, or the platform says that it
// arrived: then the platform has it after all. Incoming messages have none,
// unless they are scheduled.
type Status string

// The statuses of an outgoing message, in order.
const (
	Scheduled Status = "scheduled" // to be handed on later; incoming messages have this one too
	Queued    Status = "queued"    // stored, no worker has it yet
	Sending   Status = "sending"   // an attempt is under way, or died on the way
	Sent      Status = "sent"      // the platform took it
	Delivered Status = "delivered" // the platform says that it arrived
	Read      Status = "read"      // the platform says that it was read
	Failed    Status = "failed"    // given up, see the dead letter; or the platform took it and failed
)

// Message is one message of a conversation. Payload is JSON, kept digit by
// digit. Status, FailureReason, the times from SentAt on, and Ambiguous are
// Towpath's additions.
type Message struct {
	ID             string          `json:"id"`
	CreatedAt      time.Time       `json:"createdAt"`
	UpdatedAt      time.Time       `json:"updatedAt"`
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload"`
	Direction      Direction       `json:"direction"`
	UserID         string          `json:"userId"`
	ConversationID string          `json:"conversationId"`
	Tags           Tags            `json:"tags"`
	Origin         string          `json:"origin,omitempty"`
	Status         Status          `json:"status,omitempty"`
	// FailureReason says why a scheduled message failed before anybody was asked
	// to send it, or what the platform's receipt gives as the reason; empty
	// otherwise, when a dead letter says it.
	FailureReason string     `json:"failureReason,omitempty"`
	SentAt        *time.Time `json:"sentAt,omitempty"`
	AckedAt       *time.Time `json:"ackedAt,omitempty"`
	// DeliveredAt and ReadAt are what the platform's receipts say. One that was
	// read need not have a time of delivery.
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
	ReadAt      *time.Time `json:"readAt,omitempty"`
	// Ambiguous counts the sends whose outcome nobody knows, because the
	// attempt died after it began; each may have reached the platform.
	Ambiguous int `json:"ambiguous,omitempty"`
}

// EventStatus is how far an event got. Pending is where a bot that reports
// nothing leaves it.
type EventStatus string

// The statuses of an event.
const (
	EventPending   EventStatus = "pending"
	EventScheduled EventStatus = "scheduled" // to be told later
	EventCanceled  EventStatus = "canceled"  // never told
	EventProcessed EventStatus = "processed"
	EventIgnored   EventStatus = "ignored"
	EventFailed    EventStatus = "failed" // FailureReason says why; the bot may yet succeed
)

// Event is what an integration told a bot. Type is as the bot sees it,
// "alias:eventType".
type Event struct {
	ID             string          `json:"id"`
	CreatedAt      time.Time       `json:"createdAt"`
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload"`
	ConversationID string          `json:"conversationId,omitempty"`
	UserID         string          `json:"userId,omitempty"`
	MessageID      string          `json:"messageId,omitempty"`
	Status         EventStatus     `json:"status"`
	FailureReason  *string         `json:"failureReason"`
}

// StateType says whose state it is. "integration" is Botpress's misnomer for a
// state of the installation.
type StateType string

// The types of states.
const (
	IntegrationState  StateType = "integration"
	ConversationState StateType = "conversation"
	UserState         StateType = "user"
	BotState          StateType = "bot"
)

// State is a named piece of data that outlives a handler.
type State struct {
	ID             string          `json:"id"`
	CreatedAt      time.Time       `json:"createdAt"`
	UpdatedAt      time.Time       `json:"updatedAt"`
	BotID          string          `json:"botId"`
	ConversationID string          `json:"conversationId,omitempty"`
	UserID         string          `json:"userId,omitempty"`
	Name           string          `json:"name"`
	Type           StateType       `json:"type"`
	Payload        json.RawMessage `json:"payload"`
}
