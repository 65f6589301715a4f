package signature_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

// A platform that is not ready-made is a few lines of data, which a configuration file may carry as well.
func ExampleSpec() {
	paddle := signature.Spec{
		Header:    "Paddle-Signature",
		List:      signature.Pairs,
		Separator: ";",
		Version:   "h1",
		Template:  "{timestamp}:{body}",
		Timestamp: signature.Timestamp{Field: "ts"},
		Tolerance: signature.Tolerance{Past: signature.Duration(5 * time.Minute)},
	}
	sent := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	msg := signature.Message{Body: []byte(`{"event_id":"evt_1"}`)}
	if err := paddle.Sign(&msg, "current", sent); err != nil {
		panic(err)
	}

	verifier, err := paddle.Verifier("next", "current")
	if err != nil {
		panic(err)
	}
	fmt.Println(verifier.Verify(msg, sent.Add(time.Minute)))

	err = verifier.Verify(msg, sent.Add(time.Hour))
	refused, _ := errors.AsType[*signature.Error](err)
	fmt.Println(refused.Reason)
	fmt.Println(err)
	// Output:
	// <nil>
	// stale
	// signature stale: signed 1h0m0s ago, tolerated are 5m0s
}
