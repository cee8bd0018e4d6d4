package telemetry

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/telemetry/telemetrytest"
)

func load(t *testing.T, env map[string]string) (config.Values, error) {
	t.Helper()
	return config.Load(Settings(), func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}

func TestSettingsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ value, says string }{
		"OTEL_EXPORTER_OTLP_ENDPOINT":    {"collector:4318", "is not a URL that begins with http:// or https://"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":    {"grpc", `"grpc" is not spoken here: use http/protobuf, which collectors take at port 4318`},
		"OTEL_EXPORTER_OTLP_HEADERS":     {"authorization secret", "is not a list like name=value,name=value"},
		"OTEL_EXPORTER_OTLP_CERTIFICATE": {"/nowhere/ca.pem", "stat /nowhere/ca.pem: no such file or directory"},
		"OTEL_TRACES_EXPORTER":           {"jaeger", `"jaeger" is none of otlp, none`},
		"OTEL_TRACES_SAMPLER":            {"sometimes", `"sometimes" is none of always_on, always_off, traceidratio, and these with parentbased_ before them`},
		"OTEL_TRACES_SAMPLER_ARG":        {"1%", `"1%" is not a number from 0 to 1`},
		"OTEL_BSP_SCHEDULE_DELAY":        {"5s", `"5s" is not a whole number from 1 to 2147483647`},
		"OTEL_SDK_DISABLED":              {"yes", `"yes" is none of true, false`},
	} {
		_, err := load(t, map[string]string{name: c.value})
		if want := name + ": " + c.says; err == nil || err.Error() != want {
			t.Errorf("%s=%s says %v, want %s", name, c.value, err, want)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	type sent struct{ traces, metrics, logs bool }
	const collector = "http://localhost:4318"
	for name, c := range map[string]struct {
		env  map[string]string
		want sent
	}{
		"nothing without a collector":         {nil, sent{}},
		"traces and metrics to a collector":   {map[string]string{endpoint: collector}, sent{true, true, false}},
		"one for traces alone":                {map[string]string{tracesEndpoint: collector}, sent{true, false, false}},
		"an exporter to where they are taken": {map[string]string{tracesExporter: "otlp"}, sent{true, false, false}},
		"the log where it is wanted":          {map[string]string{endpoint: collector, logsExporter: "otlp"}, sent{true, true, true}},
		"no traces":                           {map[string]string{endpoint: collector, tracesExporter: "none"}, sent{false, true, false}},
		"no traces by the sampler":            {map[string]string{endpoint: collector, samplerName: "always_off"}, sent{false, true, false}},
		"metrics that Prometheus gets":        {map[string]string{endpoint: collector, metricsExporter: "prometheus"}, sent{true, false, false}},
		"nothing at all":                      {map[string]string{endpoint: collector, logsExporter: "otlp", disabled: "true"}, sent{}},
	} {
		values, err := load(t, c.env)
		if err != nil {
			t.Fatal(err)
		}
		var got sent
		if got.traces, got.metrics, got.logs = wanted(values); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A token for the collector may be in a file, as every secret may.
func TestHeadersFromAFile(t *testing.T) {
	receiver := telemetrytest.Start()
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(file, []byte("authorization=Bearer%20secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "") // What is set here is taken back at the end.
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS_FILE", file)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL())
	t.Setenv(tracesExporter, "none")
	values, err := config.Load(Settings(), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	sent, err := Start(t.Context(), values, "test", prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	sent.Stop(t.Context())
	if got := receiver.Header().Get("Authorization"); got != "Bearer secret" {
		t.Errorf("the collector got the token %q, and the log says %q", got, log.String())
	}
}
