package worker

import (
	"errors"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// errDied is what ended an attempt whose worker is gone.
var errDied = errors.New("the worker died, or lost its lease, while it made this attempt")

// bereave counts an attempt that began and that nobody will end any more.
func (d *delivery) bereave(installation store.Installation) (ended bool, err error) {
	d.log().WithField("attempt", d.past.Begun).WithField("of", d.past.Worker).Warn("an attempt died with its worker")
	d.metrics.died.WithLabelValues(installation.Integration, string(d.operation)).Inc()
	verdict := handlers.Verdict{Decision: handlers.Retry, Message: errDied.Error()}
	return d.failed(installation, verdict, errDied, d.operation == events.MessageCreated)
}

// failed records a failed attempt. It is repeated until NATS confirms it, so
// that what was decided about the attempt is not forgotten.
func (d *delivery) failed(installation store.Installation, verdict handlers.Verdict, cause error, ambiguous bool) (ended bool, err error) {
	now, conduct := d.Broker.Now(), d.conduct(installation)
	policy := conduct.Retry.Or(d.Retry)
	if verdict.After > 0 {
		d.leaveAlone(conduct.Installation, now.Add(verdict.After))
	}
	next := now.Add(delay(policy, d.past.Begun, verdict.After))
	if d.operation == events.MessageCreated && ambiguous {
		err := confirmed(d.running, func() error {
			uncertain, err := d.Store.MarkAmbiguous(d.running, installation.BotID, d.event.ID(), d.past.Runs)
			d.past.Uncertain = d.past.Uncertain || uncertain
			return err
		})
		if err != nil {
			return false, err
		}
	}
	d.past.Fail(broker.Failure{Attempt: d.past.Begun, At: now, Worker: d.past.Worker, Error: cause.Error()}, next)
	switch {
	case verdict.Decision == handlers.GiveUp, verdict.Decision == handlers.Pause && !d.pauses(),
		exhausted(policy, d.past.Attempts, d.message.Stored, next),
		d.operation == events.ActionTriggered && next.Sub(d.message.Stored) > store.ActionTimeout:
		d.past.GivenUp = verdict.Message
	case d.past.Uncertain && conduct.Uncertain == handlers.Hold:
		d.past.GivenUp = "an attempt may have reached the platform, and the integration holds such messages: " +
			"look there, and send it again with `towpath dead-letters retry` if it is missing"
	}
	return false, confirmed(d.running, func() error { return d.conclude(installation, verdict) })
}

// conclude writes down what a failed attempt means, for the installation and
// for the delivery.
func (d *delivery) conclude(installation store.Installation, verdict handlers.Verdict) error {
	if verdict.Decision == handlers.Pause {
		if err := d.pause(installation, verdict.Message); err != nil {
			return err
		}
	}
	if d.operation == events.Register && d.past.GivenUp == "" {
		err := d.Store.SetRegistration(d.running, installation.WebhookID, installation.ConfigurationRevision,
			store.RegistrationPending, verdict.Message)
		if err != nil {
			return err
		}
	}
	return d.commit(d.running)
}

// pauses tells whether refused credentials stop the installation and leave the
// delivery waiting. A registration is what tries new ones, and the caller of an
// action does not wait for so long.
func (d *delivery) pauses() bool {
	return d.operation != events.Register && d.operation != events.Unregister && d.operation != events.ActionTriggered
}

// pause stops the installation, once. A registration is what tries new
// credentials, and stops nothing.
func (d *delivery) pause(installation store.Installation, reason string) error {
	if d.operation == events.Register || d.operation == events.Unregister {
		return nil
	}
	fresh, err := d.Store.Pause(d.running, installation.WebhookID, installation.ConfigurationRevision, reason)
	if fresh {
		d.log().WithField("reason", reason).Error("installation paused: its platform refuses its credentials; " +
			"it goes on with a new configuration, or with `towpath installations enable`")
	}
	return err
}

// giveUp makes the delivery a dead letter.
func (d *delivery) giveUp(installation store.Installation, verdict handlers.Verdict) error {
	if err := confirmed(d.running, func() error { return d.bury(verdict.Message) }); err != nil {
		return err
	}
	return confirmed(d.running, func() error { return d.finish(installation, dispatch.Result{Verdict: verdict}) })
}
