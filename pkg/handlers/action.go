package handlers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/events"
)

// ActionInfo is what people are told about an action.
type ActionInfo struct {
	Title       string
	Description string
	Billable    bool // it may call Metadata.SetCost
}

// Actions are an integration's actions by name.
type Actions[C any] map[string]Action[C]

// Action is one action, made by [NewAction].
type Action[C any] struct {
	info          ActionInfo
	input, output json.RawMessage
	validate      *jsonschema.Resolved
	fault         error
	run           func(ctx context.Context, p Props[C], input json.RawMessage) (ActionResult, error)
}

// ActionResult is what an action gave back.
type ActionResult struct {
	Output json.RawMessage
	Cost   float64
}

// NewAction makes an action of a function. Input is checked against In's
// schema before the function runs; both schemas are read off the types.
func NewAction[C, In, Out any](info ActionInfo, fn func(context.Context, ActionProps[C, In]) (Out, error)) Action[C] {
	action := Action[C]{info: info}
	action.input, action.validate, action.fault = closedSchema[In]()
	if action.fault == nil {
		action.output, action.fault = events.OpenSchema[Out]()
	}
	action.run = func(ctx context.Context, p Props[C], raw json.RawMessage) (ActionResult, error) {
		var input In
		if err := decodeValid(raw, action.validate, &input); err != nil {
			return ActionResult{}, Permanent(NewRuntimeError("invalid input: "+err.Error(), nil))
		}
		metadata := &Metadata{}
		out, err := fn(ctx, ActionProps[C, In]{Props: p, Input: input, Metadata: metadata})
		if err != nil {
			return ActionResult{}, err
		}
		encoded, err := json.Marshal(out)
		if err != nil {
			return ActionResult{}, fmt.Errorf("encode output: %w", err)
		}
		return ActionResult{Output: encoded, Cost: metadata.Cost()}, nil
	}
	return action
}

// closedSchema reads the schema of what comes in off its type, ready to
// validate with.
func closedSchema[T any]() (json.RawMessage, *jsonschema.Resolved, error) {
	raw, err := events.ClosedSchema[T]()
	if err != nil {
		return nil, nil, err
	}
	resolved, err := resolve(raw)
	return raw, resolved, err
}

func resolve(raw json.RawMessage) (*jsonschema.Resolved, error) {
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, err
	}
	return schema.Resolve(nil)
}

// decodeValid validates JSON against a schema and decodes it.
func decodeValid(raw json.RawMessage, schema *jsonschema.Resolved, into any) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
