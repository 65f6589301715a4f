package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// delivery is one delivery at work.
type delivery struct {
	*partition
	message   broker.Message
	event     event.Event
	operation events.Operation
	record    record
	failed    *failures
}

// deliver brings one message to its end: when it returns nil, the delivery is
// done, or a dead letter, or was seen before. An error means that somebody has
// to go on with it.
func (p *partition) deliver(message broker.Message, r record) error {
	d := &delivery{partition: p, message: message, record: r}
	var err error
	if d.event, err = message.Event(); err != nil {
		return d.bury(fmt.Sprintf("it cannot be decoded: %v", err))
	}
	d.operation, _ = events.OperationOf(d.event.Type())
	handled, err := d.Store.Handled(p.running, d.event.ID())
	if err != nil {
		return err
	}
	if handled {
		d.log().Info("delivery was handled before")
		return nil
	}
	if d.failed, err = r.load(p.running); err != nil {
		return err
	}
	if d.failed != nil && d.failed.Seq != message.Seq {
		// The platform sent it again while the first one is being retried.
		d.log().Info("delivery is at work already")
		return nil
	}
	for {
		ended, err := d.attempt()
		if ended || err != nil {
			return err
		}
	}
}

func (d *delivery) log() *logrus.Entry {
	return d.Logger.WithFields(logrus.Fields{
		"delivery": d.event.ID(), "operation": d.operation, "installation": d.message.Lane().Installation(),
		"queue": d.message.Stream, "seq": d.message.Seq, "worker": d.Name,
	})
}

// attempt makes one attempt, after the wait that the one before asks for. It
// reports whether the delivery is at its end.
func (d *delivery) attempt() (ended bool, err error) {
	number := 1
	if d.failed != nil {
		number = d.failed.Attempts + 1
		wait(d.taking, time.Until(d.failed.NotBefore))
	}
	installation, gone, err := d.installation()
	if err != nil {
		return false, err
	}
	if d.failed != nil && d.failed.GivenUp != "" {
		gone = d.failed.GivenUp
	}
	if gone != "" {
		given := dispatch.Result{Verdict: handlers.Verdict{Decision: handlers.GiveUp, Message: gone}}
		return true, d.giveUp(installation, given, number-1)
	}
	leave, err := d.enter(installation.WebhookID)
	if err != nil {
		return false, err
	}
	defer leave()
	if d.operation == events.MessageCreated {
		if skip, err := d.beginSend(installation, number); err != nil || skip {
			return skip, err
		}
	}
	started := time.Now()
	bot, _ := d.Directory.Bot(installation.BotID)
	result := d.Dispatcher.Run(d.running, dispatch.TargetOf(installation, bot.UserID), dispatch.Job{Event: d.event, Attempt: number})
	if result.Interrupted {
		d.log().WithError(context.Cause(d.running)).Info("attempt cut short, it does not count")
		return false, errHandedOver
	}
	d.metrics.attempt(installation.Integration, d.operation, result.Verdict.Decision, time.Since(started))
	entry := d.log().WithFields(logrus.Fields{
		"attempt": number, "ms": time.Since(started).Milliseconds(), "decision": result.Verdict.Decision,
	})
	if result.Verdict.Decision == handlers.Done {
		entry.Info("delivery done")
		// What comes after the handler is repeated, so that the handler is not.
		return true, confirmed(d.running, func() error { return d.finish(installation, result, number) })
	}
	if panicked, ok := errors.AsType[*handlers.PanicError](result.Err); ok {
		entry = entry.WithField("stack", string(panicked.Stack))
	}
	entry.WithError(result.Err).Warn("attempt failed")
	return d.retryOrGiveUp(installation, result, number)
}

// retryOrGiveUp records a failed attempt.
func (d *delivery) retryOrGiveUp(installation store.Installation, result dispatch.Result, number int) (ended bool, err error) {
	if d.failed == nil {
		d.failed = &failures{Seq: d.message.Seq}
	}
	now := time.Now()
	next := now.Add(d.Retry.wait(number, result.Verdict.After))
	d.failed.add(broker.Failure{Attempt: number, At: now, Worker: d.Name, Error: result.Err.Error()}, next)
	if d.operation == events.MessageCreated && result.Ambiguous {
		err := d.Store.MarkAmbiguous(d.running, installation.BotID, d.event.ID())
		if err != nil && !errors.Is(err, broker.ErrNoKey) {
			return false, err
		}
	}
	if result.Verdict.Decision == handlers.GiveUp || d.Retry.exhausted(number, d.message.Stored, next) || d.tooLate(next) {
		d.failed.GivenUp = result.Verdict.Message
		if err := d.record.save(d.running, d.failed); err != nil {
			return false, err
		}
		return true, d.giveUp(installation, result, number)
	}
	if d.operation == events.Register {
		err := d.Store.SetRegistration(d.running, installation.WebhookID, installation.ConfigurationRevision,
			store.RegistrationPending, result.Verdict.Message)
		if err != nil {
			return false, err
		}
	}
	return false, d.record.save(d.running, d.failed)
}

// giveUp makes the delivery a dead letter.
func (d *delivery) giveUp(installation store.Installation, result dispatch.Result, number int) error {
	if err := confirmed(d.running, func() error { return d.bury(result.Verdict.Message) }); err != nil {
		return err
	}
	return confirmed(d.running, func() error { return d.finish(installation, result, number) })
}

// tooLate tells whether nobody would hear of an action's output any more.
func (d *delivery) tooLate(next time.Time) bool {
	return d.operation == events.ActionTriggered && next.Sub(d.message.Stored) > store.ActionTimeout
}

// installation finds whom the delivery is for, or says why there is nobody any
// more. The directory may not know yet what was installed or changed a moment
// ago, so what it does not know is looked up, and so is what to register.
func (d *delivery) installation() (found store.Installation, gone string, err error) {
	id := d.message.Lane().Installation()
	found, ok := d.Directory.Installation(id)
	if !ok || d.operation == events.Register {
		found, err = d.Store.Installation(d.running, id)
		if errors.Is(err, client.ErrNotFound) {
			found.WebhookID, found.BotID = id, strings.TrimPrefix(d.event.Source(), "/bots/")
			return found, "its installation was removed", nil
		}
		if err != nil {
			return found, "", err
		}
		if found.Leaving() && d.operation != events.Unregister {
			return found, "its installation is being removed", nil
		}
	}
	if found.Disabled && d.operation != events.Unregister {
		return found, "", fmt.Errorf("installation %s is disabled", id)
	}
	return found, "", nil
}

// beginSend records that the message is about to be sent. It reports true when
// it was sent before: what was acked is never sent again.
func (d *delivery) beginSend(installation store.Installation, number int) (skip bool, err error) {
	var outgoing handlers.Outgoing
	_ = json.Unmarshal(d.event.Data(), &outgoing) // dispatch says what is wrong with it
	if outgoing.Message.ID == "" {
		return false, nil
	}
	sender := client.Caller{BotID: installation.BotID, Alias: installation.Alias}
	message, err := d.Store.BeginSend(d.running, sender, outgoing.Message, number)
	if err != nil {
		return false, err
	}
	if message.Ambiguous > 0 {
		d.log().WithField("ambiguous", message.Ambiguous).Warn("an earlier attempt may have reached the platform, sending again")
	}
	if message.Status != client.Sending {
		d.log().WithField("status", message.Status).Info("message was dealt with before")
		handled := store.Handled{Outcome: store.Finished, Attempts: number - 1}
		if message.Status == client.Failed {
			handled.Outcome = store.DeadLettered
		}
		return true, d.remember(handled)
	}
	return false, nil
}
