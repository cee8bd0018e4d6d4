package inventory

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
)

// stockFacts returns all facts of the stock.
func (b *bundle) stockFacts(t *testing.T) (facts []*inventoryv1.StockFact) {
	t.Helper()
	stream, err := b.facts.StreamStockFacts(b.ctx, &inventoryv1.StreamStockFactsRequest{})
	must(t, err)
	defer stream.Close()
	for stream.Receive() {
		facts = append(facts, stream.Msg().GetFacts()...)
	}
	must(t, stream.Err())
	return facts
}

// reservationFacts returns all facts of reservations.
func (b *bundle) reservationFacts(t *testing.T) (facts []*inventoryv1.ReservationFact) {
	t.Helper()
	stream, err := b.facts.StreamReservationFacts(b.ctx, &inventoryv1.StreamReservationFactsRequest{})
	must(t, err)
	defer stream.Close()
	for stream.Receive() {
		facts = append(facts, stream.Msg().GetFacts()...)
	}
	must(t, stream.Err())
	return facts
}

// What should be there is recomputed: figures that were changed behind the module's back do not hide.
func TestStockFactsShowDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 10}, line{"c", 10}, line{"a", -1})
	b.hold(t, line{"a", 1})
	must(t, b.commit(b.hold(t, line{"a", 2}, line{"b", 1})))
	gone := b.hold(t, line{"a", 3})
	must(t, b.commit(gone))
	must(t, b.ship(gone))
	must(t, b.release(b.hold(t, line{"a", 1})))
	b.Exec(t, "UPDATE inventory.stock SET reserved = 5 WHERE sku = 'b'")
	b.Exec(t, "UPDATE inventory.stock SET on_hand = 7 WHERE sku = 'c'")
	want := []*inventoryv1.StockFact{
		{Sku: "a", OnHand: 6, Reserved: 3, Moved: 6, Held: 3},
		{Sku: "b", OnHand: 10, Reserved: 5, Moved: 10, Held: 1},
		{Sku: "c", OnHand: 7, Moved: 10},
	}
	if got := b.stockFacts(t); !slices.EqualFunc(got, want, func(a, b *inventoryv1.StockFact) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestReservationFacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 10})
	reservation, err := b.reserve(line{"b", 1}, line{"a", 2})
	must(t, err)
	must(t, b.commit(reservation.GetId()))
	got := b.reservationFacts(t)
	want := &inventoryv1.ReservationFact{
		Id: reservation.GetId(), Reference: "ord_1", State: inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED,
		ExpireTime: reservation.GetExpireTime(), Lines: reservation.GetLines(),
	}
	if len(got) != 1 || !proto.Equal(got[0], want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Facts come in pages, of which none is lost and none comes twice.
func TestFactsOfManyPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Exec(t, "INSERT INTO inventory.stock (sku) SELECT 'sku ' || n FROM generate_series(1, $1) AS n", 2*stockPage)
	b.Exec(t, `INSERT INTO inventory.reservation (id, reference, state, expire_time)
		SELECT 'rsv_' || n, 'ord_1', 'released', now() FROM generate_series(1, $1) AS n`, 2*reservationPage+1)
	seen := map[string]bool{}
	for _, fact := range b.stockFacts(t) {
		seen[fact.GetSku()] = true
	}
	if got := len(b.stockFacts(t)); got != 2*stockPage || len(seen) != got {
		t.Errorf("%d facts of %d SKUs, want %d", got, len(seen), 2*stockPage)
	}
	clear(seen)
	for _, fact := range b.reservationFacts(t) {
		seen[fact.GetId()] = true
	}
	if got := len(b.reservationFacts(t)); got != 2*reservationPage+1 || len(seen) != got {
		t.Errorf("%d facts of %d reservations, want %d", got, len(seen), 2*reservationPage+1)
	}
}
