package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Target is the installation that an operation is for.
type Target struct {
	BotID             string
	BotUserID         string
	Integration       string
	Alias             string
	WebhookID         string
	ConfigurationType string
	Configuration     json.RawMessage
}

// TargetOf returns the target of an installation.
func TargetOf(i store.Installation, botUserID string) Target {
	return Target{
		BotID: i.BotID, BotUserID: botUserID, Integration: i.Integration, Alias: i.Alias, WebhookID: i.WebhookID,
		ConfigurationType: i.ConfigurationType, Configuration: i.Configuration,
	}
}

// Job is one attempt at one operation.
type Job struct {
	Event    event.Event // its id is the delivery's
	Attempt  int         // from 1
	Replayed bool
}

// Result is how an attempt ended.
type Result struct {
	Verdict handlers.Verdict
	// Err is what the verdict was made of, for the log; nil when done.
	Err error
	// Interrupted means that the attempt was cut short from outside. It says
	// nothing about the handler and must not count as an attempt.
	Interrupted bool
	// TimedOut means that the handler was cut short because it took too long.
	TimedOut bool
	// Ambiguous means that nobody knows whether the platform took what was
	// sent: the connection broke, or time ran out, while it might have.
	Ambiguous bool
	// Platform is what the attempt found out about the platform's health. One
	// that was interrupted found out nothing.
	Platform Health
	// Recording is what the handler asked for and was told.
	Recording Recording
	Response  *events.Response       // of a webhook
	Action    *handlers.ActionResult // of an action
}

// Dispatcher runs operations. Its fields are required but for Timeout.
type Dispatcher struct {
	Installations *Installations
	Backend       client.Backend
	Logger        *logrus.Logger
	// OwnerLog takes what handlers write for the bot's owner, at every level;
	// Logger does when it is nil.
	OwnerLog *logrus.Logger
	// Secrets finds the secrets of integrations; none are found when nil.
	Secrets Secrets
	// Transport carries what handlers send; http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Tracer traces attempts, what they ask for and what they send; nothing is
	// traced when it is nil.
	Tracer trace.Tracer
	// Timeout bounds one attempt; 60 s when zero, as on Botpress.
	Timeout time.Duration
}

const defaultTimeout = 60 * time.Second

// errTimeout is the cause with which an attempt that takes too long ends.
var errTimeout = errors.New("the handler took too long")

// Run runs one attempt. It returns when the handler does; when ctx ends, the
// handler's context does.
func (d *Dispatcher) Run(ctx context.Context, target Target, job Job) (result Result) {
	operation, ok := events.OperationOf(job.Event.Type())
	if !ok {
		return judged(handlers.Permanent(fmt.Errorf("%s is no operation", job.Event.Type())))
	}
	installed, definition, err := d.Installations.Resolve(target)
	if err != nil {
		return judged(err)
	}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	spanned, span := d.span(ctx, target, operation, job)
	defer func() { ops.End(span, result.Err) }()
	bounded, cancel := context.WithTimeoutCause(spanned, timeout, errTimeout)
	defer cancel()
	exchanges := &transport{next: d.Transport, logger: d.Logger}
	keeper := newRecorder(definition.SecretsIn(target.ConfigurationType, target.Configuration))
	base := d.base(target, definition, operation, job, keeper, exchanges)
	err = recovered(func() error {
		result, err = run(bounded, installed, base, operation, job.Event.Data())
		return err
	})
	defer func() { result.Recording = keeper.finish(target, operation, job, result) }()
	if err == nil {
		result.Verdict = handlers.Verdict{Decision: handlers.Done}
		result.Platform = exchanges.health()
		return result
	}
	timedOut := errors.Is(context.Cause(bounded), errTimeout)
	if timedOut && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %s: %w", errTimeout, timeout, err)
	}
	result = judged(err)
	result.Interrupted, result.TimedOut = ctx.Err() != nil, timedOut
	result.Ambiguous = exchanges.unanswered.Load() > 0
	if !result.Interrupted {
		result.Platform = exchanges.health()
	}
	return result
}

