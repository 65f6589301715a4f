package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// ActionTimeout is how long a caller waits for an action, as with Botpress.
const ActionTimeout = 60 * time.Second

// ActionAnswer is how an action ended: with an output or with an error.
type ActionAnswer struct {
	Output json.RawMessage `json:"output,omitempty"`
	Error  *client.Error   `json:"error,omitempty"`
}

// answerKey is where the answer to an action is kept, for a caller that asks
// again under the same identity.
func answerKey(delivery string) string { return broker.Key("answer", delivery) }

// FinishAction keeps the answer to an action and hands it to whoever waits.
// The first answer to a delivery stands.
func (s *Store) FinishAction(ctx context.Context, delivery string, answer ActionAnswer) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer to %s: %w", delivery, err)
	}
	_, err = s.seen.Create(ctx, answerKey(delivery), data)
	if errors.Is(err, broker.ErrConflict) {
		entry, err := s.seen.Get(ctx, answerKey(delivery))
		if err != nil {
			return err
		}
		data = entry.Value
	} else if err != nil {
		return err
	}
	return s.broker.Answer(delivery, data)
}

func (s *Store) callAction(ctx context.Context, call client.Call, in *client.CallActionInput) (*client.CallActionOutput, error) {
	if call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only a bot calls actions")
	}
	if err := checkLength("type", in.Type, maxName); err != nil {
		return nil, err
	}
	alias, action, ok := strings.Cut(in.Type, ":")
	if !ok || alias == "" || action == "" {
		return nil, client.NewError(client.InvalidPayload, `type must be "alias:action", such as "slack:sendMessage"`)
	}
	input := in.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	installation, err := s.active(ctx, call.Caller.BotID, alias)
	if err != nil {
		return nil, err
	}
	identified, err := s.effectOf(ctx, call, "act")
	if err != nil {
		return nil, err
	}
	e, err := s.cloudEvent(call, identified.ID, events.ActionTriggered.CloudEventType(), "", events.ActionCall{Type: action, Input: input})
	if err != nil {
		return nil, err
	}
	awaited, err := s.broker.Await(identified.ID)
	if err != nil {
		return nil, err
	}
	defer awaited.Close()
	if identified.Again {
		if answer, _, err := load[ActionAnswer](ctx, s.seen, answerKey(identified.ID)); !errors.Is(err, broker.ErrNoKey) {
			return actionOutput(answer, err)
		}
	}
	if _, err := s.broker.Enqueue(ctx, broker.Commands, installation.WebhookID, "", e); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, ActionTimeout)
	defer cancel()
	data, err := awaited.Wait(waiting)
	if err != nil {
		return nil, client.NewError(client.OperationTimeout, "action %s did not answer in time; it may still run", in.Type)
	}
	var answer ActionAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("decode answer of %s: %w", in.Type, err)
	}
	return actionOutput(answer, nil)
}

func actionOutput(answer ActionAnswer, err error) (*client.CallActionOutput, error) {
	if err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	return &client.CallActionOutput{Output: answer.Output}, nil
}
