package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// storedState is a state with how long it may lie unused.
type storedState struct {
	client.State
	Expiry int64 `json:"expiry,omitempty"` // milliseconds; 0 for ever
}

// renewEvery is what part of its expiry a state that is read may grow older
// before it is written again: reading would cost a write each time otherwise.
const renewEvery = 10

func (s *Store) getState(ctx context.Context, call client.Call, in *client.StateInput) (*client.StateOutput, error) {
	key, err := s.stateKey(ctx, call.Caller, in.Type, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	state, _, err := s.readState(ctx, key)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("State", in.Name)
	}
	return &client.StateOutput{State: state.State}, err
}

// readState returns a state and makes it live on for its expiry, more or less.
func (s *Store) readState(ctx context.Context, key string) (storedState, uint64, error) {
	entry, err := s.states.Get(ctx, key)
	if err != nil {
		return storedState{}, 0, err
	}
	var state storedState
	if err := json.Unmarshal(entry.Value, &state); err != nil {
		return state, 0, fmt.Errorf("decode %s: %w", key, err)
	}
	expiry := wholeSeconds(state.Expiry)
	if expiry > 0 && !s.looksOnly && s.now().Sub(entry.Time) > expiry/renewEvery {
		revision, err := s.states.PutFor(ctx, key, entry.Value, entry.Revision, expiry)
		if err == nil {
			return state, revision, nil
		}
		if !errors.Is(err, broker.ErrConflict) { // it was written, and so renewed, by somebody else
			return state, entry.Revision, err
		}
	}
	return state, entry.Revision, nil
}

// LookOnly makes reading leave no trace from now on: without it a state that is
// read lives on.
func (s *Store) LookOnly() { s.looksOnly = true }

// wholeSeconds rounds up, since NATS counts seconds.
func wholeSeconds(milliseconds int64) time.Duration {
	return (time.Duration(milliseconds)*time.Millisecond + time.Second - 1).Truncate(time.Second)
}

func checkExpiry(expiry int64) error {
	if expiry < 0 || expiry > maxExpiry {
		return client.NewError(client.InvalidPayload, "expiry must be from 1 to %d milliseconds", maxExpiry)
	}
	return nil
}

func (s *Store) setState(ctx context.Context, call client.Call, in *client.SetStateInput) (*client.StateOutput, error) {
	if len(in.Payload) == 0 {
		return nil, client.NewError(client.InvalidPayload, "payload is required; null deletes the state")
	}
	if err := errors.Join(checkExpiry(in.Expiry), checkSize(in.Payload)); err != nil {
		return nil, err
	}
	if string(bytes.TrimSpace(in.Payload)) == "null" {
		key, err := s.stateKey(ctx, call.Caller, in.Type, in.ID, in.Name)
		if err != nil {
			return nil, err
		}
		state := s.newState(call.Caller, key, in.Type, in.ID, in.Name)
		state.Payload = json.RawMessage("null")
		return &client.StateOutput{State: state.State}, s.states.Delete(ctx, key, 0)
	}
	return s.editState(ctx, call, in.Type, in.ID, in.Name, func(state *storedState, _ bool) error {
		state.Payload, state.Expiry = in.Payload, in.Expiry
		return nil
	})
}

// patchState sets the state when there is none, as if it had been empty.
func (s *Store) patchState(ctx context.Context, call client.Call, in *client.PatchStateInput) (*client.StateOutput, error) {
	if err := checkPayload(in.Payload); err != nil {
		return nil, err
	}
	return s.editState(ctx, call, in.Type, in.ID, in.Name, func(state *storedState, exists bool) error {
		fields, patch := map[string]json.RawMessage{}, map[string]json.RawMessage{}
		if exists {
			if err := checkPayload(state.Payload); err != nil {
				return client.NewError(client.InvalidPayload, "state %q is no object, so nothing can be laid over it", in.Name)
			}
			if err := json.Unmarshal(state.Payload, &fields); err != nil {
				return fmt.Errorf("decode state %s: %w", in.Name, err)
			}
		}
		if err := json.Unmarshal(in.Payload, &patch); err != nil {
			return client.NewError(client.InvalidPayload, "payload must be a JSON object")
		}
		maps.Copy(fields, patch)
		merged, err := json.Marshal(fields)
		state.Payload = merged
		return errors.Join(err, checkSize(merged))
	})
}

func checkSize(payload json.RawMessage) error {
	if len(payload) > maxPayload {
		return client.NewError(client.PayloadTooLarge, "payload is larger than %d bytes", maxPayload)
	}
	return nil
}

// errKept ends an edit that leaves a state as it is.
var errKept = errors.New("the state stays")

