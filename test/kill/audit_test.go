package kill

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// auditBatch is where [audited] has processes killed.
const auditBatch = "inventory/audit/batch"

// audited has the process killed again and again that audits the stock, and holds that the pass goes on where it was: each SKU is looked at
// once, and what is wrong is found.
func audited(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	// Enough SKUs for the pass to be under way still when a process has been started anew.
	const skus, wrong, kills = 8_000, 20, 3
	s := open(t, house.AllInOne, binaries, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.Databases["inventory"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := s.folder.Arm(auditBatch, "kill"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `INSERT INTO inventory.stock (sku, on_hand) SELECT 'audit-' || n, CASE WHEN n % $1 = 0 THEN 1 ELSE 0 END
		FROM generate_series(1, $2::int) n`, skus/wrong, skus); err != nil {
		t.Fatal(err)
	}
	// A pass that has looked at what was there before may have ended: the next one is due.
	if _, err := conn.Exec(ctx, "UPDATE inventory.stock_audit SET end_time = now() - interval '1 day' WHERE start_time IS NOT NULL"); err != nil {
		t.Fatal(err)
	}
	s.killAgain(ctx, t, auditBatch, kills)
	var ended bool
	var checked, there, drifted, found int
	for !ended {
		err := conn.QueryRow(ctx, `SELECT end_time IS NOT NULL, checked, (SELECT count(*) FROM inventory.stock), drifted,
			(SELECT count(*) FROM inventory.stock_drift WHERE sku LIKE 'audit-%') FROM inventory.stock_audit`).Scan(&ended, &checked, &there, &drifted, &found)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if checked != there || there < skus || drifted != wrong || found != wrong {
		t.Errorf("of %d SKUs %d were looked at, and %d found wrong (%d kept), want %d", there, checked, drifted, found, wrong)
	}
}
