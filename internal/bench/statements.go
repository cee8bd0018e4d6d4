package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// statement is what a checkout asks of the database, over and over.
type statement struct {
	// Calls is how often it is run per order; Planning and Running are how many milliseconds that takes in the server. The flush of
	// the log at the commit is in neither.
	Calls    float64 `json:"calls_per_order"`
	Planning float64 `json:"planning_ms_per_order"`
	Running  float64 `json:"running_ms_per_order"`
	Role     string  `json:"role"`
	Text     string  `json:"text"`
}

// countStatements counts what an order asks of the database until its last job is done, in a round of its own with pg_stat_statements,
// because counting costs something. The carts are filled before, and the shop has warmed up. Where PostgreSQL came without that extension there is nothing to tell.
func countStatements(ctx context.Context, p plan, s *stand, r *report) (err error) {
	var there bool
	if err := s.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')").Scan(&there); err != nil {
		return err
	}
	if !there {
		p.say("checkout: statements are not counted: this PostgreSQL has no pg_stat_statements")
		return nil
	}
	p.say("checkout: carts, and %s of orders, counting statements", p.window)
	if err := s.startServer(ctx, map[string]string{
		"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on",
	}); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, "CREATE EXTENSION pg_stat_statements"); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	everybody, carts := customers{shop.url, s.skus, buyers, uint64(p.rounds)}, p.carts()
	if err := everybody.fill(ctx, carts); err != nil {
		return err
	}
	// Each connection plans a statement a few times before it keeps a plan.
	if _, err := everybody.buy(ctx, carts, time.Now().Add(p.warmUp)); err != nil {
		return err
	}
	if err := waitForJobs(ctx, s.admin); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, "SELECT pg_stat_statements_reset()"); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	purchases, err := everybody.buy(ctx, carts, time.Now().Add(p.window))
	if err != nil {
		return err
	}
	if err := waitForJobs(ctx, s.admin); err != nil {
		return err
	}
	if r.Statements, err = s.statements(ctx, float64(len(purchases))); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	calls := map[string]float64{}
	var all, planning, running float64
	for _, asked := range r.Statements {
		calls[asked.Role] += asked.Calls
		all += asked.Calls
		planning += asked.Planning
		running += asked.Running
	}
	r.add(
		figure{Part: "checkout", What: "time that statements run per order", Unit: nanoseconds, A: []float64{running * 1e6}},
		figure{Part: "checkout", What: "time that they are planned", Unit: nanoseconds, A: []float64{planning * 1e6}},
		figure{Part: "checkout", What: "statements per order, without BEGIN and COMMIT", Unit: pieces, A: []float64{all}},
	)
	for _, role := range slices.Sorted(maps.Keys(calls)) {
		r.add(figure{Part: "checkout", What: "statements per order, role " + role, Unit: pieces, A: []float64{calls[role]}})
	}
	return nil
}

// statements returns what the modules' roles have asked, per order, first what took longest.
func (s *stand) statements(ctx context.Context, orders float64) ([]statement, error) {
	rows, err := s.admin.Query(ctx, `
		SELECT sum(calls) / $1::float8, sum(total_plan_time) / $1::float8, sum(total_exec_time) / $1::float8, userid::regrole::text, query
		FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND userid <> current_user::regrole
		GROUP BY userid, query ORDER BY sum(total_plan_time + total_exec_time) DESC`, orders)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[statement])
}
