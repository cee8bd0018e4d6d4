package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The opponent: the tables of a shop that has only this one process, and an order as four transactions by hand.
var (
	//go:embed sql/tables.sql
	tables string
	//go:embed sql/order.sql
	order string
)

// pgbenchThreads is how many threads pgbench drives its clients with.
const pgbenchThreads = 2

// pgbench is PostgreSQL's own load generator with a database of its own on the stand's server.
type pgbench struct {
	program string
	script  string
	skus    int
	config  *pgx.ConnConfig
	pool    *pgxpool.Pool
}

// openPgbench makes the database, with as many SKUs as the shop has.
func openPgbench(ctx context.Context, s *stand) (_ *pgbench, err error) {
	b := &pgbench{script: filepath.Join(s.dir, "order.sql"), skus: len(s.skus)}
	var folder string
	if err := s.admin.QueryRow(ctx, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").Scan(&folder); err != nil {
		return nil, fmt.Errorf("find pgbench: %w", err)
	}
	b.program = filepath.Join(folder, "pgbench")
	if runtime.GOOS == "windows" {
		b.program += ".exe"
	}
	if _, err := os.Stat(b.program); err != nil {
		return nil, fmt.Errorf("pgbench is not installed beside the server: %w", err)
	}
	if err := os.WriteFile(b.script, []byte(order), 0o644); err != nil {
		return nil, err
	}
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE byhand"); err != nil {
		return nil, err
	}
	if b.pool, err = pgxpool.New(ctx, s.server.URLFor("byhand")); err != nil {
		return nil, err
	}
	b.config = b.pool.Config().ConnConfig
	if _, err := b.pool.Exec(ctx, tables); err != nil {
		b.pool.Close()
		return nil, fmt.Errorf("make the tables for pgbench: %w", err)
	}
	if _, err := b.pool.Exec(ctx, "INSERT INTO stock (sku, on_hand) SELECT 'SKU-' || lpad(n::text, 12, '0'), 1000000000 FROM generate_series(1, $1::int) n",
		b.skus+mostItems-1); err != nil {
		b.pool.Close()
		return nil, fmt.Errorf("fill the tables for pgbench: %w", err)
	}
	return b, nil
}

func (b *pgbench) close() { b.pool.Close() }

// score is what pgbench came to.
type score struct {
	perSecond float64
	// orders is how many there were.
	orders float64
	// processor is the time that pgbench itself took.
	processor time.Duration
}

// run lets as many clients as there are buyers order for some seconds.
func (b *pgbench) run(ctx context.Context, d time.Duration) (score, error) {
	cmd := exec.CommandContext(ctx, b.program, "--no-vacuum", "--protocol=prepared", "--file="+b.script, "--define=skus="+strconv.Itoa(b.skus),
		"--client="+strconv.Itoa(buyers), "--jobs="+strconv.Itoa(pgbenchThreads), "--time="+strconv.Itoa(int(d.Seconds())))
	cmd.Env = append(foreignEnv(), "PGHOST="+b.config.Host, "PGPORT="+strconv.Itoa(int(b.config.Port)),
		"PGUSER="+b.config.User, "PGPASSWORD="+b.config.Password, "PGDATABASE="+b.config.Database)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return score{}, fmt.Errorf("run pgbench: %w\n%s", err, lastLines(output))
	}
	s, err := parseScore(output)
	s.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, err
}

var (
	scoreRate  = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)`)
	scoreCount = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
)

// parseScore reads what pgbench prints at the end.
func parseScore(output []byte) (s score, err error) {
	rate, count := scoreRate.FindSubmatch(output), scoreCount.FindSubmatch(output)
	if rate == nil || count == nil {
		return s, fmt.Errorf("pgbench printed no result:\n%s", lastLines(output))
	}
	if s.perSecond, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return s, err
	}
	s.orders, err = strconv.ParseFloat(string(count[1]), 64)
	return s, err
}
