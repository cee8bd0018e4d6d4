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
			if r.GetId() == o.reservationID {
				b.handled(o, r)
			}
			if got := lines(r.GetLines()); got != o.lines {
				b.add(holdConfirmed, o.id, "order %s is for %s, but its reservation %s has %s", o.id, o.lines, r.GetId(), got)
			}
		}
	}
}

// handled checks what became of the pieces of an order against what became of those of its reservation.
func (b *book) handled(o *order, r *inventoryv1.ReservationFact) {
	said := func(sku string, list []*inventoryv1.Line) int64 {
		for _, l := range list {
			if l.GetSku() == sku {
				return l.GetQuantity()
			}
		}
		return 0
	}
	for _, l := range o.pieces {
		b.check(piecesHandled, o.id, l.GetShipped()+l.GetCancelled() <= l.GetQuantity() && l.GetReturned() <= l.GetShipped(),
			"order %s is for %d pieces of %s, of which %d were shipped, %d came back and %d are not sent",
			o.id, l.GetQuantity(), l.GetSku(), l.GetShipped(), l.GetReturned(), l.GetCancelled())
		shipped, returned, withdrawn := said(l.GetSku(), r.GetShipped()), said(l.GetSku(), r.GetReturned()), said(l.GetSku(), r.GetWithdrawn())
		b.check(piecesHandled, o.id, shipped == l.GetShipped() && returned == l.GetReturned() && withdrawn == l.GetCancelled(),
			"of %s %d pieces of order %s were shipped, %d came back and %d are not sent, but of its reservation %s that is %d, %d and %d: see cleave sagas list",
			l.GetSku(), l.GetShipped(), o.id, l.GetReturned(), l.GetCancelled(), r.GetId(), shipped, returned, withdrawn)
	}
}
