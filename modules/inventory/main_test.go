package inventory

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) {
	// Each step of the property test is a transaction. The command line wins.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	postgrestest.Main(m)
}

// bundle is the module at work, called by another.
type bundle struct {
	*moduletest.House
	client  inventoryv1connect.InventoryServiceClient
	staff   inventoryv1connect.StockServiceClient
	facts   inventoryv1connect.FactServiceClient
	service *service
	ctx     context.Context
	ids     atomic.Int64
}

// setup starts the module without its sweeps, which a test calls when it wants them.
func setup(t *testing.T) *bundle {
	t.Helper()
	var s *service
	m := Module
	m.Build = func(host *module.Host) ([]rpc.Handler, error) {
		s = newService(host)
		return s.handlers(), nil
	}
	b := start(t, m)
	b.service = s
	return b
}

func start(t *testing.T, m module.Module) *bundle {
	t.Helper()
	h := moduletest.Start(t, m)
	caller := h.Caller("orders", m.Serves...)
	return &bundle{House: h, ctx: moduletest.As(t, "usr_staff", "staff"),
		client: inventoryv1cleave.NewInventoryServiceClient(caller), staff: inventoryv1cleave.NewStockServiceClient(caller),
		facts: inventoryv1cleave.NewFactServiceClient(caller)}
}

// requestID returns one that has not been used.
func (b *bundle) requestID() string { return fmt.Sprint("request ", b.ids.Add(1)) }

// adjust changes the stock.
func (b *bundle) adjust(lines ...line) error {
	r := &inventoryv1.AdjustStockRequest{RequestId: b.requestID()}
	for _, l := range lines {
		r.Adjustments = append(r.Adjustments, &inventoryv1.StockAdjustment{Sku: l.sku, Delta: l.quantity, Reason: "as the test wants it"})
	}
	_, err := b.client.AdjustStock(b.ctx, r)
	return err
}

// receive adds to the stock.
func (b *bundle) receive(t *testing.T, lines ...line) {
	t.Helper()
	if err := b.adjust(lines...); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) reserve(lines ...line) (*inventoryv1.Reservation, error) {
	return b.reserveAs(b.requestID(), lines...)
}

func (b *bundle) reserveAs(requestID string, lines ...line) (*inventoryv1.Reservation, error) {
	r := &inventoryv1.ReserveRequest{RequestId: requestID, Reference: "ord_1", Ttl: durationpb.New(time.Hour)}
	for _, l := range lines {
		r.Lines = append(r.Lines, &inventoryv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
	answer, err := b.client.Reserve(b.ctx, r)
	return answer.GetReservation(), err
}

// hold reserves lines.
func (b *bundle) hold(t *testing.T, lines ...line) string {
	t.Helper()
	reservation, err := b.reserve(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return reservation.GetId()
}

func (b *bundle) commit(id string) error {
	_, err := b.client.CommitReservation(b.ctx, &inventoryv1.CommitReservationRequest{RequestId: b.requestID(), Id: id})
	return err
}

func (b *bundle) release(id string) error {
	_, err := b.client.ReleaseReservation(b.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: b.requestID(), Id: id})
	return err
}

// undo releases what a Reserve with the request id has made, or will have made.
func (b *bundle) undo(reserveRequestID string) (*inventoryv1.Reservation, error) {
	answer, err := b.client.ReleaseReservation(b.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: b.requestID(), ReserveRequestId: reserveRequestID})
	return answer.GetReservation(), err
}

func (b *bundle) extend(id string, ttl time.Duration) error {
	_, err := b.client.ExtendReservation(b.ctx, &inventoryv1.ExtendReservationRequest{RequestId: b.requestID(), Id: id, Ttl: durationpb.New(ttl)})
	return err
}

func (b *bundle) ship(id string) error {
	_, err := b.client.ShipReservation(b.ctx, &inventoryv1.ShipReservationRequest{RequestId: b.requestID(), Id: id})
	return err
}

// giveBack returns what was shipped.
func (b *bundle) giveBack(id string) error {
	_, err := b.client.ReturnReservation(b.ctx, &inventoryv1.ReturnReservationRequest{RequestId: b.requestID(), Id: id})
	return err
}

// letPass lets the time of holds pass; of all if none is named.
func (b *bundle) letPass(t *testing.T, ids ...string) {
	t.Helper()
	b.Exec(t, "UPDATE inventory.reservation SET expire_time = now() - interval '1 second' WHERE state = 'held' AND (id = ANY($1) OR $1 IS NULL)", ids)
}

// stateOf returns the state of a reservation.
func (b *bundle) stateOf(t *testing.T, id string) inventoryv1.ReservationState {
	t.Helper()
	answer, err := b.client.GetReservation(b.ctx, &inventoryv1.GetReservationRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetReservation().GetState()
}

// available requires how many pieces of a SKU can be sold.
func (b *bundle) available(t *testing.T, sku string, want int64) {
	t.Helper()
	answer, err := b.client.BatchGetAvailability(b.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{sku}})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetAvailabilities()[0].GetAvailable(); got != want {
		t.Errorf("%d pieces of %s can be sold, want %d", got, sku, want)
	}
}

// refused requires that an error is a refusal with a reason.
func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || rpc.Reason(err) != reason {
		t.Errorf("%v, want a refusal because of %s", err, reason)
	}
}

// consistent requires what must always hold of the stock.
func (b *bundle) consistent(t testing.TB) {
	t.Helper()
	for what, query := range map[string]string{
		"0 <= reserved <= on hand": "SELECT sku FROM inventory.stock WHERE reserved < 0 OR reserved > on_hand",
		"reserved = what live reservations claim": `SELECT sku FROM inventory.stock s WHERE reserved <> (SELECT coalesce(sum(l.quantity - l.shipped - l.withdrawn), 0)
			FROM inventory.reservation_line l JOIN inventory.reservation r ON r.id = l.reservation_id WHERE l.sku = s.sku AND r.state IN ('held', 'committed'))`,
		"on hand = what came and went": "SELECT sku FROM inventory.stock s WHERE on_hand <> (SELECT coalesce(sum(delta), 0) FROM inventory.movement m WHERE m.sku = s.sku)",
		"what was shipped has gone": `SELECT r.id FROM inventory.reservation r JOIN inventory.reservation_line l ON l.reservation_id = r.id
			WHERE -l.shipped <> (SELECT coalesce(sum(delta), 0) FROM inventory.movement m
				WHERE m.reservation_id = r.id AND m.sku = l.sku AND m.reason = 'shipped')`,
		"claims are on stock": "SELECT sku FROM inventory.reservation_line l WHERE NOT EXISTS (SELECT FROM inventory.stock s WHERE s.sku = l.sku)",
	} {
		if wrong := moduletest.Query[string](t, b.House, query); len(wrong) > 0 {
			t.Errorf("not true of %q: %s", wrong, what)
		}
	}
}
