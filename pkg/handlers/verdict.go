package handlers

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/client"
)

// RuntimeError is a failure that the bot's owner can do something about. It is
// not retried unless it is marked so.
type RuntimeError struct {
	Message string // shown to the bot's owner
	Err     error  // the private cause, only for the log
}

// NewRuntimeError returns a RuntimeError. Cause may be nil.
func NewRuntimeError(message string, cause error) error {
	return &RuntimeError{Message: message, Err: cause}
}

// Error is for the log: it holds the private cause too.
func (e *RuntimeError) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the private cause.
func (e *RuntimeError) Unwrap() error { return e.Err }

// Decision is what becomes of a delivery after an attempt.
type Decision string

// The decisions.
const (
	Done   Decision = "done"
	Retry  Decision = "retry"
	GiveUp Decision = "give_up" // a dead letter at once
	// Pause is for credentials that the platform refuses: the installation
	// stops until it is configured anew, and the delivery waits.
	Pause Decision = "pause"
)

// Verdict is a decision with what goes with it.
type Verdict struct {
	Decision Decision
	After    time.Duration // of a Retry that the platform asked for; 0 means backoff
	Message  string        // for the bot's owner; never a private cause
}

type mark struct {
	err      error
	decision Decision
	after    time.Duration
}

func (m *mark) Error() string { return m.err.Error() }
func (m *mark) Unwrap() error { return m.err }

// RetryAfter marks an error as one to try again no sooner than after d, as
// platforms ask for with 429.
func RetryAfter(err error, d time.Duration) error { return marked(err, Retry, max(d, 0)) }

// Permanent marks an error that would come again: no more attempts.
func Permanent(err error) error { return marked(err, GiveUp, 0) }

// Unauthorized marks an error that says the installation's credentials are
// refused.
func Unauthorized(err error) error { return marked(err, Pause, 0) }

func marked(err error, decision Decision, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &mark{err: err, decision: decision, after: after}
}

const unexpected = "an unexpected error occurred in the integration; its log has the cause"

// Judge decides what an attempt's error means. It is the only place that does:
// workers, the API and the test kit all ask it. The outermost mark wins; a
// RuntimeError gives up; so does an answer of the client that would come again;
// everything else is retried.
func Judge(err error) Verdict {
	if err == nil {
		return Verdict{Decision: Done}
	}
	verdict := Verdict{Decision: Retry, Message: unexpected}
	if shown, ok := errors.AsType[*RuntimeError](err); ok {
		verdict = Verdict{Decision: GiveUp, Message: shown.Message}
	}
	if answer, ok := errors.AsType[*client.Error](err); ok && verdict.Message == unexpected {
		verdict.Message = answer.Message
		if status := answer.Type.Status(); status < 500 && answer.Type != client.RateLimited {
			verdict.Decision = GiveUp
		}
	}
	if m, ok := errors.AsType[*mark](err); ok {
		verdict.Decision, verdict.After = m.decision, m.after
	}
	return verdict
}

// PanicError is what a handler's panic becomes. It is retried like any other
// error, since a panic may come from what is about to change.
type PanicError struct {
	Value any
	Stack []byte
}

// Error tells the value; the stack is for the log.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }
