package saga

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

func newDurations(module string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "cleave_saga_step_duration_seconds", Buckets: rpc.CallBuckets, ConstLabels: prometheus.Labels{"module": module},
		Help: "How long runs of the steps of sagas took, without what is written down after them, by kind, step and outcome.",
	}, []string{"kind", "step", "outcome"})
}

// Metrics returns the metrics of the steps that this process runs.
func (c *Client) Metrics() prometheus.Collector { return c.durations }

// Names of attributes of the span of a step.
const (
	attrID      = attribute.Key("cleave.saga.id")
	attrKind    = attribute.Key("cleave.saga.kind")
	attrStep    = attribute.Key("cleave.saga.step")
	attrUndo    = attribute.Key("cleave.saga.undo")
	attrAttempt = attribute.Key("cleave.saga.attempt")
	attrOutcome = attribute.Key("cleave.saga.outcome")
)

// startStep begins the span of one run of a step, with its boundary. Every run is a child of what began the saga, whichever process it is
// in: a span for all of the saga would be lost with the process that began it.
func startStep(ctx context.Context, r *row, a course.Action) (context.Context, trace.Span) {
	name, way := r.Steps[a.Step].Name, "do"
	if a.Undo {
		way = "undo"
	}
	return rpc.StartSpan(ctx, way+" "+r.kind+"/"+name, trace.WithAttributes(attrID.String(r.id), attrKind.String(r.kind), attrStep.String(name),
		attrUndo.Bool(a.Undo), attrAttempt.Int(r.Attempt+1)))
}
