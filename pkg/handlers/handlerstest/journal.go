package handlerstest

import (
	"context"
	"slices"
	"sync"

	"github.com/towpath/towpath/pkg/client"
)

// Call is one thing that a handler asked of its client.
type Call struct {
	Operation string // "createMessage"
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
	j.calls = append(j.calls, Call{call.Operation.Name, in, out, err})
	return err
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

// since returns the calls from a number on.
func (j *journal) since(n int) []Call {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.calls[min(n, len(j.calls)):])
}
