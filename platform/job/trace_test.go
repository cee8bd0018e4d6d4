package job

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A job that is put off has not failed, in its trace as little as in its figures.
func TestSpanOfAJobThatIsPutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"done":    {nil, codes.Unset},
		"put off": {fmt.Errorf("wait: %w", river.JobSnooze(time.Minute)), codes.Unset},
		"failed":  {errors.New("does not taste"), codes.Error},
	} {
		ended := tracetest.NewSpanRecorder()
		_, span := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("test").Start(t.Context(), "process")
		endSpan(span, c.err)
		if got := ended.Ended()[0].Status().Code; got != c.want {
			t.Errorf("%s: the span is %s, want %s", name, got, c.want)
		}
	}
}