func (s *Store) getOrSetState(ctx context.Context, call client.Call, in *client.SetStateInput) (*client.StateOutput, error) {
	if err := errors.Join(checkExpiry(in.Expiry), checkPayload(in.Payload)); err != nil {
		return nil, err
	}
	return s.editState(ctx, call, in.Type, in.ID, in.Name, func(state *storedState, exists bool) error {
		if exists {
			return errKept
		}
		state.Payload, state.Expiry = in.Payload, in.Expiry
		return nil
	})
}

func (s *Store) setStateExpiry(ctx context.Context, call client.Call, in *client.SetStateExpiryInput) (*client.StateOutput, error) {
	if err := checkExpiry(in.Expiry); err != nil {
		return nil, err
	}
	return s.editState(ctx, call, in.Type, in.ID, in.Name, func(state *storedState, exists bool) error {
		if !exists {
			return client.NotFound("State", in.Name)
		}
		state.Expiry = in.Expiry
		return nil
	})
}

func (s *Store) newState(caller client.Caller, key string, typ client.StateType, id, name string) storedState {
	now := s.now().UTC()
	state := storedState{State: client.State{
		ID: events.EffectID("state", now, key), CreatedAt: now, UpdatedAt: now, BotID: caller.BotID, Name: name, Type: typ,
	}}
	switch typ {
	case client.ConversationState:
		state.ConversationID = id
	case client.UserState:
		state.UserID = id
	case client.IntegrationState, client.BotState:
	}
	return state
}

// editState writes a state by compare-and-swap. Edit is told whether there is
// one, and may run more than once.
func (s *Store) editState(
	ctx context.Context, call client.Call, typ client.StateType, id, name string, edit func(state *storedState, exists bool) error,
) (*client.StateOutput, error) {
	key, err := s.stateKey(ctx, call.Caller, typ, id, name)
	if err != nil {
		return nil, err
	}
	for {
		state, revision, err := s.readState(ctx, key)
		exists := err == nil
		if errors.Is(err, broker.ErrNoKey) {
			state, err = s.newState(call.Caller, key, typ, id, name), nil
		}
		if err == nil {
			err = edit(&state, exists)
		}
		if errors.Is(err, errKept) {
			return &client.StateOutput{State: state.State}, nil
		}
		if err != nil {
			return nil, err
		}
		state.UpdatedAt = s.now().UTC()
		if err := s.writeState(ctx, key, state, revision); !errors.Is(err, broker.ErrConflict) {
			return &client.StateOutput{State: state.State}, err
		}
	}
}

// writeState returns [broker.ErrConflict] when somebody else was faster.
func (s *Store) writeState(ctx context.Context, key string, state storedState, revision uint64) error {
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode state %s: %w", state.Name, err)
	}
	switch expiry := wholeSeconds(state.Expiry); {
	case expiry > 0:
		_, err = s.states.PutFor(ctx, key, data, revision, expiry)
	case revision == 0:
		_, err = s.states.Create(ctx, key, data)
	default:
		_, err = s.states.Update(ctx, key, data, revision)
	}
	return err
}

// counter is what is counted under one name. It keeps the latest effects that
// it counted, so that a handler that runs again is not counted again.
type counter struct {
	Count  int64    `json:"count"`
	Latest []string `json:"latest,omitempty"` // identities
}

// latestCounted is how many effects a counter recognises.
const latestCounted = 100

func (s *Store) trackAnalytics(ctx context.Context, call client.Call, in *client.TrackAnalyticsInput) (*client.NoOutput, error) {
	if err := checkName("name", in.Name); err != nil {
		return nil, err
	}
	if in.Count < 1 {
		return nil, client.NewError(client.InvalidPayload, "count must be at least 1")
	}
	identity := scoped(call)
	_, err := s.states.Modify(ctx, analyticsKey(call.Caller.BotID, call.Caller.Alias, in.Name), func(value []byte) ([]byte, error) {
		var c counter
		if value != nil {
			if err := json.Unmarshal(value, &c); err != nil {
				return nil, fmt.Errorf("decode counter %s: %w", in.Name, err)
			}
		}
		if identity != "" && slices.Contains(c.Latest, identity) {
			return nil, nil
		}
		c.Count += in.Count
		if identity != "" {
			c.Latest = append(c.Latest, identity)
			c.Latest = c.Latest[max(0, len(c.Latest)-latestCounted):]
		}
		return json.Marshal(c)
	})
	return &client.NoOutput{}, err
}

// analyticsKey is among the keys of states, under a type that none has.
func analyticsKey(bot, alias, name string) string { return broker.Key(bot, alias, "analytics", name) }

// Analytics returns how much an installation, or with an empty alias the bot
// itself, counted under a name.
func (s *Store) Analytics(ctx context.Context, bot, alias, name string) (int64, error) {
	found, _, err := load[counter](ctx, s.states, analyticsKey(bot, alias, name))
	if errors.Is(err, broker.ErrNoKey) {
		return 0, nil
	}
	return found.Count, err
}
