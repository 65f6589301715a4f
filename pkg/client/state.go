package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/towpath/towpath/pkg/events"
)

// DeclaredState is a state's definition without its type parameter, as an
// integration lists them.
type DeclaredState interface {
	StateName() string
	StateType() StateType
	StateSchema() json.RawMessage
}

// declared is what all kinds of states have in common.
type declared[T any] struct {
	name   string
	typ    StateType
	schema json.RawMessage
}

// declare panics on a T that has no schema, because it runs when a program
// starts and nobody could go on from the error.
func declare[T any](typ StateType, name string) declared[T] {
	schema, err := events.OpenSchema[T]()
	if err != nil {
		panic(fmt.Sprintf("state %s: %v", name, err))
	}
	return declared[T]{name: name, typ: typ, schema: schema}
}

// StateName is the state's name, unique within its integration.
func (d declared[T]) StateName() string { return d.name }

// StateType says whose state it is.
func (d declared[T]) StateType() StateType { return d.typ }

// StateSchema is the JSON Schema of the payload.
func (d declared[T]) StateSchema() json.RawMessage { return d.schema }

func (d declared[T]) get(ctx context.Context, c *Client, id string) (T, error) {
	var value T
	out, err := c.GetState(ctx, StateInput{Type: d.typ, ID: id, Name: d.name})
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(out.State.Payload, &value); err != nil {
		return value, fmt.Errorf("decode state %s: %w", d.name, err)
	}
	return value, nil
}

func (d declared[T]) set(ctx context.Context, c *Client, id string, value any) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode state %s: %w", d.name, err)
	}
	_, err = c.SetState(ctx, SetStateInput{Type: d.typ, ID: id, Name: d.name, Payload: payload})
	return err
}

// StateOf is a named state of an installation and the type of its payload.
type StateOf[T any] struct{ declared[T] }

// DefineState declares a state that each installation has one of.
func DefineState[T any](name string) StateOf[T] {
	return StateOf[T]{declare[T](IntegrationState, name)}
}

// Get returns the state, or [ErrNotFound] when it was never set or is deleted.
func (s StateOf[T]) Get(ctx context.Context, c *Client) (T, error) {
	return s.get(ctx, c, c.caller.IntegrationID)
}

// Set replaces the state.
func (s StateOf[T]) Set(ctx context.Context, c *Client, value T) error {
	return s.set(ctx, c, c.caller.IntegrationID, value)
}

// Delete removes the state; removing one that is not there is no error.
func (s StateOf[T]) Delete(ctx context.Context, c *Client) error {
	return s.set(ctx, c, c.caller.IntegrationID, nil)
}

// OwnedState is a named state that each conversation, or each user, has one of.
type OwnedState[T any] struct{ declared[T] }

// DefineConversationState declares a state of conversations.
func DefineConversationState[T any](name string) OwnedState[T] {
	return OwnedState[T]{declare[T](ConversationState, name)}
}

// DefineUserState declares a state of users.
func DefineUserState[T any](name string) OwnedState[T] {
	return OwnedState[T]{declare[T](UserState, name)}
}

// Get returns the owner's state, or [ErrNotFound].
func (s OwnedState[T]) Get(ctx context.Context, c *Client, owner string) (T, error) {
	return s.get(ctx, c, owner)
}

// Set replaces the owner's state.
func (s OwnedState[T]) Set(ctx context.Context, c *Client, owner string, value T) error {
	return s.set(ctx, c, owner, value)
}

// Delete removes the owner's state; removing one that is not there is no error.
func (s OwnedState[T]) Delete(ctx context.Context, c *Client, owner string) error {
	return s.set(ctx, c, owner, nil)
}
