package inventory

import (
	"slices"
	"testing"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// What is shipped goes, what is returned comes, and both can be traced to the reservation.
func TestShippingMovesStock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	back, broken := b.hold(t, line{"b", 1}, line{"a", 2}), b.hold(t, line{"a", 1})
	for _, id := range []string{back, broken} {
		must(t, b.commit(id))
		must(t, b.ship(id))
	}
	b.available(t, "a", 2)
	b.available(t, "b", 4)
	must(t, b.giveBack(back))
	_, err := b.client.ReturnReservation(b.ctx, &inventoryv1.ReturnReservationRequest{RequestId: "broken", Id: broken, Discard: true})
	must(t, err)
	b.available(t, "a", 4)
	b.available(t, "b", 5)
	got := moduletest.Query[string](t, b.House, "SELECT sku || delta || ' ' || reason || ' ' || reservation_id FROM inventory.movement WHERE reservation_id IS NOT NULL ORDER BY id")
	want := []string{"a-2 shipped " + back, "b-1 shipped " + back, "a-1 shipped " + broken, "a2 returned " + back, "b1 returned " + back}
	if !slices.Equal(got, want) {
		t.Errorf("movements %q, want %q", got, want)
	}
	b.consistent(t)
}

// A reservation may go in several parcels, of which parts come back, and of which some never goes.
func TestShippingInParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 10})
	id := b.hold(t, line{"a", 3}, line{"b", 2})
	if err := b.commit(id); err != nil {
		t.Fatal(err)
	}
	first := &inventoryv1.ShipReservationRequest{RequestId: "parcel 1", Id: id, Lines: messages([]line{{"a", 1}, {"b", 1}, {"a", 1}})}
	for range 2 { // The repetition ships nothing.
		answer, err := b.client.ShipReservation(b.ctx, first)
		if err != nil || answer.GetReservation().GetState() != inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED {
			t.Fatalf("%v, %v, want it committed still", answer, err)
		}
	}
	if got := moduletest.Query[string](t, b.House, "SELECT sku || delta FROM inventory.movement WHERE reservation_id = $1 ORDER BY id", id); !slices.Equal(got, []string{"a-2", "b-1"}) {
		t.Errorf("what has gone is written down as %v", got)
	}
	_, err := b.client.ShipReservation(b.ctx, &inventoryv1.ShipReservationRequest{RequestId: "too many", Id: id, Lines: messages([]line{{"a", 2}})})
	refused(t, err, "TOO_MANY")
	_, err = b.client.ReturnReservation(b.ctx, &inventoryv1.ReturnReservationRequest{RequestId: "never went", Id: id, Lines: messages([]line{{"a", 3}})})
	refused(t, err, "TOO_MANY")
	refused(t, b.release(id), "PARTLY_SHIPPED")
	if _, err := b.client.ReturnReservation(b.ctx, &inventoryv1.ReturnReservationRequest{RequestId: "back", Id: id, Lines: messages([]line{{"a", 1}})}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.ReleaseReservation(b.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: "not wanted", Id: id, Lines: messages([]line{{"a", 1}})}); err != nil {
		t.Fatal(err)
	}
	b.consistent(t)
	b.available(t, "a", 9) // Ten, of which one is with somebody.
	b.available(t, "b", 8) // One has gone, and one is to go.
	if err := b.ship(id); err != nil {
		t.Fatal(err)
	}
	if got := b.stateOf(t, id); got != inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED {
		t.Errorf("it is %s", got)
	}
	if err := b.giveBack(id); err != nil {
		t.Fatal(err)
	}
	if got := b.stateOf(t, id); got != inventoryv1.ReservationState_RESERVATION_STATE_RETURNED {
		t.Errorf("it is %s", got)
	}
	b.available(t, "a", 10)
	b.available(t, "b", 10)
	b.consistent(t)
}

// Whoever ships the same pieces at once, they go once.
func TestPartsAreShippedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10})
	id := b.hold(t, line{"a", 3})
	if err := b.commit(id); err != nil {
		t.Fatal(err)
	}
	shipped := make(chan error, 8)
	for range cap(shipped) {
		go func() {
			_, err := b.client.ShipReservation(b.ctx, &inventoryv1.ShipReservationRequest{RequestId: b.requestID(), Id: id, Lines: messages([]line{{"a", 1}})})
			shipped <- err
		}()
	}
	gone := 0
	for range cap(shipped) {
		if err := <-shipped; err == nil {
			gone++
		} else if reason := rpc.Reason(err); reason != "TOO_MANY" && reason != "RESERVATION_STATE_SHIPPED" {
			t.Error(err)
		}
	}
	if gone != 3 {
		t.Errorf("3 pieces were shipped %d times", gone)
	}
	b.available(t, "a", 7)
	b.consistent(t)
}
