package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/postgres"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// health follows what a process says of itself while its database does what databases do.
func health(t *testing.T, binary string) {
	server := postgrestest.Server(t)
	house := topology.Start(t, topology.Unit{Name: "all", Binary: binary, Edge: true, Env: map[string]string{
		"DATABASE_URL": server.URL(), "CLEAVE_INTERNAL_ADDR": "127.0.0.1:0", "CLEAVE_RATE_LIMIT": "0",
	}})
	unit := house.Unit("all")
	check := func(t *testing.T, args ...string) (code int, says string) {
		t.Helper()
		process, code := topology.Run(t, topology.Program{
			Name: "healthcheck", Binary: binary, Args: append([]string{"healthcheck"}, args...), Env: map[string]string{"CLEAVE_ADMIN_ADDR": strings.TrimPrefix(unit.Admin(), "http://")},
		})
		return code, process.Stdout() + process.Stderr()
	}
	await := func(t *testing.T, want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if got = unit.NotReady(t.Context()); got == want || want != "" && strings.Contains(got, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("it says %q, want %q", got, want)
			}
		}
	}
	// unready holds what healthcheck says of a process that cannot do its work, and should not be killed for it.
	unready := func(t *testing.T, why string) {
		t.Helper()
		await(t, why)
		if code, says := check(t); code != 1 || !strings.HasPrefix(says, "all: not ready: ") || !strings.Contains(says, why) || strings.Count(says, "\n") != 1 {
			t.Errorf("healthcheck ended with %d and said %q, want one line with %q", code, says, why)
		}
		for _, flag := range []string{"--live", "--startup"} {
			if code, says := check(t, flag); code != 0 {
				t.Errorf("healthcheck %s ended with %d and said %q", flag, code, says)
			}
		}
	}
	admin := func(t *testing.T) *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), server.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	exec := func(t *testing.T, conn *pgx.Conn, statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}

	t.Run("well", func(t *testing.T) {
		for flag, want := range map[string]string{"--ready": "ready\n", "--live": "alive\n", "--startup": "started\n"} {
			if code, says := check(t, flag); code != 0 || says != want {
				t.Errorf("healthcheck %s ended with %d and said %q", flag, code, says)
			}
		}
	})
	t.Run("a pool that is used up", func(t *testing.T) {
		conn := admin(t)
		exec(t, conn, "BEGIN; LOCK TABLE catalog.product")
		ctx, give := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		defer asking.Wait()
		defer give()
		for range 40 {
			asking.Go(func() {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, house.Public()+"/cleave.catalog.v1.CatalogService/ListProducts", strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/json")
				request.Close = true
				if response, err := http.DefaultClient.Do(request); err == nil {
					response.Body.Close()
				}
			})
		}
		most := regexp.MustCompile(`db_client_connection_max\{db_client_connection_pool_name="catalog"\} (\d+)`).FindStringSubmatch(figures(t, unit))
		if most == nil {
			t.Fatal("nothing says how many connections catalog may have")
		}
		used := `db_client_connections{db_client_connection_pool_name="catalog",db_client_connection_state="used"} ` + most[1]
		for deadline := time.Now().Add(patience); !strings.Contains(figures(t, unit), used); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the pool is not used up")
			}
		}
		time.Sleep(1100 * time.Millisecond) // What was known before is too old.
		if problem := unit.NotReady(t.Context()); problem != "" {
			t.Errorf("it is not ready: %s", problem)
		}
		if now := figures(t, unit); !strings.Contains(now, used) || !strings.Contains(now, `cleave_db_up{module="catalog"} 1`) {
			t.Error("its database does not answer any more, or the pool was not used up all the time")
		}
		exec(t, conn, "ROLLBACK")
	})
	t.Run("a database that only reads", func(t *testing.T) {
		conn := admin(t)
		exec(t, conn, "ALTER SYSTEM SET default_transaction_read_only = on")
		exec(t, conn, "SELECT pg_reload_conf()")
		unready(t, "the database of orders is read-only")
		exec(t, conn, "ALTER SYSTEM RESET default_transaction_read_only")
		exec(t, conn, "SELECT pg_reload_conf()")
		await(t, "")
	})
	t.Run("a database that goes, and is a standby for a while", func(t *testing.T) {
		data := show(t, admin(t))
		var connections string
		if err := admin(t).QueryRow(t.Context(), "SHOW max_connections").Scan(&connections); err != nil {
			t.Fatal(err)
		}
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		unready(t, "the database of payments does not answer")
		if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		// A standby allows no fewer connections than its primary has.
		again, err := postgres.Start(t.Context(), postgres.Options{Dir: filepath.Dir(data), Settings: map[string]string{"max_connections": connections}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := again.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if again.URL() != server.URL() {
			t.Fatal("the server came back elsewhere")
		}
		unready(t, "the database of inventory is a standby, which only reads")
		exec(t, admin(t), "SELECT pg_promote()")
		await(t, "")
	})
	t.Run("nobody", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "healthcheck", Binary: binary, Args: []string{"healthcheck", "--timeout", "2s"}, Env: map[string]string{"CLEAVE_ADMIN_ADDR": "127.0.0.1:1"}})
		if want := "all: not ready: nobody answers at 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"; code != 1 || process.LastLine() != want {
			t.Errorf("healthcheck ended with %d and said %q", code, process.LastLine())
		}
	})
	t.Run("schemas that are missing", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "all", Binary: binary, Env: map[string]string{
			"DATABASE_URL": postgrestest.Database(t), "CLEAVE_MIGRATE": "off", "CLEAVE_PUBLIC_ADDR": "127.0.0.1:0", "CLEAVE_ADMIN_ADDR": "127.0.0.1:0",
		}})
		if code != 1 || !strings.HasSuffix(process.LastLine(), ": run the migrate command of this program, or set CLEAVE_MIGRATE=auto") || strings.Contains(process.Stderr(), `"msg":"ready"`) {
			t.Errorf("it ended with %d and said %q", code, process.LastLine())
		}
	})
}

// figures returns the metrics of a unit.
func figures(t *testing.T, unit *topology.Running) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, unit.Admin()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// show returns where a server keeps its data.
func show(t *testing.T, conn *pgx.Conn) (data string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(fmt.Errorf("where the server keeps its data: %w", err))
	}
	return data
}
