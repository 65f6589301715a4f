package worker

import (
	"encoding/json"
	"errors"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// remember writes down that the delivery is at its end. It comes before cursor
// and ack, so that neither a lost ack nor the platform's own retry, days
// later, runs it again. Two workers may have been at it: the first end counts.
func (d *delivery) remember() error {
	for {
		err := d.save()
		if !errors.Is(err, broker.ErrConflict) {
			return err
		}
		now, err := d.Store.Delivery(d.running, d.event.ID())
		if err != nil {
			return err
		}
		if now.Outcome != "" && now.RetryOf == d.past.RetryOf {
			d.past = now
			return nil
		}
		d.past.Replace(now)
	}
}

// finish makes the end of a delivery known: to the record that it was about,
// to what is remembered, and to whoever waits.
func (d *delivery) finish(installation store.Installation, result dispatch.Result) error {
	done := result.Verdict.Decision == handlers.Done
	if err := d.settle(installation, result, done); err != nil {
		return err
	}
	d.past.Outcome = store.Finished
	if !done {
		d.past.Outcome = store.DeadLettered
	}
	d.past.End()
	if result.Action != nil && done && result.Action.Cost != 0 {
		d.past.Cost = result.Action.Cost
		if err := d.Store.Charge(d.running, installation.WebhookID, d.event.ID(), d.event.Time(), d.past.Cost); err != nil {
			return err
		}
	}
	if d.operation == events.WebhookReceived {
		d.past.Answer = d.bounded(result.Response)
	}
	if err := d.remember(); err != nil {
		return err
	}
	d.metrics.end(installation.Integration, d.operation, d.past)
	if d.operation != events.WebhookReceived {
		return nil
	}
	return d.answer(d.past.Answer)
}

// maxAnswer bounds what is kept of a webhook's answer, in bytes.
const maxAnswer = 128 << 10

// bounded leaves out an answer that no platform would read; what is told then
// is what the integration says for late ones.
func (d *delivery) bounded(response *events.Response) *events.Response {
	if response == nil || len(response.Body) <= maxAnswer {
		return response
	}
	d.log().WithField("bytes", len(response.Body)).Warn("the handler's answer is too large to be given")
	return nil
}

// answer tells ingest, should it wait. Nobody need be there, so a failure is
// no reason to run the handler again.
func (d *delivery) answer(response *events.Response) error {
	data, err := json.Marshal(response)
	if err != nil {
		return err
	}
	if err := d.Broker.Answer(d.event.ID(), data); err != nil {
		d.log().WithError(err).Debug("nobody could be told the answer")
	}
	return nil
}

// settle writes the end into what the operation was about.
func (d *delivery) settle(installation store.Installation, result dispatch.Result, done bool) error {
	registration := func(status store.Status) error {
		return d.Store.SetRegistration(d.running, installation.WebhookID, installation.ConfigurationRevision, status, result.Verdict.Message)
	}
	switch {
	case d.operation == events.MessageCreated && done:
		return d.finishSend(installation, client.Sent)
	case d.operation == events.MessageCreated:
		return d.finishSend(installation, client.Failed)
	case d.operation == events.Register && done:
		return registration(store.Registered)
	case d.operation == events.Register:
		return registration(store.RegistrationFailed)
	case d.operation == events.Unregister && done:
		return d.Store.FinishUnregister(d.running, installation.WebhookID)
	case d.operation == events.Unregister:
		return registration(store.UnregistrationFailed)
	case d.operation == events.ActionTriggered && done:
		return d.Store.FinishAction(d.running, d.event.ID(), store.ActionAnswer{Output: result.Action.Output})
	case d.operation == events.ActionTriggered:
		return d.Store.FinishAction(d.running, d.event.ID(), store.ActionAnswer{
			Error: client.NewError(client.Runtime, "%s", result.Verdict.Message),
		})
	default:
		return nil
	}
}

// finishSend records how a send ended. A command that could not be decoded has
// left no record of a message, and nothing to record.
func (d *delivery) finishSend(installation store.Installation, status client.Status) error {
	err := d.Store.FinishSend(d.running, installation.BotID, d.event.ID(), status)
	if errors.Is(err, broker.ErrNoKey) {
		return nil
	}
	return err
}
