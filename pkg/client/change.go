package client

import (
	"bytes"
	"encoding/json"
	"time"
)

// Schedule says when something is to happen: at DateTime, RFC 3339, or after
// Delay, in milliseconds. The zero value means now. A time that is past means
// now, too.
type Schedule struct {
	DateTime string `json:"dateTime,omitempty"`
	Delay    int64  `json:"delay,omitempty"`
}

// Change is what becomes of a text: the zero value leaves it as it is, and an
// empty text, or null in JSON, removes it. Make one with [To].
type Change struct {
	Given bool
	Text  string
}

// To returns the Change that sets a text; an empty one removes it.
func To(text string) Change { return Change{Given: true, Text: text} }

// IsZero tells a Change that leaves things as they are.
func (c Change) IsZero() bool { return !c.Given }

// MarshalJSON writes the text. A field of this type must be omitzero, since
// JSON has no value for what is not given.
func (c Change) MarshalJSON() ([]byte, error) { return json.Marshal(c.Text) }

// UnmarshalJSON reads a text, or null.
func (c *Change) UnmarshalJSON(data []byte) error {
	c.Given, c.Text = true, ""
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	return json.Unmarshal(data, &c.Text)
}

// The fields that lists are sorted by, and the directions.
const (
	ByCreatedAt = "createdAt"
	ByUpdatedAt = "updatedAt"
	Ascending   = "asc"
	Descending  = "desc"
)

