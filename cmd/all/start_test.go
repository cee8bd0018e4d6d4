package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/topology"
)

// cannotWork starts what cannot work. Each failure ends the process with one clear line, the last on its standard error.
func cannotWork(t *testing.T, binary string) {
	taken := topology.Listen(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		says string
	}{
		{"a taken public port", map[string]string{"CLEAVE_PUBLIC_ADDR": taken}, "all: " + taken + " is taken: stop the program that listens there, or set CLEAVE_PUBLIC_ADDR"},
		{"a taken port for the operator", map[string]string{"CLEAVE_ADMIN_ADDR": taken}, "all: " + taken + " is taken: stop the program that listens there, or set CLEAVE_ADMIN_ADDR"},
		{"a database that does not answer", map[string]string{"DATABASE_URL": "postgres://cleave:hunter2@127.0.0.1:1/cleave"}, "cannot be reached: start it, or correct DATABASE_URL (connection refused)"},
		{"one module's database that does not answer", map[string]string{
			"DATABASE_URL": "postgres://cleave:hunter2@127.0.0.1:1/cleave", "CLEAVE_CATALOG_DATABASE_URL": "postgres://cleave:hunter2@127.0.0.1:2/cleave",
		}, "cannot be reached: start it, or correct "},
		{"a folder that is a file", map[string]string{"CLEAVE_DATA_DIR": file}, "all: "},
		{"a duration that is none", map[string]string{"CLEAVE_DRAIN_DELAY": "soon"}, `all: CLEAVE_DRAIN_DELAY: "soon" is not a duration like 250ms, 10s or 1m30s`},
		{"an issuer without an audience", map[string]string{"CLEAVE_OIDC_ISSUER": "https://login.example.com"}, "all: CLEAVE_OIDC_ISSUER is set and CLEAVE_OIDC_AUDIENCE is not: set it to what"},
		{"an audience without an issuer", map[string]string{"CLEAVE_OIDC_AUDIENCE": "shop"}, "all: CLEAVE_OIDC_AUDIENCE is set and CLEAVE_OIDC_ISSUER is not: set both, or neither"},
		{"an issuer without TLS", map[string]string{"CLEAVE_OIDC_ISSUER": "http://login.example.com", "CLEAVE_OIDC_AUDIENCE": "shop"}, "all: CLEAVE_OIDC_ISSUER: must begin with https://"},
		{"an origin that is none", map[string]string{"CLEAVE_CORS_ORIGINS": "https://shop.example/"}, `all: CLEAVE_CORS_ORIGINS: "https://shop.example/" is no origin like https://shop.example, in small letters and without a path, and not *`},
		{"every origin as the development user", map[string]string{"CLEAVE_CORS_ORIGINS": "*"}, "all: CLEAVE_CORS_ORIGINS is *, and nobody has to sign in here: every web page in a browser of this machine could act as the development user: name the origins"},
		{"a proxy that is none", map[string]string{"CLEAVE_TRUSTED_PROXIES": "10.0.0.0/8, proxy"}, `all: CLEAVE_TRUSTED_PROXIES: "proxy" is no network like 10.0.0.0/8 and no address`},
		{"a collector over gRPC", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "otlp"}, `all: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc" is not spoken here: use http/protobuf`},
		{"a sampler that is none", map[string]string{"OTEL_TRACES_SAMPLER_ARG": "1%"}, `all: OTEL_TRACES_SAMPLER_ARG: "1%" is not a number from 0 to 1`},
		{"an address that is none", map[string]string{"CLEAVE_PUBLIC_ADDR": "8080"}, `all: CLEAVE_PUBLIC_ADDR: "8080" is not an address like :8080 or 127.0.0.1:8080`},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"CLEAVE_ADMIN_ADDR": "127.0.0.1:0", "CLEAVE_PUBLIC_ADDR": "127.0.0.1:0"}
			for name, value := range c.env {
				env[name] = value
			}
			process, code := topology.Run(t, topology.Program{Name: "all", Binary: binary, Env: env})
			if code != 1 || !strings.Contains(process.LastLine(), c.says) {
				t.Errorf("it ended with %d and said %q, want %q", code, process.LastLine(), c.says)
			}
			if lines := strings.Count(process.Stderr(), "all: "); lines != 1 {
				t.Errorf("it has %d lines for one failure:\n%s", lines, process.Stderr())
			}
			if strings.Contains(process.Stderr(), "hunter2") {
				t.Errorf("it told the password:\n%s", process.Stderr())
			}
		})
	}
	t.Run("several mistakes", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "all", Binary: binary, Env: map[string]string{"CLEAVE_LOG_LEVEL": "loud", "CLEAVE_MIGRATE": "never"}})
		want := "all: CLEAVE_MIGRATE: \"never\" is none of auto, off\nall: CLEAVE_LOG_LEVEL: \"loud\" is none of debug, info, warn, error\n"
		if code != 1 || process.Stderr() != want {
			t.Errorf("it ended with %d and said %q, want a line for each", code, process.Stderr())
		}
	})
}

