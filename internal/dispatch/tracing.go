package dispatch

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// span begins the span of an attempt, which follows from whatever caused the
// delivery.
func (d *Dispatcher) span(ctx context.Context, target Target, operation events.Operation, job Job) (context.Context, trace.Span) {
	return d.tracer().Start(ops.Within(ctx, events.TraceParentOf(job.Event)), string(operation)+" "+target.Integration,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("towpath.delivery", job.Event.ID()), attribute.Int("towpath.attempt", job.Attempt),
			attribute.String("towpath.bot", target.BotID), attribute.String("towpath.installation", target.WebhookID),
		))
}

func (d *Dispatcher) tracer() trace.Tracer {
	if d.Tracer == nil {
		return noop.Tracer{}
	}
	return d.Tracer
}

// tracedBackend is a backend whose calls are spans.
type tracedBackend struct {
	client.Backend
	tracer trace.Tracer
}

// Do implements client.Backend.
func (b tracedBackend) Do(ctx context.Context, call client.Call, in, out any) error {
	ctx, span := b.tracer.Start(ctx, "client "+call.Operation.Name)
	err := b.Backend.Do(ctx, call, in, out)
	ops.End(span, err)
	return err
}

// tracedTransport is a transport whose exchanges are spans. Only the host is
// told: some platforms carry the token in the path.
type tracedTransport struct {
	http.RoundTripper
	tracer trace.Tracer
}

// RoundTrip implements http.RoundTripper.
func (t tracedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(request.Context(), request.Method+" "+request.URL.Host, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", request.Method), attribute.String("server.address", request.URL.Host)))
	response, err := t.RoundTripper.RoundTrip(request.WithContext(ctx))
	if err != nil {
		ops.End(span, discreet{err})
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	ops.End(span, nil)
	return response, nil
}
