package inventory

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// auditDue lets the time come for the next pass.
func (b *bundle) auditDue(t testing.TB) {
	t.Helper()
	b.Exec(t, "UPDATE inventory.stock_audit SET end_time = now() - interval '1 day' WHERE end_time IS NOT NULL")
}

// auditAll makes a pass over the whole stock.
func (b *bundle) auditAll(t testing.TB) {
	t.Helper()
	b.auditDue(t)
	for moduletest.Value[bool](t, b.House, "SELECT end_time IS NULL OR end_time < now() - interval '1 hour' FROM inventory.stock_audit") {
		if err := b.service.audit(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// drifts returns what the audit has found, without the times.
func (b *bundle) drifts(t testing.TB) (found []*inventoryv1.StockDrift) {
	t.Helper()
	r := &inventoryv1.ListStockDriftsRequest{PageSize: 1}
	for {
		page, err := b.staff.ListStockDrifts(b.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetDrifts() {
			if d.GetCreateTime() == nil || d.GetUpdateTime() == nil {
				t.Errorf("%v does not tell when it was found", d)
			}
			d.CreateTime, d.UpdateTime = nil, nil
			found = append(found, d)
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return found
		}
	}
}

func (b *bundle) repair(skus ...string) ([]*inventoryv1.StockDrift, error) {
	answer, err := b.staff.RepairStock(b.ctx, &inventoryv1.RepairStockRequest{RequestId: b.requestID(), Skus: skus, Reason: "planted"})
	return answer.GetRepaired(), err
}

func equal[M proto.Message](got, want []M) bool {
	return slices.EqualFunc(got, want, func(a, b M) bool { return proto.Equal(a, b) })
}

// gauge returns what a metric says.
func gauge(t testing.TB, of prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := of.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// What was changed behind the module's back is found, told of and repaired, and the repair is written down.
func TestDriftIsFoundAndRepaired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 10}, line{"c", 10}, line{"d", 10})
	must(t, b.commit(b.hold(t, line{"a", 2}, line{"b", 1})))
	b.auditAll(t)
	if found := b.drifts(t); found != nil || gauge(t, b.service.drifts) != 0 {
		t.Fatalf("in a stock that is right it found %v", found)
	}
	b.Exec(t, "UPDATE inventory.stock SET reserved = 5 WHERE sku = 'b'")
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 7 WHERE sku = 'c'")
	want := []*inventoryv1.StockDrift{{Sku: "b", OnHand: 10, Moved: 10, Reserved: 5, Held: 1}, {Sku: "c", OnHand: 7, Moved: 10}}
	for range 2 { // What is found again is one finding.
		b.auditAll(t)
		if found := b.drifts(t); !equal(found, want) || gauge(t, b.service.drifts) != 2 {
			t.Fatalf("it found %v, want %v", found, want)
		}
	}
	repaired, err := b.repair("d", "c", "b", "a", "b")
	if err != nil || !equal(repaired, want) {
		t.Errorf("repaired %v, %v, want %v", repaired, err, want)
	}
	b.consistent(t)
	if found := b.drifts(t); found != nil {
		t.Errorf("after the repair there are still %v", found)
	}
	said := moduletest.Query[string](t, b.House, "SELECT sku || ' ' || reason || ' ' || user_id FROM inventory.movement WHERE delta = 0 ORDER BY id")
	if want := []string{"b repaired: on hand 10, now 10; reserved 5, now 1: planted usr_staff", "c repaired: on hand 7, now 10; reserved 0, now 0: planted usr_staff"}; !slices.Equal(said, want) {
		t.Errorf("it was written down as %q, want %q", said, want)
	}
	if repaired, err := b.repair("a", "b"); err != nil || repaired != nil {
		t.Errorf("what is right was repaired: %v, %v", repaired, err)
	}
	if _, err := b.repair("a", "unknown"); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("repair of what is not known: %v", err)
	}
}

// A finding that has become right, by whatever hand, is one no more.
func TestAuditForgetsWhatIsRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"z", 10})
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 9 WHERE sku = 'a'")
	b.Exec(t, "INSERT INTO inventory.stock_drift (sku, on_hand, moved, reserved, held) VALUES ('zz is gone', 1, 2, 0, 0)")
	b.auditAll(t)
	if n := len(b.drifts(t)); n != 1 {
		t.Fatalf("there are %d findings, want that of a", n)
	}
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 10 WHERE sku = 'a'")
	b.auditAll(t)
	if found := b.drifts(t); found != nil || gauge(t, b.service.drifts) != 0 {
		t.Errorf("it still has %v", found)
	}
}