// help holds that --help names every setting with its default.
func help(t *testing.T, binary string) {
	process, code := topology.Run(t, topology.Program{Name: "all", Binary: binary, Args: []string{"--help"}})
	if code != 0 || process.Stderr() != "" {
		t.Errorf("--help ended with %d and said %q", code, process.Stderr())
	}
	settings := map[string]string{ // And their defaults.
		"CLEAVE_PUBLIC_ADDR": "127.0.0.1:8080", "PORT": "", "CLEAVE_RATE_LIMIT": "50", "CLEAVE_ANONYMOUS_RATE_LIMIT": "100", "CLEAVE_BUSY_AT": "0", "CLEAVE_TRUSTED_PROXIES": "",
		"CLEAVE_CORS_ORIGINS": "", "CLEAVE_INTERNAL_ADDR": "127.0.0.1:9080", "CLEAVE_INTERNAL_TLS": "required", "CLEAVE_ADMIN_ADDR": "127.0.0.1:9090",
		"CLEAVE_DATA_DIR": "./.cleave", "DATABASE_URL": "", "CLEAVE_CATALOG_DATABASE_URL": "", "CLEAVE_INVENTORY_DATABASE_URL": "", "CLEAVE_IDENTITY_DATABASE_URL": "", "CLEAVE_IDENTITY_ISSUER": "http://127.0.0.1:8080", "CLEAVE_IDENTITY_KEY": "",
		"CLEAVE_ORDERS_DATABASE_URL": "", "CLEAVE_NOTIFICATIONS_DATABASE_URL": "", "CLEAVE_PAYMENTS_DATABASE_URL": "", "CLEAVE_DATABASE_SECRET": "", "CLEAVE_DATABASE_MAX_CONNS": "60",
		"CLEAVE_MIGRATE": "auto", "CLEAVE_PAYMENTS_SANDBOX_URL": "", "CLEAVE_ORDERS_SAVED_PAYMENT_METHOD": "pm_card_visa", "CLEAVE_ORDERS_TAX_PERCENT": "0", "CLEAVE_ORDERS_SHIPPING_FEES": "", "CLEAVE_MAP_FILE": "", "CLEAVE_TLS_CERT_FILE": "", "CLEAVE_TLS_KEY_FILE": "", "CLEAVE_TLS_CA_FILE": "",
		"CLEAVE_TRUST_DOMAIN": "cleave", "CLEAVE_PUBLIC_TLS_CERT_FILE": "", "CLEAVE_PUBLIC_TLS_KEY_FILE": "", "CLEAVE_DRAIN_DELAY": "0s", "CLEAVE_SHUTDOWN_TIMEOUT": "20s",
		"CLEAVE_LOG_LEVEL": "info", "CLEAVE_LOG_FORMAT": "auto",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "", "OTEL_METRICS_EXPORTER": "", "OTEL_LOGS_EXPORTER": "none",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_HEADERS": "", "OTEL_EXPORTER_OTLP_TIMEOUT": "10000",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "", "OTEL_EXPORTER_OTLP_CERTIFICATE": "", "OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "",
		"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_TRACES_SAMPLER_ARG": "", "OTEL_BSP_SCHEDULE_DELAY": "5000", "OTEL_BSP_EXPORT_TIMEOUT": "30000",
		"OTEL_BSP_MAX_QUEUE_SIZE": "2048", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512", "OTEL_METRIC_EXPORT_INTERVAL": "60000",
		"CLEAVE_OIDC_ISSUER": "", "CLEAVE_OIDC_AUDIENCE": "", "CLEAVE_OIDC_ROLES_CLAIM": "roles",
	}
	listed := regexp.MustCompile(`(?m)^  ([A-Z_]+) +(.+?)(?: \(default (.*)\))?$`).FindAllStringSubmatch(process.Stdout(), -1)
	for _, line := range listed {
		if fallback, known := settings[line[1]]; !known || fallback != line[3] {
			t.Errorf("--help says %q", line[0])
		}
		delete(settings, line[1])
	}
	if len(settings) > 0 {
		t.Errorf("--help does not list %v:\n%s", settings, process.Stdout())
	}
}
