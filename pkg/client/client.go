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
