package client

import "encoding/json"

// The inputs and outputs of the operations. A field tagged in:"path" travels
// there, all others in the JSON body; those of GET operations travel in the
// query.
type (
	// IDInput names one entity.
	IDInput struct {
		ID string `json:"id" in:"path"`
	}
	// Meta carries a list's cursor; empty on the last page.
	Meta struct {
		NextToken string `json:"nextToken,omitempty"`
	}
	// Created tells whether a get-or-create made the entity.
	Created struct {
		Created bool `json:"created"`
	}
	// Cached is required in answers by Botpress's client; always false here.
	Cached struct {
		Cached bool `json:"cached"`
	}

	// CreateConversationInput describes a conversation to make.
	CreateConversationInput struct {
		Channel         string `json:"channel"`
		Tags            Tags   `json:"tags"`
		IntegrationName string `json:"integrationName,omitempty"`
	}
	// GetOrCreateConversationInput finds a conversation by its channel and
	// tags, or by those listed in DiscriminateByTags, or makes it.
	GetOrCreateConversationInput struct {
		Channel            string   `json:"channel"`
		Tags               Tags     `json:"tags"`
		IntegrationName    string   `json:"integrationName,omitempty"`
		DiscriminateByTags []string `json:"discriminateByTags,omitempty"`
	}
	// ConversationOutput answers with a conversation.
	ConversationOutput struct {
		Conversation Conversation `json:"conversation"`
	}
	// GetOrCreateConversationOutput tells also whether it was made.
	GetOrCreateConversationOutput struct {
		Conversation Conversation `json:"conversation"`
		Meta         Created      `json:"meta"`
	}

	// CreateUserInput describes a user to make.
	CreateUserInput struct {
		Tags            Tags              `json:"tags"`
		IntegrationName string            `json:"integrationName,omitempty"`
		Name            string            `json:"name,omitempty"`
		PictureURL      string            `json:"pictureUrl,omitempty"`
		Properties      map[string]string `json:"properties,omitempty"`
	}
	// GetOrCreateUserInput finds a user by its tags, or by those listed in
	// DiscriminateByTags, or makes it.
	GetOrCreateUserInput struct {
		Tags               Tags              `json:"tags"`
		IntegrationName    string            `json:"integrationName,omitempty"`
		Name               string            `json:"name,omitempty"`
		PictureURL         string            `json:"pictureUrl,omitempty"`
		Properties         map[string]string `json:"properties,omitempty"`
		DiscriminateByTags []string          `json:"discriminateByTags,omitempty"`
	}
	// UserOutput answers with a user.
	UserOutput struct {
		User User `json:"user"`
	}
	// GetOrCreateUserOutput tells also whether it was made.
	GetOrCreateUserOutput struct {
		User User    `json:"user"`
		Meta Created `json:"meta"`
	}

	// CreateMessageInput describes a message: incoming when an integration
	// makes it, outgoing when a bot does.
	CreateMessageInput struct {
		ConversationID string          `json:"conversationId"`
		UserID         string          `json:"userId"`
		Type           string          `json:"type"`
		Payload        json.RawMessage `json:"payload"`
		Tags           Tags            `json:"tags"`
		Origin         string          `json:"origin,omitempty"`
		// Schedule puts it off; it is handed on at the time asked for.
		Schedule Schedule `json:"schedule,omitzero"`
	}
	// GetOrCreateMessageInput finds a message of the conversation by its tags,
	// or by those listed in DiscriminateByTags, or makes it. Without any tags
	// it makes one. Payload is required only to make one.
	GetOrCreateMessageInput struct {
		CreateMessageInput
		DiscriminateByTags []string `json:"discriminateByTags,omitempty"`
	}
	// UpdateMessageInput changes tags (an empty value removes one) and, when
	// given, the payload. From the integration of an outgoing message it is
	// the ack; Receipt then names the one of Tags that the platform's receipts
	// will name the message by.
	UpdateMessageInput struct {
		ID      string          `json:"id" in:"path"`
		Tags    Tags            `json:"tags"`
		Payload json.RawMessage `json:"payload,omitempty"`
		Receipt string          `json:"receipt,omitempty"`
	}
	// MessageOutput answers with a message.
	MessageOutput struct {
		Message Message `json:"message"`
	}
	// ListMessagesInput selects messages, newest first. Dates are RFC 3339.
	ListMessagesInput struct {
		NextToken      string `json:"nextToken,omitempty"`
		ConversationID string `json:"conversationId,omitempty"`
		Tags           Tags   `json:"tags,omitempty"`
		AfterDate      string `json:"afterDate,omitempty"`
		BeforeDate     string `json:"beforeDate,omitempty"`
	}
	// ListMessagesOutput is one page.
	ListMessagesOutput struct {
		Messages []Message `json:"messages"`
		Meta     Meta      `json:"meta"`
	}

	// CreateEventInput describes an event; an integration gives its type
	// without the alias.
	CreateEventInput struct {
		Type           string          `json:"type"`
		Payload        json.RawMessage `json:"payload"`
		ConversationID string          `json:"conversationId,omitempty"`
		UserID         string          `json:"userId,omitempty"`
		MessageID      string          `json:"messageId,omitempty"`
		// Schedule puts it off; it is handed on at the time asked for.
		Schedule Schedule `json:"schedule,omitzero"`
	}
	// EventOutput answers with an event.
	EventOutput struct {
		Event Event `json:"event"`
	}
	// ListEventsInput selects events, newest first.
	ListEventsInput struct {
		NextToken      string      `json:"nextToken,omitempty"`
		Type           string      `json:"type,omitempty"`
		ConversationID string      `json:"conversationId,omitempty"`
		UserID         string      `json:"userId,omitempty"`
		MessageID      string      `json:"messageId,omitempty"`
		Status         EventStatus `json:"status,omitempty"`
	}
	// ListEventsOutput is one page.
	ListEventsOutput struct {
		Events []Event `json:"events"`
		Meta   Meta    `json:"meta"`
	}

	// StateInput names a state; ID is that of its owner: the integration, the
	// conversation, the user or the bot.
	StateInput struct {
		Type StateType `json:"type" in:"path"`
		ID   string    `json:"id" in:"path"`
		Name string    `json:"name" in:"path"`
	}
	// SetStateInput replaces a state; a null payload deletes it. Expiry is in
	// milliseconds since it was last read or written, more or less: a read renews
	// it once a tenth of it has passed. 0 keeps the state for ever.
	SetStateInput struct {
		Type    StateType       `json:"type" in:"path"`
		ID      string          `json:"id" in:"path"`
		Name    string          `json:"name" in:"path"`
		Payload json.RawMessage `json:"payload"`
		Expiry  int64           `json:"expiry,omitempty"`
	}
	// StateOutput answers with a state.
	StateOutput struct {
		State State  `json:"state"`
		Meta  Cached `json:"meta"`
	}

	// CallActionInput names an action as "alias:action".
	CallActionInput struct {
		Type  string          `json:"type"`
		Input json.RawMessage `json:"input"`
	}
	// CallActionOutput is what the action returned.
	CallActionOutput struct {
		Output json.RawMessage `json:"output"`
		Meta   Cached          `json:"meta"`
	}
)
