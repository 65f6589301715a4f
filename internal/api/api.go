// Package api serves the operations of the client package over HTTP, the way
// Botpress does, so that its client works unchanged.
//
// The routes are read off the table of operations. What a caller sees of an
// error is a [client.Error], always, since Botpress's client understands
// nothing else; what it does not say goes to the log under the error's id.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// MaxBody is how large a request's body may be, in bytes.
const MaxBody = 1 << 20

// retryAfter is what a caller that is turned away is told to wait, in seconds.
const retryAfter = "1"

// Config is what the API works with; fields are required unless they say so.
type Config struct {
	Backend   client.Backend   // carries the operations out
	Directory *store.Directory // knows the bots and their tokens
	// Connected tells whether the backend can work now; when it cannot,
	// requests are turned away before anything is done.
	Connected func() bool
	Logger    *logrus.Logger
	Admin     *Admin       // may be nil: then there are no admin routes
	Tracer    trace.Tracer // may be nil: then nothing is traced
}

type api struct{ Config }

// New returns the handler of everything under /v1/.
func New(config Config) http.Handler {
	a := &api{config}
	if a.Tracer == nil {
		a.Tracer = noop.Tracer{}
	}
	byPath := map[string]map[string]*client.Operation{}
	for _, operation := range client.Operations() {
		if byPath[operation.Path] == nil {
			byPath[operation.Path] = map[string]*client.Operation{}
		}
		byPath[operation.Path][operation.Method] = operation
	}
	// Patterns name no methods: the mux would answer a wrong one by itself,
	// and not in JSON.
	mux := http.NewServeMux()
	for pattern, methods := range byPath {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.route(w, r, methods) })
	}
	if config.Admin != nil {
		mux.HandleFunc("/v1/admin/bots/{id}", a.bot)
		mux.HandleFunc("/v1/admin/bots/{id}/logs", a.look(a.logs))
		mux.HandleFunc("/v1/admin/bots/{id}/usage", a.look(a.usage))
	}
	mux.HandleFunc("/", a.unknownPath)
	return a.recovered(func(w http.ResponseWriter, r *http.Request) {
		if !isClean(r.URL.EscapedPath()) {
			a.unknownPath(w, r) // the mux would redirect
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func isClean(escaped string) bool {
	clean := path.Clean(escaped)
	return escaped == clean || escaped == clean+"/"
}

func (a *api) unknownPath(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, r, client.NewError(client.ResourceNotFound, "path %s not found", r.URL.EscapedPath()))
}

func (a *api) route(w http.ResponseWriter, r *http.Request, methods map[string]*client.Operation) {
	operation, ok := methods[r.Method]
	if !ok {
		allowed := make([]string, 0, len(methods))
		for method := range methods {
			allowed = append(allowed, method)
		}
		slices.Sort(allowed)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		a.refuse(w, r, client.NewError(client.MethodNotFound, "%s takes %s, not %s", r.URL.EscapedPath(), strings.Join(allowed, " and "), r.Method))
		return
	}
	out, err := a.do(w, r, operation)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	write(w, operation.Status, body)
}

func (a *api) do(w http.ResponseWriter, r *http.Request, operation *client.Operation) (any, error) {
	if !a.Directory.Ready() || !a.Connected() {
		return nil, away(broker.ErrUnavailable)
	}
	caller, err := a.authenticate(r)
	if err != nil {
		return nil, err
	}
	if r.ContentLength > MaxBody {
		return nil, client.NewError(client.PayloadTooLarge, "request body is larger than %d bytes", MaxBody)
	}
	in, err := client.DecodeInput(operation, r.PathValue, r.URL.Query(), http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, err
	}
	call := client.Call{
		Operation: operation, Caller: caller,
		Delivery: client.Delivery{TraceParent: r.Header.Get("Traceparent")},
	}
	if operation.Effect {
		call.Identity = r.Header.Get("Idempotency-Key")
	}
	out := operation.NewOutput()
	ctx, span := a.Tracer.Start(ops.Within(r.Context(), call.Delivery.TraceParent), "API "+operation.Name,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("towpath.bot", caller.BotID)))
	err = a.Backend.Do(ctx, call, in, out)
	ops.End(span, err)
	if err != nil {
		return nil, repeatable(call, err)
	}
	return out, nil
}

// repeatable turns an outage into an answer that makes the caller repeat, but
// only where that cannot do anything twice. Botpress's client repeats a POST
// after 429, and not after 500.
func repeatable(call client.Call, err error) error {
	safe := !call.Operation.Effect || call.Identity != "" || errors.Is(err, broker.ErrFull)
	passes := errors.Is(err, broker.ErrUnavailable) || errors.Is(err, broker.ErrFull) || errors.Is(err, broker.ErrNotProvisioned)
	if passes && safe && !errors.Is(err, context.Canceled) {
		return away(err)
	}
	return err
}

// outage is an error that ends by itself.
type outage struct{ fault, cause error }

func (o *outage) Error() string   { return o.fault.Error() + ": " + o.cause.Error() }
func (o *outage) Unwrap() []error { return []error{o.fault, o.cause} }

func away(cause error) error {
	return &outage{client.NewError(client.RateLimited, "the server cannot take this now; send it again"), cause}
}