// The inputs and outputs of what is asked for less often.
type (
	// NoOutput is the answer of what has nothing to tell.
	NoOutput struct{}

	// ListConversationsInput selects conversations. All that is given must
	// hold; all participants must take part. Dates are RFC 3339 and of the
	// creation. SortField is "createdAt", the default, or "updatedAt";
	// SortDirection is "desc", the default, or "asc".
	ListConversationsInput struct {
		NextToken       string   `json:"nextToken,omitempty"`
		SortField       string   `json:"sortField,omitempty"`
		SortDirection   string   `json:"sortDirection,omitempty"`
		Tags            Tags     `json:"tags,omitempty"`
		ParticipantIDs  []string `json:"participantIds,omitempty"`
		IntegrationName string   `json:"integrationName,omitempty"`
		Channel         string   `json:"channel,omitempty"`
		AfterDate       string   `json:"afterDate,omitempty"`
		BeforeDate      string   `json:"beforeDate,omitempty"`
	}
	// ListConversationsOutput is one page.
	ListConversationsOutput struct {
		Conversations []Conversation `json:"conversations"`
		Meta          Meta           `json:"meta"`
	}
	// UpdateConversationInput changes tags; an empty value removes one.
	UpdateConversationInput struct {
		ID   string `json:"id" in:"path"`
		Tags Tags   `json:"tags,omitempty"`
	}

	// ListParticipantsInput names a conversation.
	ListParticipantsInput struct {
		ID        string `json:"id" in:"path"`
		NextToken string `json:"nextToken,omitempty"`
	}
	// ListParticipantsOutput is one page, by the users' ids.
	ListParticipantsOutput struct {
		Participants []User `json:"participants"`
		Meta         Meta   `json:"meta"`
	}
	// AddParticipantInput names a conversation and a user.
	AddParticipantInput struct {
		ID     string `json:"id" in:"path"`
		UserID string `json:"userId"`
	}
	// ParticipantInput names a participant of a conversation.
	ParticipantInput struct {
		ID     string `json:"id" in:"path"`
		UserID string `json:"userId" in:"path"`
	}
	// ParticipantOutput answers with a participant.
	ParticipantOutput struct {
		Participant User `json:"participant"`
	}

	// ListUsersInput selects users; see [ListConversationsInput]. RangeField
	// says which time the dates are of: "createdAt", the default, or
	// "updatedAt".
	ListUsersInput struct {
		NextToken      string `json:"nextToken,omitempty"`
		ConversationID string `json:"conversationId,omitempty"`
		Tags           Tags   `json:"tags,omitempty"`
		AfterDate      string `json:"afterDate,omitempty"`
		BeforeDate     string `json:"beforeDate,omitempty"`
		RangeField     string `json:"rangeField,omitempty"`
		SortField      string `json:"sortField,omitempty"`
		SortDirection  string `json:"sortDirection,omitempty"`
	}
	// ListUsersOutput is one page.
	ListUsersOutput struct {
		Users []User `json:"users"`
		Meta  Meta   `json:"meta"`
	}
	// UpdateUserInput changes what is given. An empty tag or property removes
	// it.
	UpdateUserInput struct {
		ID         string            `json:"id" in:"path"`
		Tags       Tags              `json:"tags,omitempty"`
		Name       Change            `json:"name,omitzero"`
		PictureURL Change            `json:"pictureUrl,omitzero"`
		Properties map[string]string `json:"properties,omitempty"`
	}

	// GetOrCreateMessageOutput tells also whether the message was made.
	GetOrCreateMessageOutput struct {
		Message Message `json:"message"`
		Meta    Created `json:"meta"`
	}
	// Receipt is what a platform tells of a message that it was sent. Tag and
	// Value are the message's tag that names it; Status is Sent, Delivered, Read
	// or Failed.
	Receipt struct {
		Tag    string    `json:"tag"`
		Value  string    `json:"value"`
		Status Status    `json:"status"`
		At     time.Time `json:"at,omitzero"`      // by the platform's clock; now when left out
		Reason string    `json:"reason,omitempty"` // of Failed, for the bot's owner; cut after 500 characters
	}
	// ImportMessagesInput are at most 100 messages of the past. Nobody is told
	// of them.
	ImportMessagesInput struct {
		Messages []ImportedMessage `json:"messages"`
	}
	// ImportedMessage is one message of the past, at CreatedAt, RFC 3339. It is
	// found again by its tags, or those listed in DiscriminateByTags, so that
	// importing it twice makes it once.
	ImportedMessage struct {
		ConversationID     string          `json:"conversationId"`
		UserID             string          `json:"userId"`
		Type               string          `json:"type"`
		Payload            json.RawMessage `json:"payload"`
		Tags               Tags            `json:"tags"`
		CreatedAt          string          `json:"createdAt"`
		DiscriminateByTags []string        `json:"discriminateByTags"`
	}
	// ImportMessagesOutput answers with the messages, in the order given.
	ImportMessagesOutput struct {
		Messages []Message `json:"messages"`
	}

	// InitializeIncomingMessageInput is a message with its user and
	// conversation, each by its id or by what finds or makes it. The message
	// may be left out.
	InitializeIncomingMessageInput struct {
		UserID         string                       `json:"userId,omitempty"`
		User           GetOrCreateUserInput         `json:"user,omitzero"`
		ConversationID string                       `json:"conversationId,omitempty"`
		Conversation   GetOrCreateConversationInput `json:"conversation,omitzero"`
		Message        IncomingMessage              `json:"message,omitzero"`
	}
	// IncomingMessage is a message whose user and conversation are given
	// beside it.
	IncomingMessage struct {
		Type               string          `json:"type"`
		Payload            json.RawMessage `json:"payload"`
		Tags               Tags            `json:"tags"`
		Origin             string          `json:"origin,omitempty"`
		DiscriminateByTags []string        `json:"discriminateByTags,omitempty"`
	}
	// InitializeIncomingMessageOutput answers with all three; Message is nil
	// when none was given.
	InitializeIncomingMessageOutput struct {
		User         User         `json:"user"`
		Conversation Conversation `json:"conversation"`
		Message      *Message     `json:"message,omitempty"`
	}

	// PatchStateInput lays the fields of a JSON object over those of a state.
	PatchStateInput struct {
		Type    StateType       `json:"type" in:"path"`
		ID      string          `json:"id" in:"path"`
		Name    string          `json:"name" in:"path"`
		Payload json.RawMessage `json:"payload"`
	}
	// SetStateExpiryInput changes only when a state expires: Expiry is in
	// milliseconds without use, 0 or null keeps the state for ever.
	SetStateExpiryInput struct {
		Type   StateType `json:"type" in:"path"`
		ID     string    `json:"id" in:"path"`
		Name   string    `json:"name" in:"path"`
		Expiry int64     `json:"expiry"`
	}

	// ConfigureIntegrationInput tells what an installation learned of itself.
	// Identifier is what its platform calls it in requests to the integration's
	// global webhook; no two installations of an integration have the same.
	// ScheduleRegisterCall is how often it is registered again: "hourly",
	// "daily", "weekly", "bi-weekly", "monthly", "bi-monthly", "quarterly" or
	// "yearly".
	ConfigureIntegrationInput struct {
		Identifier           Change `json:"identifier,omitzero"`
		ScheduleRegisterCall string `json:"scheduleRegisterCall,omitempty"`
	}

	// ListTagValuesInput names a tag of "user", "conversation" or "message".
	ListTagValuesInput struct {
		Key       string `json:"key" in:"path"`
		Type      string `json:"type"`
		NextToken string `json:"nextToken,omitempty"`
	}
	// TagValue is one of a tag's values.
	TagValue struct {
		Value string `json:"value"`
	}
	// ListTagValuesOutput is one page of different values, in their order.
	ListTagValuesOutput struct {
		Tags []TagValue `json:"tags"`
		Meta Meta       `json:"meta"`
	}

	// TrackAnalyticsInput adds Count, at least 1, to what is counted under Name.
	TrackAnalyticsInput struct {
		Name  string `json:"name"`
		Count int64  `json:"count"`
	}
)
