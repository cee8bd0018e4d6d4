// Package telemetry sends what a process tells of itself to a collector: traces, metrics and logs over OTLP, by the standard OTEL_*
// settings. Where no collector is named nothing is sent, and no span is made.
//
// It owns the exporters, the sampler, and how a line of the log looks. It does not own what is measured and traced: the spans are made
// where the work is done (platform/rpc, edge, event, job, saga), with the tracer of the OpenTelemetry API that this package sets, and the
// metrics are those that /metrics shows, from the same registry.
package telemetry
