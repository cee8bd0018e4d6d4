package telemetry

import (
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/cleave-go/cleave/platform/config"
)

// The names of the settings that are read here. The others the exporters read themselves, by the same names.
const (
	disabled        = "OTEL_SDK_DISABLED"
	tracesExporter  = "OTEL_TRACES_EXPORTER"
	metricsExporter = "OTEL_METRICS_EXPORTER"
	logsExporter    = "OTEL_LOGS_EXPORTER"
	endpoint        = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint  = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	metricsEndpoint = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	samplerName     = "OTEL_TRACES_SAMPLER"
	samplerArg      = "OTEL_TRACES_SAMPLER_ARG"
)

// Settings are what an operator can set. What the standard has besides, like an endpoint of its own for each kind of data with headers of
// its own, is read too.
func Settings() []config.Setting {
	positive := config.IsInt(1, math.MaxInt32)
	isEndpoint := config.IsURL("http", "https")
	return []config.Setting{
		{Name: endpoint, Help: "collector that takes OTLP over HTTP, like http://localhost:4318; without it nothing is sent and no span is made", Check: isEndpoint},
		{Name: disabled, Default: "false", Help: "true: send nothing, whatever else is set", Check: config.OneOf("true", "false")},
		{Name: tracesExporter, Help: "otlp or none; otlp where an endpoint is set", Check: config.OneOf("otlp", "none")},
		{Name: metricsExporter, Help: "otlp, none, or prometheus, which is /metrics and nothing else; otlp where an endpoint is set", Check: config.OneOf("otlp", "none", "prometheus")},
		{Name: logsExporter, Default: "none", Help: "otlp or none; otlp: send the log, besides writing it", Check: config.OneOf("otlp", "none")},
		{Name: tracesEndpoint, Help: "the whole URL for traces alone", Check: isEndpoint},
		{Name: metricsEndpoint, Help: "the same for metrics", Check: isEndpoint},
		{Name: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Help: "the same for the log", Check: isEndpoint},
		{Name: "OTEL_EXPORTER_OTLP_PROTOCOL", Default: "http/protobuf", Help: "the only one there is", Check: isProtocol},
		{Name: "OTEL_EXPORTER_OTLP_HEADERS", Help: "headers for the collector, most often of a token: name=value,name=value", Check: isList},
		{Name: "OTEL_EXPORTER_OTLP_TIMEOUT", Default: "10000", Help: "milliseconds for the collector to answer", Check: positive},
		{Name: "OTEL_EXPORTER_OTLP_COMPRESSION", Help: "gzip or none", Check: config.OneOf("gzip", "none")},
		{Name: "OTEL_EXPORTER_OTLP_CERTIFICATE", Help: "file of the authority that has signed the collector's certificate, in PEM", Check: isFile},
		{Name: "OTEL_SERVICE_NAME", Help: "what the process is called; its modules with dashes between, or cleave if they are more than three"},
		{Name: "OTEL_RESOURCE_ATTRIBUTES", Help: "what else is to be known of it: name=value,name=value", Check: isList},
		{Name: samplerName, Default: "parentbased_always_on", Help: "which traces are recorded that begin here: parentbased_always_on, _always_off or _traceidratio; always_off: none at all", Check: isSampler},
		{Name: samplerArg, Help: "the part of them, from 0 to 1, for parentbased_traceidratio", Check: isRatio},
		{Name: "OTEL_BSP_SCHEDULE_DELAY", Default: "5000", Help: "milliseconds for which spans are collected", Check: positive},
		{Name: "OTEL_BSP_EXPORT_TIMEOUT", Default: "30000", Help: "milliseconds for which it is tried to send them", Check: positive},
		{Name: "OTEL_BSP_MAX_QUEUE_SIZE", Default: "2048", Help: "spans that wait; what does not fit is dropped", Check: config.IsInt(1, 1_000_000)},
		{Name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", Default: "512", Help: "spans that are sent at once", Check: config.IsInt(1, 1_000_000)},
		{Name: "OTEL_METRIC_EXPORT_INTERVAL", Default: "60000", Help: "milliseconds between two times that the metrics are sent", Check: positive},
	}
}

// isProtocol takes the one that every collector speaks. Another would have to be linked into every binary.
func isProtocol(value string) error {
	if value != "http/protobuf" {
		return fmt.Errorf("%q is not spoken here: use http/protobuf, which collectors take at port 4318", value)
	}
	return nil
}

func isFile(value string) error {
	_, err := os.Stat(value)
	return err
}

// isList takes lists of pairs. The error does not repeat the value, which may hold a token.
func isList(value string) error {
	for _, pair := range strings.Split(value, ",") {
		name, text, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(text); !ok || strings.TrimSpace(name) == "" || err != nil {
			return fmt.Errorf("is not a list like name=value,name=value")
		}
	}
	return nil
}

// isRatio takes numbers from 0 to 1.
func isRatio(value string) error {
	if ratio, err := strconv.ParseFloat(value, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
		return fmt.Errorf("%q is not a number from 0 to 1", value)
	}
	return nil
}

func isSampler(value string) error {
	if _, ok := samplers[value]; !ok {
		return fmt.Errorf("%q is none of always_on, always_off, traceidratio, and these with parentbased_ before them", value)
	}
	return nil
}
