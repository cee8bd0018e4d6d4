package inventory

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// dump returns everything that the module has written down of stock and reservations.
func (b *bundle) dump(t *testing.T) string {
	t.Helper()
	var rows []string
	for _, table := range []string{"stock", "movement", "reservation", "reservation_line", "stock_drift"} {
		rows = append(rows, moduletest.Query[string](t, b.House, "SELECT '"+table+"' || r::text FROM inventory."+table+" r ORDER BY 1")...)
	}
	return strings.Join(rows, "\n")
}

func TestEveryRequestHappensOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 100}, line{"b", 100})
	committed := func() string {
		id := b.hold(t, line{"a", 3})
		must(t, b.commit(id))
		return id
	}
	shipped := committed()
	must(t, b.ship(shipped))
	b.Exec(t, "UPDATE inventory.stock SET on_hand = on_hand - 1 WHERE sku = 'b'")
	held, toCommit, toRelease, toShip := b.hold(t, line{"a", 1}), b.hold(t, line{"a", 1}), b.hold(t, line{"a", 1}), committed()
	one, two := messages([]line{{"a", 1}}), messages([]line{{"a", 2}})
	calls := moduletest.Requests{
		"AdjustStock": func(other bool) (proto.Message, error) {
			return b.client.AdjustStock(b.ctx, &inventoryv1.AdjustStockRequest{RequestId: "same", Adjustments: []*inventoryv1.StockAdjustment{{Sku: "a", Delta: 1 + number(other)}}})
		},
		"Reserve": func(other bool) (proto.Message, error) {
			return b.client.Reserve(b.ctx, &inventoryv1.ReserveRequest{RequestId: "same", Reference: "ord_1", Lines: messages([]line{{"a", 1 + number(other)}})})
		},
		"CommitReservation": func(other bool) (proto.Message, error) {
			return b.client.CommitReservation(b.ctx, &inventoryv1.CommitReservationRequest{RequestId: "same", Id: either(other, toCommit, held)})
		},
		"ReleaseReservation": func(other bool) (proto.Message, error) {
			return b.client.ReleaseReservation(b.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: "same", Id: either(other, toRelease, held)})
		},
		"ExtendReservation": func(other bool) (proto.Message, error) {
			return b.client.ExtendReservation(b.ctx, &inventoryv1.ExtendReservationRequest{RequestId: "same", Id: held, Ttl: durationpb.New(2*time.Hour + time.Duration(number(other)))})
		},
		"ShipReservation": func(other bool) (proto.Message, error) {
			return b.client.ShipReservation(b.ctx, &inventoryv1.ShipReservationRequest{RequestId: "same", Id: toShip, Lines: either(other, one, two)})
		},
		"ReturnReservation": func(other bool) (proto.Message, error) {
			return b.client.ReturnReservation(b.ctx, &inventoryv1.ReturnReservationRequest{RequestId: "same", Id: shipped, Lines: either(other, one, two)})
		},
		"SetStockThresholds": func(other bool) (proto.Message, error) {
			return b.staff.SetStockThresholds(b.ctx, &inventoryv1.SetStockThresholdsRequest{
				RequestId: "same", Thresholds: []*inventoryv1.StockThreshold{{Sku: "a", LowAt: proto.Int64(number(other))}},
			})
		},
		"RepairStock": func(other bool) (proto.Message, error) {
			return b.staff.RepairStock(b.ctx, &inventoryv1.RepairStockRequest{RequestId: "same", Skus: []string{"b"}, Reason: either(other, "this", "that")})
		},
	}
	calls.HappenOnce(t, Module.Serves, func() string { return b.dump(t) }, func(name, before, after string) {
		changed := 0
		for _, row := range strings.Split(after, "\n") {
			if strings.HasPrefix(row, "movement") && !strings.Contains(before, row) {
				changed++
			}
		}
		if changed > 1 {
			t.Errorf("%s has moved the stock %d times", name, changed)
		}
	})
	b.consistent(t)
}

func number(other bool) int64 {
	if other {
		return 1
	}
	return 0
}

