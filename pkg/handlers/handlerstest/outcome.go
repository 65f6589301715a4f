package handlerstest

import (
	"encoding/json"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// Outcome is what became of one thing that a kit was asked to do: of one
// attempt at each of its deliveries, which are several only for a webhook that
// tells of several things.
type Outcome struct {
	// Refused says why a webhook was not taken: it could not be verified (401),
	// was too large (413) or could not be split (400). Nothing else is set then
	// but Status.
	Refused error
	// Status is what the platform's request is answered with when it is refused,
	// 200 otherwise. A Response may say otherwise.
	Status int
	// Handshake tells that the webhook was a question about itself, answered by
	// Response; no handler ran.
	Handshake bool
	// Awaited tells that the platform waits for the handler's Response. Where it
	// does not, the Response goes nowhere.
	Awaited  bool
	Response *events.Response

	// Parts are the deliveries of a webhook, in order.
	Parts []Part
	// Verdict and Err are those of the last delivery that did not succeed; done
	// and nil when all did. Err is the whole cause, for the log.
	Verdict handlers.Verdict
	Err     error
	// Ambiguous means that nobody knows whether the platform took what was sent.
	Ambiguous bool
	// Skipped means that a message was not sent, since it had been before.
	Skipped bool
	// Action is what an action gave back.
	Action *handlers.ActionResult

	// Calls is all that the handlers asked of their client, in order. Events,
	// Messages and Acks are out of it.
	Calls []Call
	// Events are those that were fired, as the bot sees them.
	Events []client.Event
	// Messages are the incoming ones that were created, and none that a call
	// found to be there.
	Messages []client.Message
	// Acks are the tags of each ack of the message that was sent.
	Acks []client.Tags
	// Message is the message that was sent, as it stands now, with its status
	// and tags; the zero one when none was.
	Message client.Message
	// Requests are those that arrived at the platform's fake, with paths below
	// its URL.
	Requests []fake.Request
	// Told is what the bot's owner was told, see handlers.Logger.ForBot.
	Told []string

	jobs []dispatch.Job
}

// Part is one delivery of a webhook.
type Part struct {
	handlers.Part
	// DeliveryID is the same each time the platform sends the part.
	DeliveryID string
	Verdict    handlers.Verdict
	Err        error
}

// Effects returns the operations of the calls that change something, in order.
func (o Outcome) Effects() []string {
	names := []string{}
	for _, call := range o.Calls {
		if call.Effect {
			names = append(names, call.Operation)
		}
	}
	return names
}

// Fired returns the payloads of all events of one type that were fired. It
// panics when one is not of its type, which Fire does not let happen.
func Fired[P any](o Outcome, typ events.Type[P]) []P {
	var found []P
	for _, call := range o.Calls {
		in, ok := call.Input.(*client.CreateEventInput)
		if !ok || call.Err != nil || in.Type != typ.EventName() {
			continue
		}
		var payload P
		if err := json.Unmarshal(in.Payload, &payload); err != nil {
			panic("handlerstest: event " + in.Type + ": " + err.Error())
		}
		found = append(found, payload)
	}
	return found
}

// note sorts what the handlers asked for.
func note(o *Outcome, calls []Call) {
	o.Calls = calls
	for _, call := range calls {
		if call.Err != nil {
			continue
		}
		switch out := call.Output.(type) {
		case *client.EventOutput:
			if call.Operation == "createEvent" {
				o.Events = append(o.Events, out.Event)
			}
		case *client.GetOrCreateMessageOutput:
			if out.Meta.Created {
				o.Messages = append(o.Messages, out.Message)
			}
		case *client.InitializeIncomingMessageOutput:
			if out.Message != nil {
				o.Messages = append(o.Messages, *out.Message)
			}
		case *client.MessageOutput:
			in, update := call.Input.(*client.UpdateMessageInput)
			switch {
			case call.Operation == "createMessage":
				o.Messages = append(o.Messages, out.Message)
			case update && in.ID == o.Message.ID:
				o.Acks = append(o.Acks, in.Tags)
			}
		}
	}
}