// Movements that say that there is less than is reserved cannot be all there is to it: somebody has to say what is missing.
func TestRepairNeverPromisesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 8 WHERE sku = 'a'")
	b.hold(t, line{"a", 7})
	_, err := b.repair("a")
	refused(t, err, "STOCK_BELOW_RESERVED")
	if err != nil && !strings.Contains(err.Error(), "adjust the stock by 2 first") {
		t.Errorf("%v does not say what to do", err)
	}
	b.receive(t, line{"a", 2})
	if _, err := b.repair("a"); err != nil {
		t.Fatal(err)
	}
	b.available(t, "a", 0)
	b.consistent(t)
}

// While customers buy and parcels go nothing is taken for a drift that is none, and a repair takes nothing from anybody.
func TestRepairWhileCustomersBuy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	skus := []string{"a", "b", "c"}
	for _, sku := range skus {
		b.receive(t, line{sku, 1000})
	}
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 1100, reserved = 50 WHERE sku = 'b'")
	done := make(chan struct{})
	var buying, looking sync.WaitGroup
	for range 4 {
		buying.Go(func() {
			for range 15 {
				id, err := b.reserve(line{"c", 1}, line{"b", 1}, line{"a", 1})
				if err != nil {
					t.Errorf("reserve: %v", err)
					return
				}
				for _, end := range []func(string) error{b.commit, b.ship, b.giveBack} {
					if err := end(id.GetId()); err != nil {
						t.Errorf("end: %v", err)
					}
				}
			}
		})
	}
	repairs := 0
	looking.Go(func() {
		for {
			b.auditAll(t)
			for _, d := range b.drifts(t) {
				if d.GetSku() != "b" || d.GetOnHand()-d.GetMoved() != 100 || d.GetReserved()-d.GetHeld() != 50 {
					t.Errorf("it found %v", d)
				}
			}
			select {
			case <-done:
				return
			default:
			}
			if repaired, err := b.repair(skus...); err != nil {
				t.Errorf("repair: %v", err)
			} else {
				repairs += len(repaired)
			}
		}
	})
	buying.Wait()
	close(done)
	looking.Wait()
	if repairs != 1 {
		t.Errorf("%d SKUs were repaired, want 1", repairs)
	}
	b.consistent(t)
}

// A pass goes on where it was, also when another replica is asked, and two are never at it at once.
func TestAuditGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 2*maxAudited + 1
	b.Exec(t, "INSERT INTO inventory.stock (sku, on_hand) SELECT 'sku ' || lpad(n::text, 5, '0'), CASE WHEN n IN (1, $1) THEN 1 ELSE 0 END FROM generate_series(1, $1::int) AS n", count)
	if more, err := b.service.auditBatch(b.ctx); !more || err != nil {
		t.Fatalf("the first batch: %t, %v", more, err)
	}
	if n := len(b.drifts(t)); n != 1 {
		t.Errorf("after the first batch there are %d findings, want 1", n)
	}
	tx, err := b.service.store.Pool().Begin(b.ctx)
	must(t, err)
	defer tx.Rollback(b.ctx)
	_, err = tx.Exec(b.ctx, "SELECT FROM stock_audit FOR UPDATE") // Another replica.
	must(t, err)
	must(t, b.service.audit(b.ctx))
	if got := moduletest.Value[int64](t, b.House, "SELECT checked FROM inventory.stock_audit"); got != maxAudited {
		t.Errorf("while another replica is at it %d SKUs were looked at, want %d", got, maxAudited)
	}
	must(t, tx.Rollback(b.ctx))
	must(t, b.service.audit(b.ctx))
	if n := len(b.drifts(t)); n != 2 {
		t.Errorf("in the end there are %d findings, want 2", n)
	}
	began := moduletest.Value[time.Time](t, b.House, "SELECT start_time FROM inventory.stock_audit")
	if got := gauge(t, b.service.audited); math.Abs(got-float64(began.UnixMilli())/1000) > 0.01 {
		t.Errorf("the metric says that it began at %v, want %v", got, began.Unix())
	}
	ended := moduletest.Value[time.Time](t, b.House, "SELECT end_time FROM inventory.stock_audit WHERE checked = $1 AND drifted = 2", count)
	must(t, b.service.audit(b.ctx)) // None is due.
	if again := moduletest.Value[time.Time](t, b.House, "SELECT end_time FROM inventory.stock_audit"); again != ended {
		t.Error("the next pass began at once")
	}
}

// Nobody has to ask for it.
func TestStockIsAudited(t *testing.T) {
	t.Parallel()
	b := start(t, Module)
	moduletest.Eventually(t, "the first pass has ended", func() bool {
		return moduletest.Value[bool](t, b.House, "SELECT end_time IS NOT NULL FROM inventory.stock_audit")
	})
}