func either[T any](other bool, this, that T) T {
	if other {
		return that
	}
	return this
}

// What nobody can mean gets an answer that says what is wrong with it, and changes nothing.
func TestImpossibleRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10})
	lines := func(n int) []*inventoryv1.Line { return slices.Repeat(messages([]line{{"a", 1}}), n) }
	adjust := func(n int, delta int64) error {
		_, err := b.client.AdjustStock(b.ctx, &inventoryv1.AdjustStockRequest{
			RequestId: b.requestID(), Adjustments: slices.Repeat([]*inventoryv1.StockAdjustment{{Sku: "a", Delta: delta}}, n),
		})
		return err
	}
	reserve := func(list []*inventoryv1.Line) error {
		_, err := b.client.Reserve(b.ctx, &inventoryv1.ReserveRequest{RequestId: b.requestID(), Reference: "ord_1", Lines: list})
		return err
	}
	thresholds := func(n int, lowAt int64) error {
		_, err := b.staff.SetStockThresholds(b.ctx, &inventoryv1.SetStockThresholdsRequest{
			RequestId: b.requestID(), Thresholds: slices.Repeat([]*inventoryv1.StockThreshold{{Sku: "a", LowAt: proto.Int64(lowAt)}}, n),
		})
		return err
	}
	before := b.dump(t)
	for name, c := range map[string]struct {
		err  error
		code connect.Code
		says string
	}{
		"10,000 lines":                  {reserve(lines(10_000)), connect.CodeInvalidArgument, "lines: must contain no more than 1000"},
		"a negative quantity":           {reserve(messages([]line{{"a", -1}})), connect.CodeInvalidArgument, "lines[0].quantity: must be greater than or equal to 1"},
		"a quantity without bounds":     {reserve(messages([]line{{"a", 1 << 62}, {"a", 1 << 62}})), connect.CodeInvalidArgument, "lines[0].quantity: must be greater than or equal to 1 and less than or equal to 1000000"},
		"as much as can be asked for":   {reserve(slices.Repeat(messages([]line{{"a", 1_000_000}}), 1000)), connect.CodeFailedPrecondition, "a: 1000000000 pieces are wanted, 10 can be sold"},
		"10,000 adjustments":            {adjust(10_000, 1), connect.CodeInvalidArgument, "adjustments: must contain no more than 1000"},
		"more than a house holds":       {adjust(1, 1<<62), connect.CodeInvalidArgument, "adjustments[0].delta: must be greater than or equal to -1000000000 and less than or equal to 1000000000"},
		"much, again and again":         {adjust(1000, 1_000_000_000), connect.CodeFailedPrecondition, "a: there would be more than 1000000000000 pieces"},
		"less than nothing":             {adjust(1000, -1_000_000_000), connect.CodeFailedPrecondition, "a: 10 pieces can be taken away, not 1000000000000"},
		"10,000 thresholds":             {thresholds(10_000, 1), connect.CodeInvalidArgument, "thresholds: must contain no more than 1000"},
		"a negative threshold":          {thresholds(1, -1), connect.CodeInvalidArgument, "thresholds[0].low_at: must be greater than or equal to 0"},
		"a page of what is less than 0": {second(b.staff.ListStock(b.ctx, &inventoryv1.ListStockRequest{PageSize: -1})), connect.CodeInvalidArgument, "page_size: must be greater than or equal to 0"},
		"the availability of 10,000":    {second(b.client.BatchGetAvailability(b.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: slices.Repeat([]string{"a"}, 10_000)})), connect.CodeInvalidArgument, "skus: must contain no more than 200"},
		"the repair of nothing":         {second(b.staff.RepairStock(b.ctx, &inventoryv1.RepairStockRequest{RequestId: "1"})), connect.CodeInvalidArgument, "skus: must contain at least 1"},
	} {
		if connect.CodeOf(c.err) != c.code || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v, want %s: %s", name, c.err, c.code, c.says)
		}
	}
	if b.dump(t) != before {
		t.Error("they have changed something")
	}
}

func second[T any](_ T, err error) error { return err }
