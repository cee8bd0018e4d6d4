package inventory

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
)

// stockOf returns what there is of a SKU.
func (b *bundle) stockOf(t *testing.T, sku string) *inventoryv1.Stock {
	t.Helper()
	answer, err := b.staff.GetStock(b.ctx, &inventoryv1.GetStockRequest{Sku: sku})
	must(t, err)
	return answer.GetStock()
}

// setThreshold says when a SKU is low.
func (b *bundle) setThreshold(sku string, lowAt *int64) error {
	_, err := b.staff.SetStockThresholds(b.ctx, &inventoryv1.SetStockThresholdsRequest{
		RequestId: b.requestID(), Thresholds: []*inventoryv1.StockThreshold{{Sku: sku, LowAt: lowAt}},
	})
	return err
}

func TestStockTellsWhatThereIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10})
	b.hold(t, line{"a", 2})
	overdue := b.hold(t, line{"a", 3})
	b.letPass(t, overdue)
	must(t, b.setThreshold("a", proto.Int64(5)))
	want := &inventoryv1.Stock{Sku: "a", OnHand: 10, Reserved: 5, Available: 8, LowAt: proto.Int64(5), Low: true}
	if got := b.stockOf(t, "a"); !proto.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	must(t, b.service.expireHolds(b.ctx))
	want.Reserved, want.Low = 2, false
	if got := b.stockOf(t, "a"); !proto.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	_, err := b.staff.GetStock(b.ctx, &inventoryv1.GetStockRequest{Sku: "unknown"})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("stock of what is not known: %v", err)
	}
}

func TestListStock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all, low []string
	for i := range 5 {
		sku := fmt.Sprint("sku ", i)
		b.receive(t, line{sku, int64(i)})
		must(t, b.setThreshold(sku, proto.Int64(2)))
		all = append(all, sku)
		if i <= 2 {
			low = append(low, sku)
		}
	}
	for _, c := range []struct {
		low  bool
		want []string
	}{{false, all}, {true, low}} {
		var got []string
		r := &inventoryv1.ListStockRequest{PageSize: 2, Low: c.low}
		for {
			page, err := b.staff.ListStock(b.ctx, r)
			must(t, err)
			if len(page.GetStock()) > 2 {
				t.Fatalf("a page of 2 has %d", len(page.GetStock()))
			}
			for _, s := range page.GetStock() {
				got = append(got, s.GetSku())
			}
			if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("low %t: %q, want %q", c.low, got, c.want)
		}
	}
	page, err := b.staff.ListStock(b.ctx, &inventoryv1.ListStockRequest{PageSize: 1})
	must(t, err)
	_, err = b.staff.ListStock(b.ctx, &inventoryv1.ListStockRequest{PageSize: 1, Low: true, PageToken: page.GetNextPageToken()})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("the token of another list: %v", err)
	}
}

// Whoever wonders where pieces have gone reads it, newest first.
func TestMovementsAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 5})
	id := b.hold(t, line{"a", 2})
	must(t, b.commit(id))
	must(t, b.ship(id))
	must(t, b.giveBack(id))
	b.receive(t, line{"a", -1})
	read := func(sku string) (said []string) {
		r := &inventoryv1.ListStockMovementsRequest{PageSize: 2, Sku: sku}
		for {
			page, err := b.staff.ListStockMovements(b.ctx, r)
			must(t, err)
			for _, m := range page.GetMovements() {
				if m.GetCreateTime() == nil || (m.GetReservationId() == "") != (m.GetUserId() == "usr_staff") {
					t.Errorf("%v does not tell when, or whose it was", m)
				}
				said = append(said, fmt.Sprintf("%s %+d %s %t", m.GetSku(), m.GetDelta(), m.GetReason(), m.GetReservationId() == id))
			}
			if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
				return said
			}
		}
	}
	ofA := []string{"a -1 as the test wants it false", "a +2 returned true", "a -2 shipped true", "a +10 as the test wants it false"}
	if got := read("a"); !slices.Equal(got, ofA) {
		t.Errorf("%q, want %q", got, ofA)
	}
	if got, want := read(""), append(append([]string{}, ofA[:3]...), "b +5 as the test wants it false", ofA[3]); !slices.Equal(got, want) {
		t.Errorf("of all: %q, want %q", got, want)
	}
	if got := read("unknown"); got != nil {
		t.Errorf("of what is not known: %q", got)
	}
	for _, token := range []string{"garbage", "YWJjCmE"} { // The second is "abc\na".
		_, err := b.staff.ListStockMovements(b.ctx, &inventoryv1.ListStockMovementsRequest{Sku: "a", PageToken: token})
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("token %s: %v, want an invalid argument", token, err)
		}
	}
}
