package handlerstest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

// A test of a platform, from its webhook to its API. The integration may be
// anybody's own, from outside this repository.
func Example() { //nolint:testableexamples // it needs a test to be in
	var t *testing.T // of the test that this is in

	kit := handlerstest.New(t, acme, `{"token":"token-1234","secret":"secret-1234"}`)

	// Somebody writes: the sample is verified, split, stored and handled.
	heard := kit.Webhook(kit.Sample("said", handlers.SampleArgs{Text: "tea?", Conversation: "R1"}))
	fmt.Println(heard.Parts[0].Key, string(heard.Messages[0].Payload), handlerstest.Fired(heard, renamed))

	// The bot answers, while the platform is busy, and again when it is not.
	kit.Script(fake.Rule{Path: "/messages", Status: 429, Headers: map[string]string{"Retry-After": "3"}, Times: 1})
	said := kit.Send(handlerstest.Message{Payload: events.Text{Text: "with milk"}, Conversation: client.Tags{"room": "R1"}})
	fmt.Println(said.Verdict.Decision, said.Verdict.After)
	said = kit.Retry(said)
	fmt.Println(said.Message.Status, said.Acks, said.Requests[0].Path)
}

// Every integration that verifies has this test.
func ExampleRefusals() { //nolint:testableexamples // it needs a test to be in
	var t *testing.T // of the test that this is in

	kit := handlerstest.New(t, acme, `{"token":"token-1234","secret":"secret-1234"}`)
	handlerstest.Refusals(t, kit, handlerstest.Scheme{
		Sample: "said", Header: "X-Slack-Signature", Secret: "secret", Tolerance: 5 * time.Minute,
	})
}
