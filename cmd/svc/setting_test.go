package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// olderSchema holds that CLEAVE_MIGRATE=off starts on a schema that is up to date or newer, and on no older one.
func olderSchema(t *testing.T, binary string) {
	url := postgrestest.Database(t)
	migrate := topology.Program{Name: "svc migrate", Binary: binary, Args: []string{"migrate"}, Env: map[string]string{"DATABASE_URL": url}}
	for range 2 { // It may be repeated.
		if process, code := topology.Run(t, migrate); code != 0 {
			t.Fatalf("migrate ended with %d: %s", code, process.LastLine())
		}
	}
	start := func(t *testing.T) {
		t.Helper()
		topology.Start(t, topology.Unit{Name: "orders", Binary: binary, Modules: []string{"orders"}, Env: map[string]string{"DATABASE_URL": url, "CLEAVE_MIGRATE": "off"}})
	}
	change := func(statement string) {
		t.Helper()
		db, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close(t.Context())
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("up to date", start)
	change("INSERT INTO orders.cleave_version (version_id, is_applied) VALUES (99990101000000, true)")
	t.Run("newer", start)
	change("DELETE FROM orders.cleave_version WHERE version_id > 0")
	t.Run("older", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "svc", Binary: binary, Env: map[string]string{
			"DATABASE_URL": url, "CLEAVE_MIGRATE": "off", "CLEAVE_ADMIN_ADDR": "127.0.0.1:0", "CLEAVE_INTERNAL_ADDR": "127.0.0.1:0",
		}})
		want := regexp.MustCompile(`^svc: the tables of schema orders are at version 0, this program needs \d+: run the migrate command of this program, or set CLEAVE_MIGRATE=auto$`)
		if code != 1 || !want.MatchString(process.LastLine()) {
			t.Errorf("it ended with %d and said %q", code, process.LastLine())
		}
	})
}

// misspeltSetting holds that a setting that nobody reads is a warning, and that those of the rest of the house are not.
func misspeltSetting(t *testing.T, binary string) {
	process := topology.Start(t, topology.Unit{
		Name: "edge", Binary: binary, Edge: true,
		Env: map[string]string{"CLEAVE_LOGLEVEL": "debug", "CLEAVE_MIGRATE": "off", "CLEAVE_ORDERS_DATABASE_URL": "postgres://db/cleave"},
	}).Unit("edge").Process()
	warnings := regexp.MustCompile(`.*unknown setting.*`).FindAllString(process.Stderr(), -1)
	if len(warnings) != 1 || !strings.Contains(warnings[0], `"level":"WARN"`) || !strings.Contains(warnings[0], `"name":"CLEAVE_LOGLEVEL"`) {
		t.Errorf("it warned %q, want one warning of CLEAVE_LOGLEVEL", warnings)
	}
}

// help holds that --help names every setting of a binary with its default, and none of another.
func help(t *testing.T, binaries *topology.Binaries) {
	common := []string{
		"CLEAVE_ADMIN_ADDR .*(default 127.0.0.1:9090)", "CLEAVE_PEER_URL .*(default http://{module}:9080)", "CLEAVE_PEER_DNS ", "CLEAVE_CALL_TIMEOUT .*(default 10s)", "CLEAVE_CALLS_AT_ONCE .*(default 256)", "CLEAVE_MAP_FILE ", "CLEAVE_DRAIN_DELAY .*(default 0s)",
		"CLEAVE_SHUTDOWN_TIMEOUT .*(default 20s)", "CLEAVE_LOG_LEVEL .*(default info)", "CLEAVE_LOG_FORMAT .*(default auto)",
		"CLEAVE_TLS_CERT_FILE ", "CLEAVE_TLS_KEY_FILE ", "CLEAVE_TLS_CA_FILE ", "CLEAVE_TRUST_DOMAIN .*(default cleave)",
		"CLEAVE_CATALOG_URL ", "CLEAVE_IDENTITY_URL ", "CLEAVE_INVENTORY_URL ", "CLEAVE_NOTIFICATIONS_URL ", "CLEAVE_PAYMENTS_URL ",
	}
	for _, c := range []struct {
		tag      string
		settings []string
	}{
		{"edge", append(common, "CLEAVE_PUBLIC_ADDR .*(default 127.0.0.1:8080)", "PORT ", "CLEAVE_RATE_LIMIT .*(default 50)", "CLEAVE_ANONYMOUS_RATE_LIMIT .*(default 100)", "CLEAVE_BUSY_AT .*(default 0)",
			"CLEAVE_TRUSTED_PROXIES ", "CLEAVE_CORS_ORIGINS ", "CLEAVE_ORDERS_URL ",
			"CLEAVE_OIDC_ISSUER ", "CLEAVE_OIDC_AUDIENCE ", "CLEAVE_OIDC_ROLES_CLAIM .*(default roles)", "CLEAVE_PUBLIC_TLS_CERT_FILE ", "CLEAVE_PUBLIC_TLS_KEY_FILE ")},
		{"orders", append(common, "CLEAVE_INTERNAL_ADDR .*(default 127.0.0.1:9080)", "CLEAVE_INTERNAL_TLS .*(default required)", "DATABASE_URL ", "CLEAVE_ORDERS_DATABASE_URL ", "CLEAVE_DATABASE_SECRET ",
			"CLEAVE_DATABASE_MAX_CONNS .*(default 60)", "CLEAVE_MIGRATE .*(default auto)", "CLEAVE_ORDERS_SAVED_PAYMENT_METHOD ", "CLEAVE_ORDERS_TAX_PERCENT .*(default 0)", "CLEAVE_ORDERS_SHIPPING_FEES ")},
	} {
		process, code := topology.Run(t, topology.Program{Name: "svc", Binary: binaries.Build(t, "cmd/svc", c.tag), Args: []string{"--help"}})
		if code != 0 || process.Stderr() != "" {
			t.Errorf("%s: --help ended with %d and said %q", c.tag, code, process.Stderr())
		}
		for _, setting := range c.settings {
			pattern := "(?m)^  " + strings.NewReplacer("(", `\(`, ")", `\)`, "{", `\{`, "}", `\}`).Replace(setting)
			if !regexp.MustCompile(pattern).MatchString(process.Stdout()) {
				t.Errorf("%s: --help does not say %s:\n%s", c.tag, setting, process.Stdout())
			}
		}
		if listed := regexp.MustCompile(`(?m)^  (CLEAVE_|DATABASE_URL|PORT)`).FindAllString(process.Stdout(), -1); len(listed) != len(c.settings) {
			t.Errorf("%s: --help lists %d settings, want %d:\n%s", c.tag, len(listed), len(c.settings), process.Stdout())
		}
	}
}
