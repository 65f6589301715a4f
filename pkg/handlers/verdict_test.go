package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	plain := errors.New("private cause")
	shown := handlers.NewRuntimeError("tell the owner", plain)
	wrap := func(err error) error { return fmt.Errorf("while at it: %w", err) }
	for name, tc := range map[string]struct {
		err     error
		want    handlers.Decision
		after   time.Duration
		message string
	}{
		"nothing":                       {nil, handlers.Done, 0, ""},
		"anything":                      {plain, handlers.Retry, 0, "unexpected"},
		"a panic":                       {&handlers.PanicError{Value: "private cause"}, handlers.Retry, 0, "unexpected"},
		"a deadline":                    {context.DeadlineExceeded, handlers.Retry, 0, "unexpected"},
		"a cancellation":                {context.Canceled, handlers.Retry, 0, "unexpected"},
		"permanent":                     {handlers.Permanent(plain), handlers.GiveUp, 0, "unexpected"},
		"unauthorized":                  {handlers.Unauthorized(plain), handlers.Pause, 0, "unexpected"},
		"retry after":                   {handlers.RetryAfter(plain, time.Minute), handlers.Retry, time.Minute, "unexpected"},
		"retry after the past":          {handlers.RetryAfter(plain, -time.Minute), handlers.Retry, 0, "unexpected"},
		"wrapped":                       {wrap(wrap(handlers.Permanent(wrap(plain)))), handlers.GiveUp, 0, "unexpected"},
		"the outermost mark wins":       {handlers.RetryAfter(wrap(handlers.Permanent(plain)), time.Second), handlers.Retry, time.Second, "unexpected"},
		"and leaves nothing of others":  {handlers.Permanent(handlers.RetryAfter(plain, time.Second)), handlers.GiveUp, 0, "unexpected"},
		"a runtime error":               {shown, handlers.GiveUp, 0, "tell the owner"},
		"a wrapped runtime error":       {wrap(shown), handlers.GiveUp, 0, "tell the owner"},
		"a runtime error to retry":      {handlers.RetryAfter(shown, time.Second), handlers.Retry, time.Second, "tell the owner"},
		"a runtime error that pauses":   {handlers.Unauthorized(wrap(shown)), handlers.Pause, 0, "tell the owner"},
		"a mark inside a runtime error": {handlers.NewRuntimeError("tell the owner", handlers.RetryAfter(plain, time.Second)), handlers.Retry, time.Second, "tell the owner"},
		"joined with a mark":            {errors.Join(plain, handlers.Permanent(plain)), handlers.GiveUp, 0, "unexpected"},
		"joined with a runtime error":   {errors.Join(plain, shown), handlers.GiveUp, 0, "tell the owner"},
		"joined marks, the first wins":  {errors.Join(handlers.Unauthorized(plain), handlers.Permanent(plain)), handlers.Pause, 0, "unexpected"},
		"not found":                     {wrap(client.NotFound("user", "u")), handlers.GiveUp, 0, `user "u" not found`},
		"invalid":                       {client.NewError(client.InvalidPayload, "tags are missing"), handlers.GiveUp, 0, "tags are missing"},
		"rate limited by the API":       {client.NewError(client.RateLimited, "slower"), handlers.Retry, 0, "slower"},
		"an internal error":             {client.NewError(client.Internal, "later"), handlers.Retry, 0, "later"},
		"a timeout of the API":          {client.NewError(client.OperationTimeout, "later"), handlers.Retry, 0, "later"},
		"a client error to retry":       {handlers.RetryAfter(client.NotFound("user", "u"), time.Second), handlers.Retry, time.Second, "not found"},
		"told rather than the cause":    {handlers.NewRuntimeError("tell the owner", client.NotFound("user", "u")), handlers.GiveUp, 0, "tell the owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := handlers.Judge(tc.err)
			if got.Decision != tc.want || got.After != tc.after || !strings.Contains(got.Message, tc.message) {
				t.Errorf("judged %+v, want %s after %s, told %q", got, tc.want, tc.after, tc.message)
			}
			if strings.Contains(got.Message, "private cause") {
				t.Errorf("the owner is told the private cause: %q", got.Message)
			}
		})
	}
}

func TestMarksKeepTheErrorAndItsText(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, marked := range []error{handlers.Permanent(cause), handlers.Unauthorized(cause), handlers.RetryAfter(cause, 1)} {
		if !errors.Is(marked, cause) || marked.Error() != "cause" {
			t.Errorf("%v hides its cause", marked)
		}
	}
	for _, marked := range []error{handlers.Permanent(nil), handlers.Unauthorized(nil), handlers.RetryAfter(nil, 1)} {
		if marked != nil {
			t.Errorf("a mark makes an error of none: %v", marked)
		}
	}
	if err := handlers.NewRuntimeError("shown", cause); err.Error() != "shown: cause" || !errors.Is(err, cause) {
		t.Errorf("the log would not have the cause: %v", err)
	}
}
