package ops

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// endpoints are the variables of OpenTelemetry that say where spans go.
var endpoints = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// Tracing returns a component's ("worker") tracer, and what sends the last
// spans and ends it. Spans go over OTLP, by HTTP, to where OpenTelemetry's own
// variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT; without them nothing is
// traced.
func Tracing(ctx context.Context, component string) (tracer trace.Tracer, stop func(context.Context) error, err error) {
	wanted := false
	for _, name := range endpoints {
		wanted = wanted || os.Getenv(name) != ""
	}
	if !wanted {
		return noop.Tracer{}, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("trace to %s: %w", endpoints[0], err)
	}
	provider := Provider(component, sdk.WithBatcher(exporter))
	return provider.Tracer(module), provider.Shutdown, nil
}

// Provider makes a component's tracers. Its traces have the ids that
// [As] gives them.
func Provider(component string, options ...sdk.TracerProviderOption) *sdk.TracerProvider {
	version, _ := build()
	described, err := resource.Merge(resource.Default(), resource.NewSchemaless(
		attribute.String("service.name", "towpath-"+component), attribute.String("service.version", version)))
	if err != nil {
		described = resource.Default() // two schemas that do not fit: the name is lost, the spans are not
	}
	return sdk.NewTracerProvider(append(options, sdk.WithIDGenerator(given{}), sdk.WithResource(described))...)
}

// Within returns a context whose spans follow from a traceparent; one that is
// none is passed over.
func Within(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

type rootKey struct{}

// As returns a context whose next span, a new root, is the one that a
// traceparent names, so that what is stored with it follows from that span.
func As(ctx context.Context, traceparent string) context.Context {
	named := trace.SpanContextFromContext(Within(context.Background(), traceparent))
	return context.WithValue(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), rootKey{}, named)
}

// given makes random ids but for spans that are named before they begin.
type given struct{}

// NewIDs implements the SDK's generator of ids.
func (g given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if named, ok := ctx.Value(rootKey{}).(trace.SpanContext); ok && named.IsValid() {
		return named.TraceID(), named.SpanID()
	}
	var id trace.TraceID
	for i := range id {
		id[i] = byte(rand.IntN(256))
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements the SDK's generator of ids.
func (given) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		for i := range id {
			id[i] = byte(rand.IntN(256))
		}
	}
	return id
}

// End ends a span with what became of it.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(time.Now()))
}
