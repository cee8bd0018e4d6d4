package telemetry

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
)

// Statements returns what makes spans of the statements of recorded traces, with their text and without what was put into it; nil if no
// spans are made.
func (t *Telemetry) Statements() pgx.QueryTracer {
	if t.traces == nil {
		return nil
	}
	return statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(t.traces))}
}

// statements leaves alone what belongs to no recorded trace, for which otelpgx would look at the clock. It has no spans for connections
// and plans, whose number says nothing of the request.
type statements struct{ tracer *otelpgx.Tracer }

func traced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }

func (s statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return s.tracer.TraceQueryStart(ctx, conn, data)
}

func (s statements) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if traced(ctx) {
		s.tracer.TraceQueryEnd(ctx, conn, data)
	}
}

func (s statements) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return s.tracer.TraceBatchStart(ctx, conn, data)
}

func (s statements) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if traced(ctx) {
		s.tracer.TraceBatchQuery(ctx, conn, data)
	}
}

func (s statements) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if traced(ctx) {
		s.tracer.TraceBatchEnd(ctx, conn, data)
	}
}
