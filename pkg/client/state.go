package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// StateOf is a named state of an installation and the type of its payload.
type StateOf[T any] struct{ name string }

// DefineState declares a state.
func DefineState[T any](name string) StateOf[T] { return StateOf[T]{name: name} }

// Get returns the state, or [ErrNotFound] when it was never set or is deleted.
func (s StateOf[T]) Get(ctx context.Context, c *Client) (T, error) {
	var value T
	out, err := c.GetState(ctx, StateInput{Type: IntegrationState, ID: c.caller.IntegrationID, Name: s.name})
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(out.State.Payload, &value); err != nil {
		return value, fmt.Errorf("decode state %s: %w", s.name, err)
	}
	return value, nil
}

// Set replaces the state.
func (s StateOf[T]) Set(ctx context.Context, c *Client, value T) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode state %s: %w", s.name, err)
	}
	return s.write(ctx, c, payload)
}

// Delete removes the state; removing one that is not there is no error.
func (s StateOf[T]) Delete(ctx context.Context, c *Client) error {
	return s.write(ctx, c, json.RawMessage("null"))
}

func (s StateOf[T]) write(ctx context.Context, c *Client, payload json.RawMessage) error {
	_, err := c.SetState(ctx, SetStateInput{
		Type: IntegrationState, ID: c.caller.IntegrationID, Name: s.name, Payload: payload,
	})
	return err
}
