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

func TestReserveTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 1})
	_, err := b.reserve(line{"a", 2}, line{"b", 2})
	refused(t, err, "OUT_OF_STOCK")
	if err != nil && !strings.Contains(err.Error(), "b: 2 pieces are wanted, 1 can be sold") {
		t.Errorf("%v does not tell what falls short", err)
	}
	_, err = b.reserve(line{"a", 2}, line{"unknown", 1})
	refused(t, err, "OUT_OF_STOCK")
	b.available(t, "a", 5)
	b.available(t, "b", 1)
	b.hold(t, line{"b", 1}, line{"a", 5})
	b.available(t, "a", 0)
	b.available(t, "b", 0)
	b.consistent(t)
}

func TestReserveSumsLinesOfTheSameSKU(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	_, err := b.reserve(line{"a", 3}, line{"b", 1}, line{"a", 3})
	refused(t, err, "OUT_OF_STOCK")
	reservation, err := b.reserve(line{"b", 1}, line{"a", 3}, line{"a", 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []line
	for _, l := range reservation.GetLines() {
		got = append(got, line{l.GetSku(), l.GetQuantity()})
	}
	if !slices.Equal(got, []line{{"a", 5}, {"b", 1}}) {
		t.Errorf("lines %v, want one per SKU, by SKU", got)
	}
	b.consistent(t)
}

func TestReserveRefusesWhatIsNoQuantity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	many := make([]*inventoryv1.Line, 1001)
	for i := range many {
		many[i] = &inventoryv1.Line{Sku: "a", Quantity: 1}
	}
	for name, change := range map[string]func(r *inventoryv1.ReserveRequest){
		"none":          func(r *inventoryv1.ReserveRequest) { r.Lines[0].Quantity = 0 },
		"negative":      func(r *inventoryv1.ReserveRequest) { r.Lines[0].Quantity = -1 },
		"too large":     func(r *inventoryv1.ReserveRequest) { r.Lines[0].Quantity = 1_000_001 },
		"no lines":      func(r *inventoryv1.ReserveRequest) { r.Lines = nil },
		"too many":      func(r *inventoryv1.ReserveRequest) { r.Lines = many },
		"no SKU":        func(r *inventoryv1.ReserveRequest) { r.Lines[0].Sku = "" },
		"no time":       func(r *inventoryv1.ReserveRequest) { r.Ttl = durationpb.New(0) },
		"for ever":      func(r *inventoryv1.ReserveRequest) { r.Ttl = durationpb.New(25 * time.Hour) },
		"no request id": func(r *inventoryv1.ReserveRequest) { r.RequestId = "" },
	} {
		r := &inventoryv1.ReserveRequest{RequestId: name, Reference: "ord_1", Lines: []*inventoryv1.Line{{Sku: "a", Quantity: 1}}}
		change(r)
		if _, err := b.client.Reserve(b.ctx, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want an invalid argument", name, err)
		}
	}
	b.available(t, "a", 5)
}

func TestHoldLastsAsLongAsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	for _, c := range []struct {
		ttl  *durationpb.Duration
		want time.Duration
	}{{nil, 15 * time.Minute}, {durationpb.New(time.Minute), time.Minute}} {
		answer, err := b.client.Reserve(b.ctx, &inventoryv1.ReserveRequest{
			RequestId: b.requestID(), Reference: "ord_1", Lines: []*inventoryv1.Line{{Sku: "a", Quantity: 1}}, Ttl: c.ttl,
		})
		if err != nil {
			t.Fatal(err)
		}
		at := answer.GetReservation().GetExpireTime().AsTime()
		if lasts := time.Until(at); lasts > c.want || lasts < c.want-30*time.Second {
			t.Errorf("it lasts for %v, want %v", lasts, c.want)
		}
	}
}

func TestRepeatedReserveHoldsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := &inventoryv1.ReserveRequest{RequestId: "1", Reference: "ord_1", Lines: []*inventoryv1.Line{{Sku: "a", Quantity: 2}}}
	_, err := b.client.Reserve(b.ctx, r)
	refused(t, err, "OUT_OF_STOCK")
	b.receive(t, line{"a", 5}) // A refusal is not kept.
	first, err := b.client.Reserve(b.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	repeat := func(why string) {
		t.Helper()
		again, err := b.client.Reserve(b.ctx, r)
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("%s: %v, %v, want %v", why, again, err, first)
		}
	}
	repeat("a repetition")
	if err := b.extend(first.GetReservation().GetId(), time.Hour); err != nil {
		t.Fatal(err)
	}
	repeat("a repetition when it lasts longer")
	b.available(t, "a", 3)
}

// The answer to a commit is kept before all of it is known. A repetition gets all of it, as it was then.
func TestRepeatedCommitGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	held, err := b.reserve(line{"a", 2}, line{"b", 1})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(held)
	want.State = inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	commit := func(requestID, why string) {
		t.Helper()
		got, err := b.client.CommitReservation(b.ctx, &inventoryv1.CommitReservationRequest{RequestId: requestID, Id: held.GetId()})
		if err != nil || !proto.Equal(got.GetReservation(), want) {
			t.Errorf("%s: %v, %v, want %v", why, got, err, want)
		}
	}
	commit("1", "the first")
	commit("1", "a repetition")
	commit("2", "another who wants the same")
	if err := b.ship(held.GetId()); err != nil {
		t.Fatal(err)
	}
	commit("1", "a repetition when it is shipped")
	commit("2", "the other's repetition when it is shipped")
}

