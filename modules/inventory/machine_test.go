package inventory

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// claims reports whether a reservation in this state has pieces of the stock set aside.
func (s state) claims() bool { return s == held || s == committed }

// claim is what the model knows of a reservation.
type claim struct {
	id, requestID string
	lines         []line
	state         state
	overdue       bool
	// By SKU, of a reservation that was committed: what has gone, come back, and been given back instead.
	gone, back, withdrawn map[string]int64
}

// left returns how many pieces of a line are set aside.
func (c *claim) left(l line) int64 { return l.quantity - c.gone[l.sku] - c.withdrawn[l.sku] }

// out returns how many pieces of a line have gone and not come back.
func (c *claim) out(l line) int64 { return c.gone[l.sku] - c.back[l.sku] }

// model is the inventory in a few lines: what is on hand and who has a claim on it.
type model struct {
	b      *bundle
	t      *testing.T // What fails for a reason that is not the model's fails it.
	skus   []string
	onHand map[string]int64
	claims []*claim
	// lowAt are the thresholds, told is what the last event of a SKU said, and tellings how many there were.
	lowAt    map[string]int64
	told     map[string]bool
	tellings map[string]int64
}

// low reports whether a SKU is low: no more is there that nobody has a claim on than its threshold says.
func (m *model) low(sku string) bool {
	lowAt, has := m.lowAt[sku]
	return has && m.onHand[sku]-m.reserved(sku, true) <= lowAt
}

// reserved returns how many pieces of a SKU are claimed; by live holds and committed reservations only, if overdue ones do not count.
func (m *model) reserved(sku string, withOverdue bool) (sum int64) {
	for _, c := range m.claims {
		if !c.state.claims() || c.overdue && c.state == held && !withOverdue {
			continue
		}
		for _, l := range c.lines {
			if l.sku == sku {
				sum += c.left(l)
			}
		}
	}
	return sum
}

func (m *model) line(t *rapid.T, low, high int64) line {
	return line{rapid.SampledFrom(m.skus).Draw(t, "sku"), rapid.Int64Range(low, high).Draw(t, "quantity")}
}

// claim draws one of the reservations; nil if there is none yet.
func (m *model) claim(t *rapid.T) *claim {
	if len(m.claims) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.claims).Draw(t, "reservation")
}

// Adjust adds to the stock of one or two SKUs, or takes from it.
func (m *model) Adjust(t *rapid.T) {
	lines := []line{m.line(t, -5, 10), m.line(t, -5, 10)}
	change := map[string]int64{}
	for _, l := range lines {
		change[l.sku] += l.quantity
	}
	possible := true
	for sku, delta := range change {
		possible = possible && m.onHand[sku]+delta >= m.reserved(sku, true)
	}
	err := m.b.adjust(lines...)
	if (err == nil) != possible || err != nil && rpc.Reason(err) != "STOCK_BELOW_RESERVED" {
		t.Fatalf("adjust %v: %v, want that it is possible: %v", lines, err, possible)
	}
	if possible {
		for sku, delta := range change {
			m.onHand[sku] += delta
		}
	}
}

// Reserve takes up to three lines, of which some may be of the same SKU.
func (m *model) Reserve(t *rapid.T) {
	var lines []line
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		lines = append(lines, m.line(t, 1, 6))
	}
	summed, err := sum(lines)
	if err != nil {
		t.Fatal(err)
	}
	possible, inTheWay := true, false
	for _, l := range summed {
		possible = possible && l.quantity <= m.onHand[l.sku]-m.reserved(l.sku, false)
		inTheWay = inTheWay || l.quantity > m.onHand[l.sku]-m.reserved(l.sku, true)
	}
	requestID := m.b.requestID()
	reservation, err := m.b.reserveAs(requestID, lines...)
	if (err == nil) != possible || err != nil && rpc.Reason(err) != "OUT_OF_STOCK" {
		t.Fatalf("reserve %v: %v, want that it is possible: %v", lines, err, possible)
	}
	if !possible {
		return
	}
	if inTheWay { // Overdue holds on these SKUs were ended.
		for _, c := range m.claims {
			if c.state == held && c.overdue && slices.ContainsFunc(c.lines, func(l line) bool {
				return slices.ContainsFunc(summed, func(s line) bool { return s.sku == l.sku })
			}) {
				c.state = expired
			}
		}
	}
	m.claims = append(m.claims, &claim{id: reservation.GetId(), requestID: requestID, lines: summed, state: held,
		gone: map[string]int64{}, back: map[string]int64{}, withdrawn: map[string]int64{}})
}

