package verify

// tally says what became of orders that somebody was told of.
type tally struct{ acknowledged, terminal, open, lost int }

// acknowledged checks that none of the orders is lost, and counts what became of them. Nil means all orders of the house.
func (b *book) acknowledged(ids []string) {
	if ids == nil {
		for _, id := range b.ids {
			if b.orders[id].known {
				ids = append(ids, id)
			}
		}
	}
	counted := make(map[string]bool, len(ids))
	for _, id := range ids {
		if counted[id] { // Somebody asked twice.
			continue
		}
		counted[id] = true
		o := b.orders[id]
		lost := o == nil || !o.known
		b.check(orderLost, id, !lost, "order %s was acknowledged and does not exist", id)
		b.tally.acknowledged++
		switch {
		case lost:
			b.tally.lost++
		case o.open():
			b.tally.open++
		default:
			b.tally.terminal++
		}
	}
}
