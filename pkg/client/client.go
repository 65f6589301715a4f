package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// Delivery is what a handler's calls follow from. Its fields are the same in
// every attempt, so that what is derived from them is too.
type Delivery struct {
	ID          string    // "dlv_…", or the event's id for a bot
	Time        time.Time // when it was stored
	TraceParent string    // of the attempt; tells nothing but the trace
}

// Client asks things on behalf of one caller. Bound to a delivery, it numbers
// equal effects, so that the same handler running again makes the same
// effects. A Client is safe for concurrent use.
type Client struct {
	backend  Backend
	caller   Caller
	delivery Delivery

	mu       sync.Mutex
	ordinals map[string]int
}

// New returns a Client whose effects each stand alone.
func New(backend Backend, caller Caller) *Client { return &Client{backend: backend, caller: caller} }

// ForDelivery returns a Client for one attempt at a delivery.
func (c *Client) ForDelivery(d Delivery) *Client {
	return &Client{backend: c.backend, caller: c.caller, delivery: d, ordinals: map[string]int{}}
}

// Caller tells on whose behalf the client asks.
func (c *Client) Caller() Caller { return c.caller }

// identity names an effect by what does not change between attempts: the
// delivery, the operation, the content, and which of several equal ones it is.
// The plain number of the call would not do: an attempt that finds an entity
// already made may skip a call that the attempt before made.
func (c *Client) identity(operation string, in any) (string, error) {
	if c.delivery.ID == "" {
		return "", nil
	}
	content, err := json.Marshal(in)
	if err != nil {
		return "", fmt.Errorf("encode input of %s: %w", operation, err)
	}
	sum := sha256.Sum256(content)
	key := operation + ":" + hex.EncodeToString(sum[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	ordinal := c.ordinals[key]
	c.ordinals[key]++
	return fmt.Sprintf("%s:%s:%d", c.delivery.ID, key, ordinal), nil
}

func do[In, Out any](ctx context.Context, c *Client, row op[In, Out], in In) (*Out, error) {
	call := Call{Operation: row.Operation, Caller: c.caller, Delivery: c.delivery}
	if row.Effect {
		identity, err := c.identity(row.Name, in)
		if err != nil {
			return nil, err
		}
		call.Identity = identity
	}
	out := new(Out)
	if err := c.backend.Do(ctx, call, &in, out); err != nil {
		return nil, fmt.Errorf("%s: %w", row.Name, err)
	}
	return out, nil
}

// CreateConversation makes a conversation, whether or not one like it exists.
func (c *Client) CreateConversation(ctx context.Context, in CreateConversationInput) (*ConversationOutput, error) {
	return do(ctx, c, createConversation, in)
}

// GetConversation returns a conversation, or [ErrNotFound].
func (c *Client) GetConversation(ctx context.Context, id string) (*ConversationOutput, error) {
	return do(ctx, c, getConversation, IDInput{ID: id})
}

// GetOrCreateConversation returns the one conversation with the given channel
// and tags. Callers at the same moment get the same one.
func (c *Client) GetOrCreateConversation(ctx context.Context, in GetOrCreateConversationInput) (*GetOrCreateConversationOutput, error) {
	return do(ctx, c, getOrCreateConversation, in)
}

// CreateUser makes a user, whether or not one like it exists.
func (c *Client) CreateUser(ctx context.Context, in CreateUserInput) (*UserOutput, error) {
	return do(ctx, c, createUser, in)
}

// GetUser returns a user, or [ErrNotFound].
func (c *Client) GetUser(ctx context.Context, id string) (*UserOutput, error) {
	return do(ctx, c, getUser, IDInput{ID: id})
}

// GetOrCreateUser returns the one user with the given tags. Callers at the
// same moment get the same one.
func (c *Client) GetOrCreateUser(ctx context.Context, in GetOrCreateUserInput) (*GetOrCreateUserOutput, error) {
	return do(ctx, c, getOrCreateUser, in)
}

// CreateMessage stores a message and hands it on: an integration's to the bot,
// a bot's to the platform.
func (c *Client) CreateMessage(ctx context.Context, in CreateMessageInput) (*MessageOutput, error) {
	return do(ctx, c, createMessage, in)
}

// GetMessage returns a message, or [ErrNotFound].
func (c *Client) GetMessage(ctx context.Context, id string) (*MessageOutput, error) {
	return do(ctx, c, getMessage, IDInput{ID: id})
}

// ListMessages returns a page of messages, newest first.
func (c *Client) ListMessages(ctx context.Context, in ListMessagesInput) (*ListMessagesOutput, error) {
	return do(ctx, c, listMessages, in)
}

// UpdateMessage changes a message's tags or payload. It never makes anybody
// send it again. Called by the integration of an outgoing message, it acks it.
func (c *Client) UpdateMessage(ctx context.Context, in UpdateMessageInput) (*MessageOutput, error) {
	return do(ctx, c, updateMessage, in)
}

// CreateEvent tells the bot of an event. Integrations rather call Fire of an
// [events.Type], which holds the payload to its type.
func (c *Client) CreateEvent(ctx context.Context, in CreateEventInput) (*EventOutput, error) {
	return do(ctx, c, createEvent, in)
}

// FireEvent implements events.Firer.
func (c *Client) FireEvent(ctx context.Context, name string, about events.Refs, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode payload of event %s: %w", name, err)
	}
	_, err = c.CreateEvent(ctx, CreateEventInput{
		Type: name, Payload: data,
		ConversationID: about.ConversationID, UserID: about.UserID, MessageID: about.MessageID,
	})
	return err
}

// GetEvent returns an event, or [ErrNotFound].
func (c *Client) GetEvent(ctx context.Context, id string) (*EventOutput, error) {
	return do(ctx, c, getEvent, IDInput{ID: id})
}

// ListEvents returns a page of events, newest first.
func (c *Client) ListEvents(ctx context.Context, in ListEventsInput) (*ListEventsOutput, error) {
	return do(ctx, c, listEvents, in)
}

// GetState returns a state, or [ErrNotFound]. Integrations rather use a
// [StateOf], which holds the payload to its type.
func (c *Client) GetState(ctx context.Context, in StateInput) (*StateOutput, error) {
	return do(ctx, c, getState, in)
}

// SetState replaces a state.
func (c *Client) SetState(ctx context.Context, in SetStateInput) (*StateOutput, error) {
	return do(ctx, c, setState, in)
}

// CallAction runs an action of an integration and waits for its output.
func (c *Client) CallAction(ctx context.Context, in CallActionInput) (*CallActionOutput, error) {
	return do(ctx, c, callAction, in)
}

// ListConversations returns a page of conversations, newest first unless asked
// otherwise.
func (c *Client) ListConversations(ctx context.Context, in ListConversationsInput) (*ListConversationsOutput, error) {
	return do(ctx, c, listConversations, in)
}

// UpdateConversation changes a conversation's tags. Its integration is told of
// what a bot changes.
func (c *Client) UpdateConversation(ctx context.Context, in UpdateConversationInput) (*ConversationOutput, error) {
	return do(ctx, c, updateConversation, in)
}

// DeleteConversation removes a conversation with its messages, participants and
// states; all are gone at once. It returns [ErrNotFound] when there is none.
func (c *Client) DeleteConversation(ctx context.Context, id string) error {
	_, err := do(ctx, c, deleteConversation, IDInput{ID: id})
	return err
}

// ListParticipants returns a page of the users that take part.
func (c *Client) ListParticipants(ctx context.Context, in ListParticipantsInput) (*ListParticipantsOutput, error) {
	return do(ctx, c, listParticipants, in)
}

// AddParticipant makes a user take part in a conversation; who writes an
// incoming message does so anyway.
func (c *Client) AddParticipant(ctx context.Context, in AddParticipantInput) (*ParticipantOutput, error) {
	return do(ctx, c, addParticipant, in)
}

// GetParticipant returns a user who takes part, or [ErrNotFound].
func (c *Client) GetParticipant(ctx context.Context, in ParticipantInput) (*ParticipantOutput, error) {
	return do(ctx, c, getParticipant, in)
}

// RemoveParticipant takes a user out of a conversation. The user stays.
func (c *Client) RemoveParticipant(ctx context.Context, in ParticipantInput) error {
	_, err := do(ctx, c, removeParticipant, in)
	return err
}

// ListUsers returns a page of users, newest first unless asked otherwise.
func (c *Client) ListUsers(ctx context.Context, in ListUsersInput) (*ListUsersOutput, error) {
	return do(ctx, c, listUsers, in)
}

// UpdateUser changes what is given of a user.
func (c *Client) UpdateUser(ctx context.Context, in UpdateUserInput) (*UserOutput, error) {
	return do(ctx, c, updateUser, in)
}

// DeleteUser removes a user with its states and takes it out of its
// conversations. Its messages stay.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	_, err := do(ctx, c, deleteUser, IDInput{ID: id})
	return err
}

