package verify

import inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"

// stock checks what there is of a SKU.
func (b *book) stock(s *inventoryv1.StockFact) {
	sku, onHand, reserved := s.GetSku(), s.GetOnHand(), s.GetReserved()
	b.check(stockOnHand, sku, s.GetMoved() == onHand,
		"SKU %s has %d pieces on hand, but its movements add up to %d", sku, onHand, s.GetMoved())
	b.check(stockReserved, sku, s.GetHeld() == reserved,
		"SKU %s has %d pieces reserved, but its live reservations hold %d", sku, reserved, s.GetHeld())
	b.check(stockBounds, sku, 0 <= reserved && reserved <= onHand,
		"SKU %s has %d pieces reserved of %d on hand", sku, reserved, onHand)
}

// reservation checks a reservation against its order. What of it matters in the end is added to the order.
func (b *book) reservation(r *inventoryv1.ReservationFact) {
	if !isOrder(r.GetReference()) {
		return // Somebody else's.
	}
	o := b.of(r.GetReference())
	live := r.GetState() == inventoryv1.ReservationState_RESERVATION_STATE_HELD || r.GetState() == inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	state := word(r.GetState(), "RESERVATION_STATE_")
	b.check(orderUnknown, r.GetId(), o.known, "reservation %s (%s) is for order %s, which does not exist", r.GetId(), state, o.id)
	switch {
	case o.ended():
		b.check(holdEnded, o.id, !live, "order %s is %s, but its reservation %s is still %s", o.id, o.word(), r.GetId(), state)
	case o.bought():
		switch r.GetState() {
		case inventoryv1.ReservationState_RESERVATION_STATE_HELD:
			b.add(holdConfirmed, o.id, "order %s is %s, but its reservation %s is only held", o.id, o.word(), r.GetId())
		case inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED, inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED,
			inventoryv1.ReservationState_RESERVATION_STATE_RETURNED:
			o.committed++
			if r.GetId() != o.reservationID {
				b.add(holdConfirmed, o.id, "order %s names reservation %s, but %s is %s for it", o.id, none(o.reservationID), r.GetId(), state)
			}
			if got := lines(r.GetLines()); got != o.lines {
				b.add(holdConfirmed, o.id, "order %s is for %s, but its reservation %s has %s", o.id, o.lines, r.GetId(), got)
			}
		}
	}
}
