package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/cleave-go/cleave/platform/config"
)

// flushTime bounds how long a process that stops waits for the collector to take the metrics, and after that all else, within the time that
// it has for all.
const flushTime = 3 * time.Second

// Telemetry is what a process sends.
type Telemetry struct {
	traces  *sdktrace.TracerProvider // Nil if there are none.
	metrics *sdkmetric.MeterProvider // Nil if they are not sent.
	logs    *sdklog.LoggerProvider   // Nil if they are not sent.
	log     *slog.Logger
}

// Start begins to send what the settings say. The service is called as given, unless they name it. What cannot be sent is said in the log,
// once, and dropped: a collector that is away delays nobody.
func Start(ctx context.Context, values config.Values, service string, metrics prometheus.Gatherer, log *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{log: log}
	traces, measures, logs := wanted(values)
	if !traces && !measures && !logs {
		return t, nil
	}
	for _, kind := range []string{"TRACES", "METRICS", "LOGS"} {
		name := "OTEL_EXPORTER_OTLP_" + kind + "_PROTOCOL"
		if set := os.Getenv(name); set != "" {
			if err := isProtocol(set); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if err := fromFiles(); err != nil {
		return nil, err
	}
	about, err := describe(ctx, service)
	if err != nil {
		return nil, err
	}
	// What the libraries complain of besides what they return: that a collector took only a part, for instance.
	complaints := &report{log: log, what: "telemetry"}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(complaints.failed))
	if traces {
		err = t.startTraces(ctx, newSampler(values), about)
	}
	if measures && err == nil {
		err = t.startMetrics(ctx, metrics, about)
	}
	if logs && err == nil {
		err = t.startLogs(ctx, about)
	}
	if err != nil {
		t.Stop(ctx)
		return nil, fmt.Errorf("start telemetry: %w", err)
	}
	return t, nil
}

// wanted says what is to be sent. The standard would have everything sent to localhost where nothing is set.
func wanted(values config.Values) (traces, metrics, logs bool) {
	if values.String(disabled) == "true" {
		return false, false, false
	}
	to := func(exporter, own string) bool {
		chosen, named := values.String(exporter), values.String(endpoint) != "" || values.String(own) != ""
		return chosen == "otlp" || chosen == "" && named
	}
	return to(tracesExporter, tracesEndpoint) && samplers[values.String(samplerName)] != nil, to(metricsExporter, metricsEndpoint), values.String(logsExporter) == "otlp"
}

// fromFiles has the exporters, which read the environment, find what NAME_FILE names.
func fromFiles() error {
	for _, s := range Settings() {
		file := os.Getenv(s.Name + "_FILE")
		if file == "" {
			continue
		}
		set, err := config.Load([]config.Setting{s}, os.LookupEnv)
		if err == nil {
			err = os.Setenv(s.Name, set.String(s.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describe says which process this is, unless the settings say otherwise.
func describe(ctx context.Context, service string) (*resource.Resource, error) {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(
		semconv.ServiceName(service), semconv.ServiceNamespace("cleave"), semconv.ServiceVersion(version), semconv.ServiceInstanceID(uuid.NewString()),
	), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("describe the process: %w", err)
	}
	return about, nil
}

func (t *Telemetry) startTraces(ctx context.Context, sampler sdktrace.Sampler, about *resource.Resource) error {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return err
	}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSampler(sampler),
		sdktrace.WithBatcher(reportingSpans{exporter, t.report("traces")}))
	otel.SetTracerProvider(t.traces)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, metrics prometheus.Gatherer, about *resource.Resource) error {
	exporter, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return err
	}
	reader := sdkmetric.NewPeriodicReader(reportingMetrics{exporter, t.report("metrics")},
		sdkmetric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(metrics))))
	// Nobody measures with it: all that it sends is what the registry has.
	t.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(reader))
	return nil
}

func (t *Telemetry) startLogs(ctx context.Context, about *resource.Resource) error {
	exporter, err := otlploghttp.New(ctx)
	if err != nil {
		return err
	}
	t.logs = sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(sdklog.NewBatchProcessor(reportingLogs{exporter, t.report("logs")})))
	return nil
}

// Log returns a logger that writes what log does, and sends it if that is wanted.
func (t *Telemetry) Log(log *slog.Logger) *slog.Logger {
	if t.logs == nil {
		return log
	}
	return slog.New(sending{log.Handler(), otelslog.NewHandler("github.com/cleave-go/cleave", otelslog.WithLoggerProvider(t.logs))})
}

// Traces reports whether spans are made.
func (t *Telemetry) Traces() bool { return t.traces != nil }

// StopMetrics sends the metrics for the last time, and waits as Stop does. It is for the moment before what they are read from is closed.
func (t *Telemetry) StopMetrics(ctx context.Context) {
	if t.metrics != nil {
		t.end(ctx, t.metrics.Shutdown)
		t.metrics = nil
	}
}

// Stop sends what has not been sent yet. It waits for the collector for three seconds at most, and no longer than ctx.
func (t *Telemetry) Stop(ctx context.Context) {
	t.StopMetrics(ctx)
	var ending sync.WaitGroup
	if t.traces != nil {
		ending.Go(func() { t.end(ctx, t.traces.Shutdown) })
	}
	if t.logs != nil {
		ending.Go(func() { t.end(ctx, t.logs.Shutdown) })
	}
	ending.Wait()
}

func (t *Telemetry) end(ctx context.Context, shutdown func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		t.log.Warn("not all telemetry could be sent before the stop", "error", err)
	}
}
