package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
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

func TestAdjustStockKeepsWhatIsReserved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	b.hold(t, line{"a", 3})
	refused(t, b.adjust(line{"b", 1}, line{"a", -3}), "STOCK_BELOW_RESERVED")
	refused(t, b.adjust(line{"unknown", -1}), "STOCK_BELOW_RESERVED")
	b.available(t, "a", 2)
	b.available(t, "b", 5) // All or nothing.
	if err := b.adjust(line{"a", -2}); err != nil {
		t.Error(err)
	}
	if err := b.adjust(line{"a", -3}, line{"a", 4}); err != nil { // It is what comes out that counts.
		t.Error(err)
	}
	b.available(t, "a", 1)
	b.consistent(t)
}

func TestAdjustStockAnswersWhatCanBeSold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	b.hold(t, line{"a", 2})
	answer, err := b.client.AdjustStock(b.ctx, &inventoryv1.AdjustStockRequest{RequestId: "1", Adjustments: []*inventoryv1.StockAdjustment{
		{Sku: "b", Delta: 7}, {Sku: "a", Delta: 1}, {Sku: "a", Delta: 1},
	}})
	want := []*inventoryv1.Availability{{Sku: "a", Available: 5}, {Sku: "b", Available: 7}}
	if err != nil || !slices.EqualFunc(answer.GetAvailabilities(), want, func(a, b *inventoryv1.Availability) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v, %v, want %v", answer, err, want)
	}
}

// Every change of the stock leaves a movement that says why, and which nobody can change.
func TestMovements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 2}, line{"a", -1})
	refused(t, b.adjust(line{"a", -100}), "STOCK_BELOW_RESERVED")
	got := moduletest.Query[string](t, b.House, "SELECT sku || delta || ' ' || reason FROM inventory.movement ORDER BY id")
	if want := []string{"a5 as the test wants it", "b2 as the test wants it", "a-1 as the test wants it"}; !slices.Equal(got, want) {
		t.Errorf("movements %q, want %q", got, want)
	}
	for _, statement := range []string{"UPDATE movement SET delta = 0", "DELETE FROM movement", "TRUNCATE movement", "DROP TABLE movement"} {
		_, err := b.Hosts["inventory"].DB.Pool().Exec(b.ctx, statement)
		if sqlState(err) != "42501" {
			t.Errorf("the module, %s: %v, want insufficient privilege", statement, err)
		}
	}
}

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

// Whatever the program does wrong, the database sells nothing that is not there.
func TestDatabaseRefusesImpossibleStock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	id := b.hold(t, line{"a", 3})
	pool := b.Hosts["inventory"].DB.Pool()
	for _, statement := range []string{
		"UPDATE stock SET reserved = 6", "UPDATE stock SET reserved = -1", "UPDATE stock SET on_hand = 2", "UPDATE stock SET on_hand = -1, reserved = -1",
		"INSERT INTO stock (sku, on_hand, reserved) VALUES ('b', 0, 1)",
		"INSERT INTO reservation_line (reservation_id, sku, quantity) VALUES ('" + id + "', 'b', 0)",
		"UPDATE reservation_line SET quantity = -1",
	} {
		if _, err := pool.Exec(b.ctx, statement, pgx.QueryExecModeSimpleProtocol); sqlState(err) != "23514" {
			t.Errorf("%s: %v, want a check violation", statement, err)
		}
	}
}

func TestAvailabilityAnswersInTheOrderOfTheQuestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 2})
	answer, err := b.client.BatchGetAvailability(b.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{"b", "unknown", "a", "b"}})
	want := []*inventoryv1.Availability{{Sku: "b", Available: 2}, {Sku: "unknown"}, {Sku: "a", Available: 5}, {Sku: "b", Available: 2}}
	if err != nil || !slices.EqualFunc(answer.GetAvailabilities(), want, func(a, b *inventoryv1.Availability) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v, %v, want %v", answer, err, want)
	}
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
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
