package telemetry

import (
	"context"
	"database/sql"
	"errors"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/trace"
)

// Statements returns what makes spans of the statements of recorded traces, with their text and without what was put into it, also where
// an error repeats that; nil if no spans are made.
func (t *Telemetry) Statements() pgx.QueryTracer {
	if t.traces == nil {
		return nil
	}
	return statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(t.traces))}
}

// statements leaves alone what belongs to no recorded trace, for which otelpgx would look at the clock. It has no spans for connections
// and plans, whose number says nothing of the request.
type statements struct{ tracer *otelpgx.Tracer }

// withoutText returns an error that says as much as an operator needs who looks at traces: PostgreSQL's code. Its text may be of a person,
// as in: invalid input syntax for type uuid: "jane@example.org".
func withoutText(err error) error {
	var refused *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows): // By which otelpgx knows that nothing is wrong.
		return err
	case errors.As(err, &refused):
		return &pgconn.PgError{Severity: refused.Severity, Message: "refused", Code: refused.Code}
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errFailed
}

var errFailed = errors.New("failed")

func traced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }

func (s statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return s.tracer.TraceQueryStart(ctx, conn, data)
}

func (s statements) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if traced(ctx) {
		data.Err = withoutText(data.Err)
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
		data.Err = withoutText(data.Err)
		s.tracer.TraceBatchQuery(ctx, conn, data)
	}
}

func (s statements) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if traced(ctx) {
		data.Err = withoutText(data.Err)
		s.tracer.TraceBatchEnd(ctx, conn, data)
	}
}
