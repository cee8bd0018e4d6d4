package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// What was put into a statement does not get into its span by way of an error, which repeats it. The code does.
func TestErrorOfAStatementHasNoText(t *testing.T) {
	t.Parallel()
	const person = "jane@example.org"
	refused := &pgconn.PgError{Severity: "ERROR", Code: "22P02", Message: "invalid input syntax for type uuid: " + person}
	for name, err := range map[string]error{
		"refused":    fmt.Errorf("load order: %w", refused),
		"not read":   errors.New("cannot scan " + person),
		"in time":    fmt.Errorf("%s: %w", person, context.DeadlineExceeded),
		"not waited": fmt.Errorf("%s: %w", person, context.Canceled),
		"nothing":    nil,
		"not there":  pgx.ErrNoRows,
	} {
		ended := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
		s := statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(provider))}
		ctx, _ := provider.Tracer("test").Start(t.Context(), "method")
		s.TraceQueryEnd(s.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: "SELECT 1"}), nil, pgx.TraceQueryEndData{Err: err})
		batch := s.TraceBatchStart(ctx, nil, pgx.TraceBatchStartData{Batch: &pgx.Batch{}})
		s.TraceBatchQuery(batch, nil, pgx.TraceBatchQueryData{SQL: "SELECT 1", Err: err})
		s.TraceBatchEnd(batch, nil, pgx.TraceBatchEndData{Err: err})
		if got := len(ended.Ended()); got != 3 {
			t.Fatalf("%s: there are %d spans, want 3", name, got)
		}
		for _, span := range ended.Ended() {
			if said := fmt.Sprint(span.Status(), span.Attributes(), span.Events()); strings.Contains(said, person) {
				t.Errorf("%s: %s says %s", name, span.Name(), said)
			}
			if failed := err != nil && !errors.Is(err, pgx.ErrNoRows); failed != (span.Status().Code == codes.Error) {
				t.Errorf("%s: the status of %s is %v", name, span.Name(), span.Status())
			}
			if errors.Is(err, refused) && !slices.Contains(span.Attributes(), otelpgx.SQLStateKey.String("22P02")) {
				t.Errorf("%s: %s does not say the code: %v", name, span.Name(), span.Attributes())
			}
		}
	}
}
