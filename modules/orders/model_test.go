package orders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/saga/sagatest"
)

// town is what a checkout changes: the stock, the money, and its order.
type town struct {
	stock  Stock
	bank   Bank
	orders map[string]progress
	// coupons are the orders that have used one, and used those that have it still.
	coupons, used map[string]bool
	// lenient orders take every change, which a test breaks.
	lenient bool
}

func (w *town) Clone() *town {
	return &town{w.stock.clone(), w.bank.clone(), maps.Clone(w.orders), w.coupons, maps.Clone(w.used), w.lenient}
}

func (w *town) Fingerprint() string {
	return fmt.Sprint(w.stock.fingerprint(), w.bank.fingerprint(), w.orders, w.used)
}

// The orders of the model are of so many pieces of a SKU, and cost so much.
const (
	ordered = 2
	cost    = 500
)

// checkoutModel is the checkout as it is, with as many orders as ids, of a SKU of which there are as many pieces.
func checkoutModel(faults int, pieces int64, ids ...string) sagatest.Model[*town, purchase] {
	w := &town{stock: NewStock(map[string]int64{"mug": pieces}), bank: NewBank(), orders: map[string]progress{}, coupons: map[string]bool{}, used: map[string]bool{}}
	sagas := map[string]purchase{}
	for _, id := range ids {
		sagas[id] = purchase{Lines: []bought{{SKU: "mug", Quantity: ordered}}, Total: cost, Currency: "EUR", PaymentMethod: "pm_card"}
		w.orders[id] = progress{}.after(change{state: pending})
	}
	return sagatest.Model[*town, purchase]{
		World: w, Definition: definitionIn, Sagas: sagas, Check: (*town).check, Boundary: (*town).boundary, Cancel: (*town).cancel, Moves: (*town).moves,
		Faults: faults,
	}
}

func definitionIn(w *town) saga.Definition[purchase] {
	c := &checkout{inventory: &w.stock, payments: &w.bank, coupons: w}
	if len(w.coupons) > 0 {
		return c.withCoupon()
	}
	return c.definition()
}

// couponModel is checkoutModel of orders with a coupon.
func couponModel(faults int, pieces int64, ids ...string) sagatest.Model[*town, purchase] {
	m := checkoutModel(faults, pieces, ids...)
	for _, id := range ids {
		m.World.coupons[id], m.World.used[id] = true, true
	}
	return m
}

// release gives the use of a coupon back, as the module's own does.
func (w *town) release(ctx context.Context, orderID string) error {
	_, err := sagatest.Call(ctx, "release the coupon of "+orderID, func() (*inventoryv1.ReleaseReservationResponse, error) {
		delete(w.used, orderID)
		return &inventoryv1.ReleaseReservationResponse{}, nil
	})
	return err
}

// boundary writes what a step means to the order, as the checkout does.
func (w *town) boundary(c saga.Change[purchase]) error {
	next, note := moved(c)
	if next == "" {
		return nil
	}
	return w.follow(c.ID, change{state: next, reason: c.Reason, reservationID: c.State.ReservationID, paymentID: c.State.PaymentID, note: note})
}

func (w *town) follow(id string, c change) error {
	p := w.orders[id]
	if !p.legal(c) && !w.lenient {
		return fmt.Errorf("order %s is %s and cannot become %s", id, p.state, c.state)
	}
	w.orders[id] = p.after(c)
	return nil
}

// cancel writes down the wish to cancel, as the service does.
func (w *town) cancel(id string) string {
	if c := (change{state: cancelPending, reason: reasonCancelled}); !w.orders[id].legal(c) || w.follow(id, c) != nil {
		return ""
	}
	return reasonCancelled
}

// moves are the jobs of inventory and payments: time passes for a hold, and the provider is asked again.
func (w *town) moves() (moves []sagatest.Move) {
	for i, r := range w.stock.Reservations {
		if r.State == held {
			moves = append(moves, sagatest.Move{Name: "the time of " + r.ID + " is up", Fault: true, Do: func(context.Context) { w.stock.Expire(i) }})
		}
	}
	for i, p := range w.bank.payments {
		if j := p.open(); j >= 0 {
			moves = append(moves, sagatest.Move{
				Name: fmt.Sprintf("payments asks the provider again for %s of pay_%d", p.attempts[j].kind, i),
				Do:   func(ctx context.Context) { w.bank.finish(ctx, i, j) },
			})
		}
	}
	return moves
}

// check holds what has to be true of checkouts that have ended.
func (w *town) check(sagas []sagatest.Ended[purchase]) error {
	for _, s := range sagas {
		if err := w.checkOrder(s); err != nil {
			return fmt.Errorf("order %s is %s: %w", s.ID, w.orders[s.ID].state, err)
		}
	}
	if reserved := w.stock.Reserved("mug"); reserved > w.stock.OnHand["mug"] {
		return fmt.Errorf("%d pieces are set aside of %d", reserved, w.stock.OnHand["mug"])
	}
	return nil
}

