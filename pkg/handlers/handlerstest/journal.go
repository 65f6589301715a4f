package handlerstest

import (
	"context"
	"sync"

	"github.com/towpath/towpath/pkg/client"
)

// Call is one thing that a handler asked of its client.
type Call struct {
	Operation string // "createMessage"
	Effect    bool   // that it is made to change something
	// Input and Output are pointers to the operation's types in package client,
	// such as *client.CreateMessageInput and *client.MessageOutput.
	Input, Output any
	Err           error
}

// journal hands calls on to the store and writes them down.
type journal struct {
	backend client.Backend

	mu     sync.Mutex
	calls  []Call
	broken error
}

// Do implements client.Backend.
func (j *journal) Do(ctx context.Context, call client.Call, in, out any) error {
	j.mu.Lock()
	err := j.broken
	j.mu.Unlock()
	if err == nil {
		err = j.backend.Do(ctx, call, in, out)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, Call{call.Operation.Name, call.Operation.Effect, in, out, err})
	return err
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

// take returns the calls since it was last asked.
func (j *journal) take() []Call {
	j.mu.Lock()
	defer j.mu.Unlock()
	calls := j.calls
	j.calls = nil
	return calls
}
