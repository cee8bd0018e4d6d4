package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is how often it is said that something still cannot be sent.
const complainEvery = 10 * time.Minute

// report says once that something cannot be sent, and when it can be again.
type report struct {
	log  *slog.Logger
	what string

	mu      sync.Mutex
	failing bool
	said    time.Time
}

func (t *Telemetry) report(what string) *report { return &report{log: t.log, what: what} }

// failed says what went wrong, unless that is no news.
func (r *report) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing && time.Since(r.said) < complainEvery {
		return
	}
	r.failing, r.said = true, time.Now()
	r.log.Warn("telemetry cannot be sent, and is dropped until it can: see OTEL_EXPORTER_OTLP_ENDPOINT", "what", r.what, "error", err)
}

// ended takes note of how it went to send something. The error is nil: it has been reported.
func (r *report) ended(err error) error {
	if err != nil {
		r.failed(err)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing {
		r.failing = false
		r.log.Info("telemetry is sent again", "what", r.what)
	}
	return nil
}

// The exporters, with reports of how they get on.
type (
	reportingSpans struct {
		sdktrace.SpanExporter
		*report
	}
	reportingMetrics struct {
		sdkmetric.Exporter
		*report
	}
	reportingLogs struct {
		sdklog.Exporter
		*report
	}
)

func (r reportingSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return r.ended(r.SpanExporter.ExportSpans(ctx, spans))
}

func (r reportingMetrics) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	return r.ended(r.Exporter.Export(ctx, metrics))
}

func (r reportingLogs) Export(ctx context.Context, records []sdklog.Record) error {
	return r.ended(r.Exporter.Export(ctx, records))
}