// GetOrCreateMessage returns the one message of a conversation with the given
// tags. Callers at the same moment get the same one.
func (c *Client) GetOrCreateMessage(ctx context.Context, in GetOrCreateMessageInput) (*GetOrCreateMessageOutput, error) {
	return do(ctx, c, getOrCreateMessage, in)
}

// DeleteMessage removes a message. One that is not sent yet is not sent any
// more.
func (c *Client) DeleteMessage(ctx context.Context, id string) error {
	_, err := do(ctx, c, deleteMessage, IDInput{ID: id})
	return err
}

// ReportReceipt tells what became of a message that the platform took: its
// status moves on, never back. Failed ends one that was only sent; what arrived
// does not fail any more. Only an integration may report, on the messages of its
// channels that declare a Receipt. A receipt that comes before its message is
// acked waits for it, up to 7 days; one that comes more than 30 days after the
// ack, or of a message that is not known, is dropped. The bot is told nothing; it
// sees the message change.
func (c *Client) ReportReceipt(ctx context.Context, receipt Receipt) error {
	_, err := do(ctx, c, reportReceipt, receipt)
	return err
}

// ImportMessages adds messages of the past; nobody is told of them.
func (c *Client) ImportMessages(ctx context.Context, in ImportMessagesInput) (*ImportMessagesOutput, error) {
	return do(ctx, c, importMessages, in)
}

