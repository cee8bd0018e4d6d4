package inventory

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// plan returns how PostgreSQL carries a statement out that it has planned once for whatever is asked, and how many rows it reads for that,
// of tables and indexes, when it is asked this.
func plan(t *testing.T, b *bundle, statement, types string, args ...string) (text string, read float64) {
	t.Helper()
	tx, err := b.service.store.Pool().Begin(b.ctx)
	must(t, err)
	defer tx.Rollback(b.ctx)
	for _, sql := range []string{
		"SET LOCAL plan_cache_mode = force_generic_plan",
		"PREPARE asked (" + types + ") AS " + statement,
	} {
		_, err := tx.Exec(b.ctx, sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
	}
	rows, err := tx.Query(b.ctx, "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE asked ("+strings.Join(args, ", ")+")", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	_, err = tx.Exec(b.ctx, "DEALLOCATE asked", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	loops := 1.0
	for _, l := range lines {
		var actual, removed float64
		if m := regexp.MustCompile(`Scan.*\(actual rows=(\d+)(?:\.\d+)? loops=(\d+)\)`).FindStringSubmatch(l); m != nil {
			fmt.Sscan(m[1], &actual)
			fmt.Sscan(m[2], &loops)
			read += actual * loops
		}
		if m := regexp.MustCompile(`Rows Removed by Filter: (\d+)`).FindStringSubmatch(l); m != nil {
			fmt.Sscan(m[1], &removed)
			read += removed * loops // It is told of one loop.
		}
	}
	return strings.Join(lines, "\n"), read
}

// With a million SKUs, of which one is in very many orders, everything that somebody waits for reads about as many rows as it answers with.
func TestPlansAtScale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const skus, popular, low, overdueHolds = 1_000_000, 100_000, 300, 50
	for _, statement := range []string{
		// Each has come once; the popular one has gone piece by piece, in an order each.
		fmt.Sprintf(`INSERT INTO inventory.stock (sku, on_hand, low_at, low, told_low) SELECT 'sku-' || lpad(n::text, 7, '0'), 10, CASE WHEN n <= %d THEN 20 END, n <= %[1]d, n <= %[1]d
			FROM generate_series(1, %d) n`, low, skus),
		fmt.Sprintf("INSERT INTO inventory.movement (sku, delta, reason) SELECT 'sku-' || lpad(n::text, 7, '0'), 10, 'delivery' FROM generate_series(1, %d) n", skus),
		fmt.Sprintf(`INSERT INTO inventory.reservation (id, reference, state, expire_time)
			SELECT 'rsv_' || lpad(n::text, 9, '0'), 'ord', CASE WHEN n <= %d THEN 'held' ELSE 'shipped' END, now() - interval '1 minute' FROM generate_series(1, %d) n`, overdueHolds, popular),
		"INSERT INTO inventory.reservation_line (reservation_id, sku, quantity, shipped) SELECT id, 'sku-0500000', 1, CASE state WHEN 'shipped' THEN 1 ELSE 0 END FROM inventory.reservation",
		"INSERT INTO inventory.movement (sku, delta, reason, reservation_id) SELECT 'sku-0500000', -1, 'shipped', id FROM inventory.reservation WHERE state = 'shipped'",
		"ANALYZE inventory.stock, inventory.movement, inventory.reservation, inventory.reservation_line",
	} {
		b.Exec(t, statement)
	}
	const page, some = 50, "ARRAY['sku-0000001', 'sku-0500000', 'sku-0999999', 'unknown']"
	for _, c := range []struct {
		name, statement, types string
		args                   []string
		most                   float64
	}{
		{"availability", availabilityQuery, "text[]", []string{some}, 3*overdueHolds + 20},
		{"stock of some", getStocks, "text[]", []string{some}, 3*overdueHolds + 20},
		{"stock", listStock, "text, bigint", []string{"'sku-0500000'", fmt.Sprint(page)}, 3*overdueHolds + 3*page},
		{"low stock", listLowStock, "text, bigint", []string{"'sku-0000100'", fmt.Sprint(page)}, 3*overdueHolds + 3*page},
		{"movements", listMovements, "bigint, bigint", []string{"500000", fmt.Sprint(page)}, 3 * page},
		{"movements of what is popular", listMovementsOf, "bigint, bigint, text", []string{"1050000", fmt.Sprint(page), "'sku-0500000'"}, 3 * page},
		{"movements of what is not", listMovementsOf, "bigint, bigint, text", []string{"1050000", fmt.Sprint(page), "'sku-0000007'"}, 3 * page},
		{"a batch of the audit", figuresOf + "sku > $1 ORDER BY sku LIMIT $2", "text, bigint", []string{"'sku-0000100'", fmt.Sprint(maxAudited)}, 3 * maxAudited},
		// Once a pass the history of what is popular is read: a movement and a line an order.
		{"a batch of the audit with what is popular", figuresOf + "sku > $1 ORDER BY sku LIMIT $2", "text, bigint", []string{"'sku-0499999'", fmt.Sprint(maxAudited)}, 2*popular + 3*maxAudited},
		{"what is to be told", "SELECT sku " + untold + " ORDER BY sku LIMIT $1", "bigint", []string{fmt.Sprint(maxTold)}, 3},
	} {
		text, read := plan(t, b, c.statement, c.types, c.args...)
		if read > c.most || strings.Contains(text, "Seq Scan") {
			t.Errorf("%s reads %v rows, more than %v, or a whole table:\n%s", c.name, read, c.most, text)
		}
	}
}
