package ops_test

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/towpath/towpath/internal/ops"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestSpansGoWhereTheTraceparentSays(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := ops.Provider("test", sdk.WithSyncer(kept))
	tracer := provider.Tracer("test")
	end := func(_ context.Context, span trace.Span) { ops.End(span, nil) }
	end(tracer.Start(ops.As(t.Context(), parent), "root"))
	end(tracer.Start(ops.Within(t.Context(), parent), "child"))
	end(tracer.Start(ops.Within(t.Context(), "nonsense"), "other"))
	end(tracer.Start(ops.As(t.Context(), ""), "another"))
	root, child, other, another := kept.GetSpans()[0], kept.GetSpans()[1], kept.GetSpans()[2], kept.GetSpans()[3]
	const id = "0af7651916cd43dd8448eb211c80319c"
	if root.SpanContext.TraceID().String() != id || root.SpanContext.SpanID().String() != "b7ad6b7169203331" || root.Parent.IsValid() {
		t.Errorf("the root is %v of %v", root.SpanContext, root.Parent)
	}
	if child.SpanContext.TraceID() != root.SpanContext.TraceID() || child.Parent.SpanID() != root.SpanContext.SpanID() || child.SpanContext.SpanID() == root.SpanContext.SpanID() {
		t.Errorf("the child is %v of %v", child.SpanContext, child.Parent)
	}
	for _, stray := range []tracetest.SpanStub{other, another} {
		if !stray.SpanContext.IsValid() || stray.Parent.IsValid() || stray.SpanContext.TraceID().String() == id {
			t.Errorf("what follows from nothing is %v of %v", stray.SpanContext, stray.Parent)
		}
	}
}
