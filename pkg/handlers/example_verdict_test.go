package handlers_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

// What a handler returns decides what becomes of its delivery.
func ExampleJudge() {
	refused := errors.New("401 token_revoked")
	for _, err := range []error{
		nil,
		errors.New("connection reset"),
		handlers.RetryAfter(errors.New("429"), 30*time.Second),
		handlers.NewRuntimeError("The channel is archived.", nil),
		handlers.Unauthorized(handlers.NewRuntimeError("The token was revoked.", refused)),
	} {
		verdict := handlers.Judge(err)
		fmt.Printf("%s %s %q\n", verdict.Decision, verdict.After, verdict.Message)
	}
	// Output:
	// done 0s ""
	// retry 0s "an unexpected error occurred in the integration; its log has the cause"
	// retry 30s "an unexpected error occurred in the integration; its log has the cause"
	// give_up 0s "The channel is archived."
	// pause 0s "The token was revoked."
}