func (w *town) checkOrder(s sagatest.Ended[purchase]) error {
	var charges, captured, setAside, net, pieces int64
	for _, c := range w.bank.charges {
		if c.reference != s.ID {
			continue
		}
		if c.captured > 0 {
			captured++
		}
		charges++
		setAside += c.held
		net += c.captured - c.given
	}
	for _, r := range w.stock.Reservations {
		if r.Reference == s.ID && r.State != released && r.State != overdue {
			pieces += r.Lines[0].GetQuantity()
			if r.State == held {
				return errors.New("its stock is still held")
			}
		}
	}
	is := w.orders[s.ID].state
	switch {
	case s.Done == s.Undone:
		return errors.New("it needs a person")
	case w.used[s.ID] != (w.coupons[s.ID] && s.Done):
		return fmt.Errorf("its coupon is used: %t", w.used[s.ID])
	case charges > 1:
		return fmt.Errorf("the provider was asked for %d charges", charges)
	case setAside > 0:
		return fmt.Errorf("%d are still set aside", setAside)
	case s.Cancelled && !s.Undone:
		return errors.New("it was cancelled")
	case s.Done && (net != cost || captured != 1 || pieces != ordered || is != confirmed):
		return fmt.Errorf("%d were charged in %d captures, and %d pieces committed", net, captured, pieces)
	case s.Undone && (net != 0 || pieces != 0 || is != end(s.Reason)):
		return fmt.Errorf("%d were charged, and %d pieces committed, though it was undone", net, pieces)
	}
	return nil
}

// explored requires that every history of a model ends well.
func explored(t *testing.T, m sagatest.Model[*town, purchase]) {
	t.Helper()
	result, err := sagatest.Explore(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(result)
}

// Whatever is killed, lost, late, refused or cancelled, a checkout ends well.
func TestModelOfTheCheckout(t *testing.T) {
	t.Parallel()
	explored(t, checkoutModel(2, 10, "ord_1"))
}

// The same with a coupon, which can be used again when nothing comes of the order.
func TestModelOfTheCheckoutWithACoupon(t *testing.T) {
	t.Parallel()
	explored(t, couponModel(1, 10, "ord_1"))
	t.Run("that is not given back", func(t *testing.T) {
		t.Parallel()
		m := couponModel(1, 10, "ord_1")
		m.Definition = func(w *town) saga.Definition[purchase] {
			d := definitionIn(w)
			d.Steps[0].Undo = nil
			return d
		}
		if _, err := sagatest.Explore(m); err == nil || !strings.Contains(err.Error(), "its coupon is used: true") {
			t.Errorf("%v, want that the coupon is used", err)
		}
	})
}

// Two customers want the last pieces.
func TestModelOfTheLastPieces(t *testing.T) {
	t.Parallel()
	t.Run("and may change their minds", func(t *testing.T) {
		t.Parallel()
		explored(t, checkoutModel(0, 3, "ord_1", "ord_2"))
	})
	t.Run("and something goes wrong", func(t *testing.T) {
		t.Parallel()
		m := checkoutModel(1, 3, "ord_1", "ord_2")
		m.Cancel = nil
		explored(t, m)
	})
}

// The model would find what it is there for.
func TestModelFindsMistakes(t *testing.T) {
	t.Parallel()
	type model = sagatest.Model[*town, purchase]
	// steps changes the steps of the checkout.
	steps := func(change func(steps []saga.Step[purchase])) func(*model) {
		return func(m *model) {
			m.Definition = func(w *town) saga.Definition[purchase] {
				d := definitionIn(w)
				change(d.Steps)
				return d
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(m *model)
		want  string // in the violation: what the mistake does, so that it is not found for another reason
	}{
		// Without a customer who cancels: an Undo has another key than its Do, too.
		"a fresh request id at every attempt":   {func(m *model) { m.FreshKeys, m.Cancel, m.World.bank.generous = true, nil, true }, "the provider was asked for 2 charges"},
		"a fresh provider key at every attempt": {func(m *model) { m.World.bank.freshKeys = true }, "the provider was asked for 2 charges"},
		// The guard is three things. The number of the boundary,
		"no guard: a boundary is written twice": {func(m *model) { m.Unguarded, m.Cancel = true, nil }, "order ord_1 is reserved and cannot become reserved"},
		// the wish,
		"no guard: a wish is overlooked": {func(m *model) { m.Unguarded, m.World.lenient = true, true }, "order ord_1 is confirmed: it was cancelled"},
		// and the fence.
		"no guard: two drive one saga": {func(m *model) {
			m.Unguarded, m.World.lenient, m.Cancel = true, true, nil
			m.Boundary = func(w *town, c saga.Change[purchase]) error {
				if is := w.orders[c.ID].state; is.settled() && !c.Done && !c.Undone {
					return fmt.Errorf("order %s is %s, and a driver goes on", c.ID, is)
				}
				return w.boundary(c)
			}
		}, "and a driver goes on"},
		"no tombstones in inventory": {func(m *model) { m.World.stock.Forgets = true }, "its stock is still held"},
		"no tombstones in payments":  {func(m *model) { m.World.bank.forgets = true }, "500 are still set aside"},
		"stock is not released":      {steps(func(s []saga.Step[purchase]) { s[0].Undo = nil }), "its stock is still held"},
		"payment is not cancelled":   {steps(func(s []saga.Step[purchase]) { s[1].Undo = nil }), "500 are still set aside"},
		"payment is cancelled one step too late": {steps(func(s []saga.Step[purchase]) {
			cancel := s[1].Undo
			s[1].Undo, s[2].Undo = nil, func(ctx context.Context, r *saga.Run[purchase]) error {
				r.Key = r.ID + "/" + stepAuthorize
				return cancel(ctx, r)
			}
		}), "500 are still set aside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := checkoutModel(1, 10, "ord_1")
			c.spoil(&m)
			result, err := sagatest.Explore(m)
			if !errors.As(err, new(*sagatest.Violation)) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v: %v, want %q", result, err, c.want)
			}
			t.Log(err)
		})
	}
}

// Several customers, little stock and many faults, on several days.
func TestModelOfABadDay(t *testing.T) {
	t.Parallel()
	m := checkoutModel(15, 5, "ord_1", "ord_2", "ord_3", "ord_4")
	rapid.Check(t, func(r *rapid.T) {
		for range 4 {
			if err := m.Walk(func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "choice") }); err != nil {
				r.Fatal(err)
			}
		}
	})
}
