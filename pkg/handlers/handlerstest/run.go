package handlerstest

import (
	"encoding/json"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Run lets the integration carry out one operation with data as it is stored,
// such as events.MessageUpdated with a handlers.MessageUpdate.
func (k *Kit) Run(operation events.Operation, data any) Outcome {
	k.tb.Helper()
	return k.attempt(k.job(events.NewID("op"), operation, "/bots/"+k.target.BotID, "", k.encode(data)))
}

// Action runs an action with what input is in JSON; a string may be the JSON
// itself.
func (k *Kit) Action(name string, input any) Outcome {
	k.tb.Helper()
	return k.Run(events.ActionTriggered, events.ActionCall{Type: name, Input: k.encode(input)})
}

// Register registers the installation, with its webhook at [WebhookURL].
func (k *Kit) Register() Outcome {
	k.tb.Helper()
	return k.Run(events.Register, events.Registration{WebhookURL: WebhookURL})
}

// Unregister undoes what Register did.
func (k *Kit) Unregister() Outcome {
	k.tb.Helper()
	return k.Run(events.Unregister, events.Registration{WebhookURL: WebhookURL})
}

// Ping asks whether the integration can do its job.
func (k *Kit) Ping() Outcome {
	k.tb.Helper()
	return k.Run(events.Ping, struct{}{})
}

// Retry makes another attempt at the same deliveries, as a worker does when
// one failed, and when a worker died before it had written down that it
// succeeded: what handlers make is not made twice.
func (k *Kit) Retry(before Outcome) Outcome {
	k.tb.Helper()
	if len(before.jobs) == 0 {
		k.tb.Fatal("nothing ran that could be tried again")
	}
	jobs := make([]dispatch.Job, len(before.jobs))
	for i, job := range before.jobs {
		job.Attempt++
		jobs[i] = job
	}
	return k.attempt(jobs...)
}

func (k *Kit) job(id string, operation events.Operation, source, key string, data json.RawMessage) dispatch.Job {
	return dispatch.Job{Event: events.New(id, source, operation.CloudEventType(), key, k.now(), data), Attempt: 1}
}

// attempt runs jobs one by one and gathers what came of them.
func (k *Kit) attempt(jobs ...dispatch.Job) Outcome {
	k.tb.Helper()
	arrived := len(k.Platform.Requests())
	o := Outcome{Status: 200, Verdict: handlers.Verdict{Decision: handlers.Done}, jobs: jobs}
	for _, job := range jobs {
		result := k.one(job, &o)
		if result.Verdict.Decision != handlers.Done {
			o.Verdict, o.Err = result.Verdict, result.Err
		}
		if result.Response != nil {
			o.Response = result.Response
		}
		o.Action, o.Ambiguous = result.Action, o.Ambiguous || result.Ambiguous
		if operation, _ := events.OperationOf(job.Event.Type()); operation == events.WebhookReceived {
			o.Parts = append(o.Parts, Part{
				Part:       handlers.Part{ID: events.Extension(job.Event, providerID), Key: job.Event.Subject()},
				DeliveryID: job.Event.ID(), Verdict: result.Verdict, Err: result.Err,
			})
		}
	}
	note(&o, k.journal.take())
	o.Requests, o.Told = k.Requests(), k.log.take()
	o.Requests = o.Requests[min(arrived, len(o.Requests)):]
	said := o.Verdict.Message
	if o.Err != nil {
		said += " " + o.Err.Error()
	}
	k.log.watch(k.tb, said)
	return o
}

// one runs one job, between what a worker writes down before and after a send.
func (k *Kit) one(job dispatch.Job, o *Outcome) dispatch.Result {
	k.tb.Helper()
	operation, _ := events.OperationOf(job.Event.Type())
	if operation != events.MessageCreated {
		return k.dispatcher.Run(k.tb.Context(), k.target, job)
	}
	var out handlers.Outgoing
	if err := json.Unmarshal(job.Event.Data(), &out); err != nil {
		k.tb.Fatal(err)
	}
	ctx, bot := k.tb.Context(), k.target.BotID
	done := dispatch.Result{Verdict: handlers.Verdict{Decision: handlers.Done}}
	begun, err := k.store.BeginSend(ctx, k.Client.Caller(), out.Message, store.Attempt{Number: job.Attempt, Run: events.NewID("run")})
	if err != nil {
		k.tb.Fatal(err)
	}
	if o.Message = begun; begun.Status != client.Sending {
		o.Skipped = true
		return done
	}
	result := k.dispatcher.Run(ctx, k.target, job)
	switch result.Verdict.Decision {
	case handlers.Done:
		err = k.store.FinishSend(ctx, bot, out.Message.ID, client.Sent)
	case handlers.GiveUp:
		err = k.store.FinishSend(ctx, bot, out.Message.ID, client.Failed)
	default: // it goes on
	}
	if err == nil && result.Ambiguous {
		_, err = k.store.MarkAmbiguous(ctx, bot, out.Message.ID, job.Attempt)
	}
	stands, getting := k.Client.GetMessage(ctx, out.Message.ID)
	if err != nil || getting != nil {
		k.tb.Fatal(err, getting)
	}
	o.Message = stands.Message
	return result
}
