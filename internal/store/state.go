package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// maxExpiry is Botpress's limit, 30 days in milliseconds.
const maxExpiry = 2_592_000_000

// stateKey names a state. Each installation has a namespace of its own, and so
// has the bot. A state of the installation is found whatever version of the
// integration asks, so its key leaves out the id, which names the version.
func (s *Store) stateKey(ctx context.Context, caller client.Caller, typ client.StateType, id, name string) (string, error) {
	if err := checkName("name", name); err != nil {
		return "", err
	}
	foreign := client.NewError(client.Forbidden, "state %q of %s %q is not the caller's", name, typ, id)
	switch typ {
	case client.IntegrationState:
		if !caller.IsIntegration() || id != caller.IntegrationID {
			return "", foreign
		}
		id = ""
	case client.BotState:
		if id != caller.BotID {
			return "", foreign
		}
	case client.ConversationState:
		if _, err := s.conversation(ctx, caller, id); errors.Is(err, broker.ErrNoKey) {
			return "", client.NewError(client.ReferenceNotFound, "conversation %q not found", id)
		} else if err != nil {
			return "", err
		}
	case client.UserState:
		if _, err := s.user(ctx, caller, id); errors.Is(err, broker.ErrNoKey) {
			return "", client.NewError(client.ReferenceNotFound, "user %q not found", id)
		} else if err != nil {
			return "", err
		}
	default:
		return "", client.NewError(client.InvalidPayload, "state type %q is none of integration, conversation, user and bot", typ)
	}
	return broker.Key(caller.BotID, caller.Alias, string(typ), id, name), nil
}

func (s *Store) getState(ctx context.Context, call client.Call, in *client.StateInput) (*client.StateOutput, error) {
	key, err := s.stateKey(ctx, call.Caller, in.Type, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	state, _, err := load[client.State](ctx, s.states, key)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("State", in.Name)
	}
	return &client.StateOutput{State: state}, err
}

func (s *Store) setState(ctx context.Context, call client.Call, in *client.SetStateInput) (*client.StateOutput, error) {
	if len(in.Payload) > maxPayload {
		return nil, client.NewError(client.PayloadTooLarge, "payload is larger than %d bytes", maxPayload)
	}
	if in.Expiry < 0 || in.Expiry > maxExpiry {
		return nil, client.NewError(client.InvalidPayload, "expiry must be from 1 to %d milliseconds", maxExpiry)
	}
	if len(in.Payload) == 0 {
		return nil, client.NewError(client.InvalidPayload, "payload is required; null deletes the state")
	}
	key, err := s.stateKey(ctx, call.Caller, in.Type, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC()
	state := client.State{
		ID: events.EffectID("state", now, key), CreatedAt: now, UpdatedAt: now, BotID: call.Caller.BotID,
		Name: in.Name, Type: in.Type, Payload: in.Payload,
	}
	switch in.Type {
	case client.ConversationState:
		state.ConversationID = in.ID
	case client.UserState:
		state.UserID = in.ID
	case client.IntegrationState, client.BotState:
	}
	if string(bytes.TrimSpace(in.Payload)) == "null" {
		state.Payload = json.RawMessage("null")
		return &client.StateOutput{State: state}, s.states.Delete(ctx, key, 0)
	}
	for {
		err := s.writeState(ctx, key, &state, time.Duration(in.Expiry)*time.Millisecond)
		if !errors.Is(err, broker.ErrConflict) {
			return &client.StateOutput{State: state}, err
		}
	}
}

// writeState returns [broker.ErrConflict] when somebody else was faster.
func (s *Store) writeState(ctx context.Context, key string, state *client.State, expiry time.Duration) error {
	before, revision, err := load[client.State](ctx, s.states, key)
	if err == nil {
		state.ID, state.CreatedAt = before.ID, before.CreatedAt
	} else if !errors.Is(err, broker.ErrNoKey) {
		return err
	}
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode state %s: %w", state.Name, err)
	}
	switch {
	case expiry > 0:
		// NATS counts whole seconds.
		whole := (expiry + time.Second - 1).Truncate(time.Second)
		_, err = s.states.PutFor(ctx, key, data, revision, whole)
	case revision == 0:
		_, err = s.states.Create(ctx, key, data)
	default:
		_, err = s.states.Update(ctx, key, data, revision)
	}
	return err
}
