package orders_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/modules/inventory"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// twins are inventory and what the model of the checkout takes it for, which are asked for the same. Whatever is named is named apart
// for each run.
type twins struct {
	run   string
	ctx   context.Context
	real  inventoryv1connect.InventoryServiceClient
	stock orders.Stock
	ids   map[string]string // of the model's reservations, at inventory
}

func (w *twins) sku() string { return "mug" + w.run }

// requestID draws one of few, so that they come again.
func (w *twins) requestID(t *rapid.T, method string) string {
	return fmt.Sprint(method, rapid.IntRange(1, 4).Draw(t, method+" request id"), w.run)
}

// reservation draws one of the model's, or one that there is not.
func (w *twins) reservation(t *rapid.T) string {
	return fmt.Sprint("rsv_", rapid.IntRange(1, len(w.stock.Reservations)+1).Draw(t, "reservation"))
}

// id returns what a reservation of the model is called at inventory.
func (w *twins) id(own string) string {
	if id := w.ids[own]; id != "" {
		return id
	}
	return own
}

// same requires that both have answered the same.
func (w *twins) same(t *rapid.T, got *inventoryv1.Reservation, err error, want *inventoryv1.Reservation, wantErr error) {
	if rpc.Reason(err) != rpc.Reason(wantErr) || (err == nil) != (wantErr == nil) {
		t.Fatalf("inventory says %v, the model %v", err, wantErr)
	}
	if want != nil && w.ids[want.GetId()] == "" {
		w.ids[want.GetId()] = got.GetId()
	}
	if err == nil && (got.GetId() != w.ids[want.GetId()] || got.GetState() != want.GetState()) {
		t.Fatalf("inventory answers %v, the model %v", got, want)
	}
}

// Reserve reserves pieces under a new request id, one that was used, perhaps for something else, or one that is revoked.
func (w *twins) Reserve(t *rapid.T) {
	r := &inventoryv1.ReserveRequest{
		RequestId: w.requestID(t, "reserve"), Reference: "ord_1", Ttl: durationpb.New(time.Hour),
		Lines: []*inventoryv1.Line{{Sku: w.sku(), Quantity: rapid.Int64Range(1, 2).Draw(t, "quantity")}},
	}
	got, err := w.real.Reserve(w.ctx, r)
	want, wantErr := w.stock.Reserve(w.ctx, r)
	w.same(t, got.GetReservation(), err, want.GetReservation(), wantErr)
}

// Release releases a reservation.
func (w *twins) Release(t *rapid.T) {
	requestID, own := w.requestID(t, "release"), w.reservation(t)
	got, err := w.real.ReleaseReservation(w.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: requestID, Id: w.id(own)})
	want, wantErr := w.stock.ReleaseReservation(w.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: requestID, Id: own})
	w.same(t, got.GetReservation(), err, want.GetReservation(), wantErr)
}

// Revoke undoes a Reserve by its request id, whether it has come or not.
func (w *twins) Revoke(t *rapid.T) {
	r := &inventoryv1.ReleaseReservationRequest{RequestId: w.requestID(t, "revoke"), ReserveRequestId: w.requestID(t, "reserve")}
	got, err := w.real.ReleaseReservation(w.ctx, r)
	want, wantErr := w.stock.ReleaseReservation(w.ctx, r)
	w.same(t, got.GetReservation(), err, want.GetReservation(), wantErr)
}

// Commit commits a reservation.
func (w *twins) Commit(t *rapid.T) {
	requestID, own := w.requestID(t, "commit"), w.reservation(t)
	got, err := w.real.CommitReservation(w.ctx, &inventoryv1.CommitReservationRequest{RequestId: requestID, Id: w.id(own)})
	want, wantErr := w.stock.CommitReservation(w.ctx, &inventoryv1.CommitReservationRequest{RequestId: requestID, Id: own})
	w.same(t, got.GetReservation(), err, want.GetReservation(), wantErr)
}

// Extend has a hold last longer.
func (w *twins) Extend(t *rapid.T) {
	requestID, own, ttl := w.requestID(t, "extend"), w.reservation(t), durationpb.New(time.Hour)
	got, err := w.real.ExtendReservation(w.ctx, &inventoryv1.ExtendReservationRequest{RequestId: requestID, Id: w.id(own), Ttl: ttl})
	want, wantErr := w.stock.ExtendReservation(w.ctx, &inventoryv1.ExtendReservationRequest{RequestId: requestID, Id: own, Ttl: ttl})
	w.same(t, got.GetReservation(), err, want.GetReservation(), wantErr)
}

// Check compares what can be had.
func (w *twins) Check(t *rapid.T) {
	answer, err := w.real.BatchGetAvailability(w.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{w.sku()}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := answer.GetAvailabilities()[0].GetAvailable(), w.stock.OnHand[w.sku()]-w.stock.Reserved(w.sku()); got != want {
		t.Fatalf("inventory has %d pieces, the model %d", got, want)
	}
}

// The model of the checkout stands on what inventory does, not on what somebody believes of it.
func TestModelOfTheStockIsInventory(t *testing.T) {
	t.Parallel()
	h := moduletest.Start(t, inventory.Module)
	real := inventoryv1cleave.NewInventoryServiceClient(h.Caller("orders", inventoryv1cleave.InventoryService))
	ctx := moduletest.As(t, "usr_staff", "staff")
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		w := &twins{run: fmt.Sprint(" of run ", runs), ctx: ctx, real: real, ids: map[string]string{}}
		w.stock = orders.NewStock(map[string]int64{w.sku(): 4})
		if _, err := real.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{
			RequestId: "receive" + w.run, Adjustments: []*inventoryv1.StockAdjustment{{Sku: w.sku(), Delta: 4}},
		}); err != nil {
			r.Fatal(err)
		}
		r.Repeat(rapid.StateMachineActions(w))
	})
}