// InitializeIncomingMessage finds or makes a user, a conversation and a message
// in one call.
func (c *Client) InitializeIncomingMessage(ctx context.Context, in InitializeIncomingMessageInput) (*InitializeIncomingMessageOutput, error) {
	return do(ctx, c, initializeIncomingMessage, in)
}

// PatchState lays fields over those of a state, or sets it when there is none.
func (c *Client) PatchState(ctx context.Context, in PatchStateInput) (*StateOutput, error) {
	return do(ctx, c, patchState, in)
}

// GetOrSetState returns a state, and sets it first when there is none.
func (c *Client) GetOrSetState(ctx context.Context, in SetStateInput) (*StateOutput, error) {
	return do(ctx, c, getOrSetState, in)
}

// SetStateExpiry changes when a state expires.
func (c *Client) SetStateExpiry(ctx context.Context, in SetStateExpiryInput) (*StateOutput, error) {
	return do(ctx, c, setStateExpiry, in)
}

// CancelScheduledEvent keeps an event from being told. It returns [ErrNotFound]
// when it is not, or no longer, waiting.
func (c *Client) CancelScheduledEvent(ctx context.Context, id string) error {
	_, err := do(ctx, c, cancelScheduledEvent, IDInput{ID: id})
	return err
}

// ListTagValues returns a page of the values that a tag has.
func (c *Client) ListTagValues(ctx context.Context, in ListTagValuesInput) (*ListTagValuesOutput, error) {
	return do(ctx, c, listTagValues, in)
}

// TrackAnalytics counts something.
func (c *Client) TrackAnalytics(ctx context.Context, in TrackAnalyticsInput) error {
	_, err := do(ctx, c, trackAnalytics, in)
	return err
}

// ConfigureIntegration keeps what an installation learned of itself. Only the
// integration may ask for it.
func (c *Client) ConfigureIntegration(ctx context.Context, in ConfigureIntegrationInput) error {
	_, err := do(ctx, c, configureIntegration, in)
	return err
}
