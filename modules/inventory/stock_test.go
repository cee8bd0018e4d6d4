package inventory

import (
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

func TestAdjustStockKeepsWhatIsReserved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	b.hold(t, line{"a", 3})
	refused(t, b.adjust(line{"b", 1}, line{"a", -3}), "STOCK_BELOW_RESERVED")
	refused(t, b.adjust(line{"unknown", -1}), "STOCK_BELOW_RESERVED")
	b.available(t, "a", 2)
	b.available(t, "b", 5) // All or nothing.
	if err := b.adjust(line{"a", -2}); err != nil {
		t.Error(err)
	}
	if err := b.adjust(line{"a", -3}, line{"a", 4}); err != nil { // It is what comes out that counts.
		t.Error(err)
	}
	b.available(t, "a", 1)
	b.consistent(t)
}

func TestAdjustStockAnswersWhatCanBeSold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	b.hold(t, line{"a", 2})
	answer, err := b.client.AdjustStock(b.ctx, &inventoryv1.AdjustStockRequest{RequestId: "1", Adjustments: []*inventoryv1.StockAdjustment{
		{Sku: "b", Delta: 7}, {Sku: "a", Delta: 1}, {Sku: "a", Delta: 1},
	}})
	want := []*inventoryv1.Availability{{Sku: "a", Available: 5}, {Sku: "b", Available: 7}}
	if err != nil || !slices.EqualFunc(answer.GetAvailabilities(), want, func(a, b *inventoryv1.Availability) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v, %v, want %v", answer, err, want)
	}
}

// Every change of the stock leaves a movement that says why, and which nobody can change.
func TestMovements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 2}, line{"a", -1})
	refused(t, b.adjust(line{"a", -100}), "STOCK_BELOW_RESERVED")
	got := moduletest.Query[string](t, b.House, "SELECT sku || delta || ' ' || reason FROM inventory.movement ORDER BY id")
	if want := []string{"a5 as the test wants it", "b2 as the test wants it", "a-1 as the test wants it"}; !slices.Equal(got, want) {
		t.Errorf("movements %q, want %q", got, want)
	}
	for _, statement := range []string{"UPDATE movement SET delta = 0", "DELETE FROM movement", "TRUNCATE movement", "DROP TABLE movement"} {
		_, err := b.Hosts["inventory"].DB.Pool().Exec(b.ctx, statement)
		if sqlState(err) != "42501" {
			t.Errorf("the module, %s: %v, want insufficient privilege", statement, err)
		}
	}
}

// Whatever the program does wrong, the database sells nothing that is not there.
func TestDatabaseRefusesImpossibleStock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	id := b.hold(t, line{"a", 3})
	pool := b.Hosts["inventory"].DB.Pool()
	for _, statement := range []string{
		"UPDATE stock SET reserved = 6", "UPDATE stock SET reserved = -1", "UPDATE stock SET on_hand = 2", "UPDATE stock SET on_hand = -1, reserved = -1",
		"INSERT INTO stock (sku, on_hand, reserved) VALUES ('b', 0, 1)",
		"INSERT INTO reservation_line (reservation_id, sku, quantity) VALUES ('" + id + "', 'b', 0)",
		"UPDATE reservation_line SET quantity = -1",
	} {
		if _, err := pool.Exec(b.ctx, statement, pgx.QueryExecModeSimpleProtocol); sqlState(err) != "23514" {
			t.Errorf("%s: %v, want a check violation", statement, err)
		}
	}
}

func TestAvailabilityAnswersInTheOrderOfTheQuestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 2})
	answer, err := b.client.BatchGetAvailability(b.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{"b", "unknown", "a", "b"}})
	want := []*inventoryv1.Availability{{Sku: "b", Available: 2}, {Sku: "unknown"}, {Sku: "a", Available: 5}, {Sku: "b", Available: 2}}
	if err != nil || !slices.EqualFunc(answer.GetAvailabilities(), want, func(a, b *inventoryv1.Availability) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v, %v, want %v", answer, err, want)
	}
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