// Commit commits a reservation of any state.
func (m *model) Commit(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	err := m.b.commit(c.id)
	if possible := c.state.claims(); (err == nil) != possible {
		t.Fatalf("commit a reservation that is %s: %v", c.state, err)
	} else if possible {
		c.state = committed
	}
}

// Release releases a reservation of any state.
func (m *model) Release(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	possible := c.state != shipped && c.state != returned && !c.begun()
	if err := m.b.release(c.id); (err == nil) != possible {
		t.Fatalf("release a reservation that is %s, of which %v have gone: %v", c.state, c.gone, err)
	}
	if possible && c.state.claims() {
		c.state = released
	}
}

// TimePasses makes a hold overdue.
func (m *model) TimePasses(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	if _, err := m.b.Hosts["inventory"].DB.Pool().Exec(m.b.ctx,
		"UPDATE reservation SET expire_time = now() - interval '1 second' WHERE id = $1", c.id); err != nil {
		t.Fatal(err)
	}
	c.overdue = true
}

// SweepComes ends every hold whose time is up, and nothing else.
func (m *model) SweepComes(t *rapid.T) {
	if err := m.b.service.expireHolds(m.b.ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range m.claims {
		if c.state == held && c.overdue {
			c.state = expired
		}
	}
}

// begun reports whether something was done with some of the pieces of a committed reservation.
func (c *claim) begun() bool {
	return c.state == committed && slices.ContainsFunc(c.lines, func(l line) bool { return c.left(l) < l.quantity })
}

// settle says where a reservation is when pieces of it were shipped, returned or withdrawn.
func (c *claim) settle() {
	var left, out, gone int64
	for _, l := range c.lines {
		left, out, gone = left+c.left(l), out+c.out(l), gone+c.gone[l.sku]
	}
	switch {
	case left > 0:
		c.state = committed
	case out > 0:
		c.state = shipped
	case gone > 0:
		c.state = returned
	default:
		c.state = released
	}
}

// some draws pieces of a reservation, perhaps more than there are, and reports whether there are so many; none are named if it draws none.
func (m *model) some(t *rapid.T, c *claim, there func(line) int64) (named, done []line, possible bool) {
	possible = true
	for _, l := range c.lines {
		n := rapid.Int64Range(0, 3).Draw(t, "pieces of "+l.sku)
		if n > 0 {
			named = append(named, line{l.sku, n})
		}
		possible = possible && n <= there(l)
	}
	if named != nil {
		return named, named, possible
	}
	for _, l := range c.lines {
		if there(l) > 0 {
			done = append(done, line{l.sku, there(l)})
		}
	}
	return nil, done, true
}

func messages(lines []line) (list []*inventoryv1.Line) {
	for _, l := range lines {
		list = append(list, &inventoryv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
	return list
}

// Ship ships pieces of a reservation of any state, or all.
func (m *model) Ship(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	named, done, possible := m.some(t, c, c.left)
	_, err := m.b.client.ShipReservation(m.b.ctx, &inventoryv1.ShipReservationRequest{RequestId: m.b.requestID(), Id: c.id, Lines: messages(named)})
	already := named == nil && c.state == shipped
	possible = possible && c.state == committed
	if (err == nil) != (possible || already) {
		t.Fatalf("ship %v of a reservation that is %s, of which %v have gone: %v", named, c.state, c.gone, err)
	}
	if possible {
		for _, l := range done {
			c.gone[l.sku] += l.quantity
		}
		c.settle()
		m.add(done, -1)
	}
}

// Return gives back pieces of a reservation of any state, or all, into the stock or not.
func (m *model) Return(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	discard := rapid.Bool().Draw(t, "discard")
	named, done, possible := m.some(t, c, c.out)
	_, err := m.b.client.ReturnReservation(m.b.ctx, &inventoryv1.ReturnReservationRequest{
		RequestId: m.b.requestID(), Id: c.id, Discard: discard, Lines: messages(named),
	})
	already := named == nil && c.state == returned
	possible = possible && len(done) > 0 && (c.state == committed || c.state == shipped)
	if (err == nil) != (possible || already) {
		t.Fatalf("return %v of a reservation that is %s, of which %v have gone: %v", named, c.state, c.gone, err)
	}
	if possible {
		for _, l := range done {
			c.back[l.sku] += l.quantity
		}
		c.settle()
		if !discard {
			m.add(done, +1)
		}
	}
}

// Withdraw gives pieces of a reservation of any state back that have not gone.
func (m *model) Withdraw(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	named, _, possible := m.some(t, c, c.left)
	if named == nil {
		return
	}
	_, err := m.b.client.ReleaseReservation(m.b.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: m.b.requestID(), Id: c.id, Lines: messages(named)})
	possible = possible && c.state == committed
	if (err == nil) != possible {
		t.Fatalf("withdraw %v of a reservation that is %s, of which %v have gone: %v", named, c.state, c.gone, err)
	}
	if possible {
		for _, l := range named {
			c.withdrawn[l.sku] += l.quantity
		}
		c.settle()
	}
}

// add changes what is on hand.
func (m *model) add(lines []line, sign int64) {
	for _, l := range lines {
		m.onHand[l.sku] += sign * l.quantity
	}
}

// Undo revokes a Reserve that was carried out, whatever has become of the reservation.
func (m *model) Undo(t *rapid.T) {
	c := m.claim(t)
	if c == nil {
		return
	}
	reservation, err := m.b.undo(c.requestID)
	gone := c.state == shipped || c.state == returned || c.begun()
	if (err != nil) != gone || !gone && reservation.GetId() != c.id {
		t.Fatalf("undo a reservation that is %s: %v, %v", c.state, reservation, err)
	}
	if !gone && c.state.claims() {
		c.state = released
	}
}

// UndoEarly revokes a Reserve that comes only now, and in vain.
func (m *model) UndoEarly(t *rapid.T) {
	requestID := m.b.requestID()
	if reservation, err := m.b.undo(requestID); err != nil || reservation != nil {
		t.Fatalf("undo what was not done: %v, %v", reservation, err)
	}
	if _, err := m.b.reserveAs(requestID, line{m.skus[0], 1}); rpc.Reason(err) != "REVOKED" {
		t.Fatalf("reserve what was undone: %v", err)
	}
}

// Threshold says when a SKU is low, or that it never is. There is none of what has had no stock yet.
func (m *model) Threshold(t *rapid.T) {
	sku := rapid.SampledFrom(m.skus).Draw(t, "sku")
	var lowAt *int64
	if n := rapid.Int64Range(-1, 5).Draw(t, "low at"); n >= 0 {
		lowAt = &n
	}
	_, known := m.onHand[sku]
	if err := m.b.setThreshold(sku, lowAt); (err == nil) != known {
		t.Fatalf("set the threshold of %s, which is known: %t: %v", sku, known, err)
	}
	switch {
	case !known:
	case lowAt == nil:
		delete(m.lowAt, sku)
	default:
		m.lowAt[sku] = *lowAt
	}
}

// Tell tells of every SKU that is low and was not when it was told of last, and the reverse.
func (m *model) Tell(t *rapid.T) {
	if err := m.b.service.tellLow(m.b.ctx); err != nil {
		t.Fatal(err)
	}
	for _, sku := range m.skus {
		if m.low(sku) != m.told[sku] {
			m.told[sku] = m.low(sku)
			m.tellings[sku]++
		}
	}
}

// Drift changes a figure behind the module's back. The audit finds that and nothing else, and the repair undoes it.
func (m *model) Drift(t *rapid.T) {
	sku := rapid.SampledFrom(m.skus).Draw(t, "sku")
	onHand, known := m.onHand[sku]
	if !known {
		return
	}
	reserved := m.reserved(sku, true)
	wrong := figures{sku: sku, moved: onHand, held: reserved}
	wrong.onHand = rapid.Int64Range(0, onHand+3).Draw(t, "on hand")
	wrong.reserved = rapid.Int64Range(0, wrong.onHand).Draw(t, "reserved")
	if _, err := m.b.service.store.Pool().Exec(m.b.ctx, "UPDATE stock SET on_hand = $2, reserved = $3 WHERE sku = $1", sku, wrong.onHand, wrong.reserved); err != nil {
		t.Fatal(err)
	}
	m.b.auditAll(m.t)
	var want []*inventoryv1.StockDrift
	if wrong.drifted() {
		want = []*inventoryv1.StockDrift{{Sku: sku, OnHand: wrong.onHand, Moved: onHand, Reserved: wrong.reserved, Held: reserved}}
	}
	if found := m.b.drifts(m.t); !equal(found, want) {
		t.Fatalf("the audit found %v, want %v", found, want)
	}
	if repaired, err := m.b.repair(sku); err != nil || !equal(repaired, want) {
		t.Fatalf("repaired %v, %v, want %v", repaired, err, want)
	}
}

// Check compares the stock with the model, after every step.
func (m *model) Check(t *rapid.T) {
	rows, err := m.b.service.store.Ent.Stock.Query().All(m.b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !slices.Contains(m.skus, row.ID) {
			continue // Of an earlier run.
		}
		if row.Low != m.low(row.ID) || row.ToldLow != m.told[row.ID] || row.Tellings != m.tellings[row.ID] {
			t.Fatalf("%s: low %t, told %t, by %d events, want %t, %t and %d", row.ID, row.Low, row.ToldLow, row.Tellings, m.low(row.ID), m.told[row.ID], m.tellings[row.ID])
		}
		if want := m.reserved(row.ID, true); row.OnHand != m.onHand[row.ID] || row.Reserved != want || row.Reserved < 0 || row.Reserved > row.OnHand {
			t.Fatalf("%s: %d of %d are reserved, want %d of %d", row.ID, row.Reserved, row.OnHand, want, m.onHand[row.ID])
		}
	}
	free, err := m.b.service.availability(m.b.ctx, m.skus)
	if err != nil {
		t.Fatal(err)
	}
	for _, sku := range m.skus {
		if want := m.onHand[sku] - m.reserved(sku, false); free[sku] != want {
			t.Fatalf("%d pieces of %s can be sold, want %d", free[sku], sku, want)
		}
	}
}

// Whatever happens in whatever order, the stock is what the model says, and its figures agree with one another.
func TestStockAgreesWithModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		m := &model{b: b, t: t, onHand: map[string]int64{}, lowAt: map[string]int64{}, told: map[string]bool{}, tellings: map[string]int64{}}
		for _, name := range []string{"a", "b", "c"} {
			m.skus = append(m.skus, fmt.Sprint(name, " of run ", runs))
		}
		r.Repeat(rapid.StateMachineActions(m))
	})
	b.consistent(t)
	if wrong := moduletest.Query[string](t, b.House, `SELECT sku FROM inventory.stock WHERE tellings <>
		(SELECT count(*) FROM inventory.cleave_event e WHERE e.subject = sku AND e.sequence BETWEEN 1 AND tellings)`); len(wrong) > 0 {
		t.Errorf("%q were not told of as often as they say", wrong)
	}
}