// Holds whose time is up do not count, also before the sweep has come.
func TestOverdueHoldsAreInNobodysWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 1})
	one, other := b.hold(t, line{"a", 3}, line{"b", 1}), b.hold(t, line{"a", 2})
	b.available(t, "a", 0)
	b.letPass(t)
	b.available(t, "a", 5)
	_, err := b.reserve(line{"a", 6})
	refused(t, err, "OUT_OF_STOCK")
	if err != nil && !strings.Contains(err.Error(), "5 can be sold") {
		t.Errorf("%v does not tell how many there are", err)
	}
	if s := b.stateOf(t, other); s != inventoryv1.ReservationState_RESERVATION_STATE_HELD {
		t.Errorf("a hold was ended for nothing: it is %s", s)
	}
	b.hold(t, line{"a", 4})
	for _, id := range []string{one, other} {
		if s := b.stateOf(t, id); s != inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED {
			t.Errorf("a hold that was in the way is %s", s)
		}
	}
	b.available(t, "a", 1)
	b.available(t, "b", 1)
	b.consistent(t)
}

// It is the pieces that count, not in how many holds they are.
func TestManyOverdueHoldsAreInNobodysWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = maxOverdue + 20
	b.receive(t, line{"a", count})
	for range count {
		b.hold(t, line{"a", 1})
	}
	b.letPass(t)
	b.hold(t, line{"a", count})
	b.consistent(t)
}

// Who paid in the last second gets what was held, as long as nobody else got it.
func TestOverdueHoldCanBeCommittedUntilItEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 1})
	id := b.hold(t, line{"a", 1})
	b.letPass(t)
	if err := b.commit(id); err != nil {
		t.Fatal(err)
	}
	b.available(t, "a", 0)
	_, err := b.reserve(line{"a", 1})
	refused(t, err, "OUT_OF_STOCK")
	b.consistent(t)
}

// Every way out of every state that a caller can ask for, and what it does to the stock.
func TestEveryWayOutOfEveryState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reach := map[state]func(t *testing.T, id, sku string){
		held:      func(*testing.T, string, string) {},
		committed: func(t *testing.T, id, _ string) { must(t, b.commit(id)) },
		released:  func(t *testing.T, id, _ string) { must(t, b.release(id)) },
		expired: func(t *testing.T, id, sku string) {
			b.letPass(t, id)
			must(t, b.release(b.hold(t, line{sku, 5})))
		},
		shipped: func(t *testing.T, id, _ string) {
			must(t, b.commit(id))
			must(t, b.ship(id))
		},
		returned: func(t *testing.T, id, _ string) {
			must(t, b.commit(id))
			must(t, b.ship(id))
			must(t, b.giveBack(id))
		},
	}
	type level struct{ OnHand, Reserved int64 }
	levels := map[state]level{held: {5, 2}, committed: {5, 2}, released: {5, 0}, expired: {5, 0}, shipped: {3, 0}, returned: {5, 0}}
	for _, from := range allStates {
		for _, c := range []struct {
			name string
			call func(string) error
			ends map[state]state // Whatever is not here is refused.
		}{
			{"commit", b.commit, map[state]state{held: committed, committed: committed}},
			{"release", b.release, map[state]state{held: released, committed: released, released: released, expired: expired}},
			{"ship", b.ship, map[state]state{committed: shipped, shipped: shipped}},
			{"return", b.giveBack, map[state]state{shipped: returned, returned: returned}},
		} {
			sku := c.name + " " + string(from)
			b.receive(t, line{sku, 5})
			id := b.hold(t, line{sku, 2})
			reach[from](t, id, sku)
			if got := b.stateOf(t, id); got != messageStates[from] {
				t.Fatalf("the reservation is %s, want %s", got, from)
			}
			end, allowed := c.ends[from]
			if !allowed {
				end = from
			}
			for range 2 { // It does not matter how often.
				if err := c.call(id); !allowed {
					refused(t, err, "RESERVATION_STATE_"+strings.ToUpper(string(from)))
				} else if err != nil {
					t.Errorf("%s of a reservation that is %s: %v", c.name, from, err)
				}
			}
			if got := b.stateOf(t, id); got != messageStates[end] {
				t.Errorf("after %s a reservation that was %s is %s, want %s", c.name, from, got, end)
			}
			got := level{
				moduletest.Value[int64](t, b.House, "SELECT on_hand FROM inventory.stock WHERE sku = $1", sku),
				moduletest.Value[int64](t, b.House, "SELECT reserved FROM inventory.stock WHERE sku = $1", sku),
			}
			if got != levels[end] {
				t.Errorf("after %s of a reservation that was %s: %+v, want %+v", c.name, from, got, levels[end])
			}
		}
	}
	b.consistent(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnknownReservation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, getErr := b.client.GetReservation(b.ctx, &inventoryv1.GetReservationRequest{Id: "rsv_unknown"})
	for name, err := range map[string]error{"get": getErr, "commit": b.commit("rsv_unknown"), "release": b.release("rsv_unknown"),
		"ship": b.ship("rsv_unknown"), "return": b.giveBack("rsv_unknown"), "extend": b.extend("rsv_unknown", time.Minute)} {
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}