func judged(err error) Result { return Result{Verdict: handlers.Judge(err), Err: discreet{err}} }

func (d *Dispatcher) base(target Target, definition handlers.Definition, operation events.Operation, job Job, keeper *recorder, exchanges *transport) handlers.Base {
	caller := client.Caller{BotID: target.BotID, IntegrationID: definition.IntegrationID(), Alias: target.Alias}
	backend := recorded{tracedBackend{&declaredOnly{Backend: d.Backend, definition: definition}, d.tracer()}, keeper}
	cause := events.TraceParentOf(job.Event)
	if cause == "" {
		cause = events.TraceParent(job.Event.ID(), job.Attempt)
	}
	return handlers.Base{
		Identity: handlers.Identity{
			BotID: target.BotID, BotUserID: target.BotUserID, IntegrationID: caller.IntegrationID,
			IntegrationAlias: target.Alias, WebhookID: target.WebhookID, Operation: operation,
			ConfigurationType: target.ConfigurationType,
		},
		Client: client.New(backend, caller).ForDelivery(client.Delivery{
			ID: job.Event.ID(), Time: job.Event.Time(), TraceParent: cause,
		}),
		HTTP: &http.Client{Transport: exchanged{tracedTransport{exchanges, d.tracer()}, keeper}},
		Logger: d.log(logrus.Fields{
			"delivery": job.Event.ID(), "attempt": job.Attempt, "bot": target.BotID, "alias": target.Alias,
		}),
		Secret:   d.Secrets.Of(definition.Name),
		Delivery: handlers.Delivery{ID: job.Event.ID(), Attempt: job.Attempt, Replayed: job.Replayed},
	}
}

func (d *Dispatcher) log(fields logrus.Fields) handlers.Logger {
	logger := handlers.Logger{Entry: d.Logger.WithFields(fields)}
	if d.OwnerLog != nil {
		logger.Owner = d.OwnerLog.WithFields(fields)
	}
	return logger
}

// run decodes the operation's data and calls the handler.
func run(ctx context.Context, installed handlers.Installed, base handlers.Base, operation events.Operation, data []byte) (Result, error) {
	switch operation {
	case events.WebhookReceived:
		webhook, err := decode[events.Webhook](data)
		if err == nil && webhook.Req == nil {
			err = handlers.Permanent(errors.New("decode webhook: it has no req"))
		}
		if err != nil {
			return Result{}, err
		}
		response, err := installed.Webhook(ctx, base, webhook.Req)
		return Result{Response: response}, err
	case events.MessageCreated:
		message, err := decode[handlers.Outgoing](data)
		if err != nil {
			return Result{}, err
		}
		return Result{}, installed.Message(ctx, base, message)
	case events.ActionTriggered:
		call, err := decode[events.ActionCall](data)
		if err != nil {
			return Result{}, err
		}
		output, err := installed.Action(ctx, base, call.Type, call.Input)
		return Result{Action: &output}, err
	case events.Register, events.Unregister:
		registration, err := decode[events.Registration](data)
		if err != nil {
			return Result{}, err
		}
		if operation == events.Register {
			return Result{}, installed.Register(ctx, base, registration.WebhookURL)
		}
		return Result{}, installed.Unregister(ctx, base, registration.WebhookURL)
	case events.MessageUpdated:
		update, err := decode[handlers.MessageUpdate](data)
		if err != nil {
			return Result{}, err
		}
		return Result{}, installed.MessageUpdated(ctx, base, update)
	case events.ConversationUpdated:
		update, err := decode[handlers.ConversationUpdate](data)
		if err != nil {
			return Result{}, err
		}
		return Result{}, installed.ConversationUpdated(ctx, base, update)
	case events.Ping:
		return Result{}, installed.Ping(ctx, base)
	default:
		return Result{}, handlers.Permanent(fmt.Errorf("operation %s is not supported by this build", operation))
	}
}

func decode[T any](data []byte) (T, error) {
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		return value, handlers.Permanent(fmt.Errorf("decode operation: %w", err))
	}
	return value, nil
}

// recovered turns a panic into an error.
func recovered(fn func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &handlers.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return fn()
}
