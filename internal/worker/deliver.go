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
	"github.com/towpath/towpath/internal/pace"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// delivery is one delivery at work.
type delivery struct {
	*lane
	message   broker.Message
	event     event.Event
	operation events.Operation
	past      store.Delivery // what is known of it
}

// deliver brings one message to its end: when it returns nil, the delivery is
// done, or a dead letter, or was seen before. An error means that somebody has
// to go on with it: later, when it is *held.
func (l *lane) deliver(message broker.Message) error {
	d := &delivery{lane: l, message: message}
	var err error
	if d.event, err = message.Event(); err != nil {
		return d.bury(fmt.Sprintf("it cannot be decoded: %v", err))
	}
	d.operation, _ = events.OperationOf(d.event.Type())
	if d.past, err = d.Store.Delivery(d.running, d.event.ID()); err != nil {
		return err
	}
	if done, err := d.dealtWith(); done || err != nil {
		return err
	}
	for {
		ended, err := d.attempt()
		if ended || err != nil {
			return err
		}
	}
}

// dealtWith tells a delivery that is at its end, or that is at work as another
// message: the platform sent it again. A dead letter that is sent again begins
// anew.
func (d *delivery) dealtWith() (bool, error) {
	if letter := events.Extension(d.event, broker.RetryOf); letter != "" && letter != d.past.RetryOf {
		switch {
		case d.past.Outcome == store.DeadLettered, d.past.Seq == 0:
			d.past.Begin(letter)
		case d.past.GivenUp != "": // about to be the dead letter that this one is a retry of
			return false, &held{until: d.Broker.Now().Add(lookEvery), why: backoff}
		}
	}
	if d.past.Outcome != "" {
		d.log().Info("delivery was handled before")
		d.duplicate()
		return true, nil
	}
	if d.past.Seq == 0 {
		d.past.Stream, d.past.Seq = d.message.Stream, d.message.Seq
	}
	if d.past.Stream != d.message.Stream || d.past.Seq != d.message.Seq {
		d.log().Info("delivery is at work already")
		d.duplicate()
		return true, nil
	}
	return false, nil
}

// duplicate counts a delivery that came again.
func (d *delivery) duplicate() {
	installation, _ := d.Directory.Installation(d.place.Installation)
	d.metrics.duplicates.WithLabelValues(installation.Integration, string(d.operation)).Inc()
}

func (d *delivery) log() *logrus.Entry {
	return d.Logger.WithFields(logrus.Fields{
		"delivery": d.event.ID(), "operation": d.operation, "installation": d.message.Lane().Installation(),
		"queue": d.message.Stream, "seq": d.message.Seq, "worker": d.Name,
	})
}

// save writes down what is known of the delivery. A conflict means that another
// worker is at it too.
func (d *delivery) save() error { return d.Store.SaveDelivery(d.running, d.event.ID(), &d.past) }

// attempt makes one attempt, once it may. It reports whether the delivery is
// at its end.
func (d *delivery) attempt() (ended bool, err error) {
	installation, gone, err := d.installation()
	if err != nil {
		return false, err
	}
	switch {
	case d.past.GivenUp != "":
		gone = d.past.GivenUp
	case gone == "" && d.tooLate():
		gone = "nobody waits for the action's output any more"
	}
	if gone != "" {
		return true, d.giveUp(installation, handlers.Verdict{Decision: handlers.GiveUp, Message: gone})
	}
	if d.past.Begun > d.past.Attempts {
		return d.bereave(installation)
	}
	p, err := d.admit(installation)
	switch {
	case errors.Is(err, errAgain):
		return false, nil
	case errors.Is(err, errDown):
		return true, d.giveUp(installation, handlers.Verdict{Decision: handlers.GiveUp, Message: err.Error()})
	case err != nil:
		return false, err
	}
	defer p.back()
	// It may be another one by now.
	if installation, gone, err = d.installation(); err != nil || gone != "" {
		return false, err
	}
	if err := d.occupy(); err != nil {
		return false, err
	}
	if err := d.begin(); err != nil {
		return false, err
	}
	number := d.past.Begun
	if d.operation == events.MessageCreated {
		if skip, err := d.beginSend(installation); err != nil || skip {
			return skip, err
		}
	}
	if number == 1 {
		d.metrics.waited.WithLabelValues(installation.Integration, string(d.operation)).Observe(d.Broker.Now().Sub(d.message.Stored).Seconds())
	}
	started, began := time.Now(), d.Broker.Now()
	bot, _ := d.Directory.Bot(installation.BotID)
	result := d.Dispatcher.Run(d.running, dispatch.TargetOf(installation, bot.UserID), dispatch.Job{
		Event: d.event, Attempt: number, Replayed: events.Extension(d.event, broker.Replayed) != "",
	})
	p.found = pace.Outcome(result.Platform)
	d.recordAttempt(result.Recording, began)
	switch {
	case result.Interrupted:
		d.log().WithError(context.Cause(d.running)).Info("attempt cut short, it does not count")
		return false, d.interrupted(installation)
	case errors.Is(result.Err, broker.ErrUnavailable) && !d.Broker.Connected():
		d.log().WithError(result.Err).Info("attempt cut short because NATS is away, it does not count")
		return false, confirmed(d.running, func() error { return d.takeBack(d.running, installation) })
	}
	d.metrics.attempt(installation.Integration, d.operation, result.Verdict.Decision, time.Since(started))
	entry := d.log().WithFields(logrus.Fields{
		"attempt": number, "ms": time.Since(started).Milliseconds(), "decision": result.Verdict.Decision,
	})
	if result.Verdict.Decision == handlers.Done {
		entry.Info("delivery done")
		d.past.Attempts = number
		// What comes after the handler is repeated, so that the handler is not.
		return true, confirmed(d.running, func() error { return d.finish(installation, result) })
	}
	if panicked, ok := errors.AsType[*handlers.PanicError](result.Err); ok {
		entry = entry.WithField("stack", string(panicked.Stack))
	}
	entry.WithError(result.Err).Warn("attempt failed")
	cut := result.Ambiguous || result.TimedOut || errors.Is(result.Err, broker.ErrUnavailable)
	return d.failed(installation, result.Verdict, result.Err, cut)
}

// begin writes down that an attempt begins.
func (d *delivery) begin() error {
	d.past.Begun, d.past.Worker = d.past.Attempts+1, d.Name
	d.past.Runs, d.past.Run = d.past.Runs+1, events.NewID("run")
	return d.commit(d.running)
}

// commit writes down what is known of the delivery, and repeats that until NATS
// confirms it: an attempt of whose beginning or end only this worker knew would
// count as one that died. It is [broker.ErrConflict] when another worker is at
// the delivery too.
func (d *delivery) commit(ctx context.Context) error {
	return confirmed(ctx, func() error {
		err := d.Store.SaveDelivery(ctx, d.event.ID(), &d.past)
		if !errors.Is(err, broker.ErrConflict) {
			return err
		}
		now, reading := d.Store.Delivery(ctx, d.event.ID())
		if reading == nil && now.Run == d.past.Run && now.Begun == d.past.Begun && now.Attempts == d.past.Attempts {
			d.past.Replace(now) // it was written, and only that was not told
			return nil
		}
		return errors.Join(reading, err)
	})
}

// interrupted takes back an attempt that was cut short from outside. Where that
// cannot be written down, whoever goes on takes it for one that died.
func (d *delivery) interrupted(installation store.Installation) error {
	if errors.Is(context.Cause(d.running), broker.ErrLeaseLost) {
		return errHandedOver
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(d.running), busyFor)
	defer cancel()
	if err := confirmed(bounded, func() error { return d.takeBack(bounded, installation) }); err != nil {
		d.log().WithError(err).Debug("the attempt cannot be taken back")
	}
	return errHandedOver
}

// takeBack makes an attempt one that was never made, since its end says nothing
// about the delivery. What it sent stays uncertain.
func (d *delivery) takeBack(ctx context.Context, installation store.Installation) error {
	if d.operation == events.MessageCreated {
		ambiguous, err := d.Store.MarkAmbiguous(ctx, installation.BotID, d.event.ID(), d.past.Runs)
		if err != nil {
			return err
		}
		d.past.Uncertain = d.past.Uncertain || ambiguous
	}
	d.past.Begun = d.past.Attempts
	return d.commit(ctx)
}

// conduct is how the integration wants the operation carried out.
func (d *delivery) conduct(installation store.Installation) handlers.Conduct {
	installed, _, err := d.Dispatcher.Installations.Resolve(dispatch.TargetOf(installation, ""))
	if err != nil {
		return handlers.Conduct{} // the attempt says what is wrong
	}
	return installed.Conduct(d.operation, d.channel())
}

// channel is the one that an outgoing message goes to.
func (d *delivery) channel() string {
	if d.operation != events.MessageCreated {
		return ""
	}
	var outgoing struct {
		Conversation struct {
			Channel string `json:"channel"`
		} `json:"conversation"`
	}
	_ = json.Unmarshal(d.event.Data(), &outgoing) // dispatch says what is wrong with it
	return outgoing.Conversation.Channel
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
	return found, "", nil
}

// beginSend records that the message is about to be sent. It reports true when
// it was sent before: what was acked is never sent again.
func (d *delivery) beginSend(installation store.Installation) (skip bool, err error) {
	var outgoing handlers.Outgoing
	_ = json.Unmarshal(d.event.Data(), &outgoing) // dispatch says what is wrong with it
	if outgoing.Message.ID == "" {
		return false, nil
	}
	sender := client.Caller{BotID: installation.BotID, Alias: installation.Alias}
	attempt := store.Attempt{Number: d.past.Runs, Run: d.past.Run, Again: d.past.RetryOf != ""}
	var message client.Message
	err = confirmed(d.running, func() error {
		message, err = d.Store.BeginSend(d.running, sender, outgoing.Message, attempt)
		return err
	})
	if err != nil {
		return false, err
	}
	if message.Ambiguous > 0 {
		d.log().WithField("ambiguous", message.Ambiguous).Warn("an earlier attempt may have reached the platform, sending again")
	}
	if message.Status != client.Sending {
		d.log().WithField("status", message.Status).Info("message was dealt with before")
		d.past.Outcome = store.Finished
		if message.Status == client.Failed {
			d.past.Outcome = store.DeadLettered
		}
		return true, d.remember()
	}
	return false, nil
}
