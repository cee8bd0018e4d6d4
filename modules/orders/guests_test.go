package orders_test

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// guest returns a new customer without an account.
func (s *shop) guest(t *testing.T, email string) *customer {
	t.Helper()
	c := s.customer(t)
	c.user, c.email = s.next(rpc.GuestPrefix), email
	c.ctx = rpc.WithMetadata(t.Context(), rpc.Metadata{Principal: rpc.Principal{Subject: c.user}, Caller: rpc.EdgeCaller})
	return c
}

// inside is what other modules call.
func (s *shop) inside() ordersv1connect.GuestServiceClient {
	return ordersv1cleave.NewGuestServiceClient(s.Caller("another", ordersv1cleave.GuestService))
}

// claim has an account claim what guests have ordered with an address, and returns how many orders that are.
func (s *shop) claim(t *testing.T, user, email string) int32 {
	t.Helper()
	answer, err := s.inside().ClaimGuestOrders(moduletest.As(t, ""), &ordersv1.ClaimGuestOrdersRequest{RequestId: s.next("claim "), UserId: user, Email: email})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetOrders()
}

func (s *shop) contacts(t *testing.T, orderIDs ...string) string {
	t.Helper()
	answer, err := s.inside().BatchGetContacts(moduletest.As(t, ""), &ordersv1.BatchGetContactsRequest{OrderIds: orderIDs})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range answer.GetContacts() {
		found = append(found, c.GetOrderId()+" "+c.GetEmail())
	}
	return strings.Join(found, ", ")
}

// A guest buys as everybody does. Where he is written to is known for his order alone, and told to nobody but modules.
func TestGuestBuys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g := s.guest(t, "Ada.Lovelace@Example.org")
	order := g.order(good)
	g.ends(order, confirmed, "")
	if got := g.get(order); got.GetUserId() != g.user || strings.Contains(strings.ToLower(got.String()), "lovelace") {
		t.Errorf("the order is %v", got)
	}
	c := s.customer(t)
	if got, want := s.contacts(t, order, c.order(good), "ord_x"), order+" ada.lovelace@example.org"; got != want {
		t.Errorf("the contacts are %q, want %q", got, want)
	}
	// Its table is the only one that has the address.
	for _, table := range moduletest.Query[string](t, s.House, `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
		WHERE table_schema IN ('orders', 'inventory', 'catalog') AND table_type = 'BASE TABLE' AND table_name <> 'contact'`) {
		if n := moduletest.Value[int64](t, s.House, "SELECT count(*) FROM "+table+" AS r WHERE r::text ILIKE '%lovelace%' OR r::text ILIKE '%'||encode('lovelace','hex')||'%'"); n > 0 {
			t.Errorf("%d rows of %s have the address", n, table)
		}
	}
}

// What a guest has is his alone, as with everybody.
func TestGuestsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g, other, c := s.guest(t, "one@example.org"), s.guest(t, "one@example.org"), s.customer(t)
	order := g.order(good)
	g.ends(order, confirmed, "")
	cart := g.cart()
	quote, err := g.quote(cart)
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range g.everyCall(cart, quote.GetId(), order) {
		if name == "CreateCart" || name == "ListOrders" || name == "PlaceOrder" || name == "GetQuickOrder" {
			continue
		}
		if err := call(other.ctx); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("another guest, %s: %v, want not found", name, err)
		}
		if err := call(c.ctx); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("a customer, %s: %v, want not found", name, err)
		}
	}
	if _, err := other.place(quote.GetId(), good); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("another guest orders the quote: %v", err)
	}
	for _, somebody := range []*customer{other, c} {
		list, err := somebody.orders.ListOrders(somebody.ctx, &ordersv1.ListOrdersRequest{})
		if err != nil || len(list.GetOrders()) != 0 {
			t.Errorf("%s has %v, %v", somebody.user, list, err)
		}
	}
	if list, err := g.orders.ListOrders(g.ctx, &ordersv1.ListOrdersRequest{}); err != nil || len(list.GetOrders()) != 1 {
		t.Errorf("the guest has %v, %v", list, err)
	}
	if _, err := g.quick.GetQuickOrder(g.ctx, &ordersv1.GetQuickOrderRequest{Id: order}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("what is not for guests: %v", err)
	}
}

func TestEmailIsForGuests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g, c := s.guest(t, ""), s.customer(t)
	_, err := g.place(g.quoted(), good)
	refused(t, err, connect.CodeInvalidArgument, "EMAIL_REQUIRED")
	c.email = "one@example.org"
	_, err = c.place(c.quoted(), good)
	refused(t, err, connect.CodeInvalidArgument, "EMAIL_OF_ACCOUNT")
	const wrong = "nobody at all"
	g.email = wrong
	if _, err = g.place(g.quoted(), good); connect.CodeOf(err) != connect.CodeInvalidArgument || strings.Contains(err.Error(), wrong) {
		t.Errorf("a bad address: %v", err)
	}
}

// Who wants to use a coupon once more is another guest, so one that is limited by customer is for those who are known again.
func TestGuestCannotUseLimitedCouponAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g := s.guest(t, "one@example.org")
	_, err := g.quoteWith(s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10, MaxUsesPerCustomer: 1}))
	refused(t, err, connect.CodeFailedPrecondition, "COUPON_SIGN_IN")
	code := s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10, MaxUses: 1})
	g.watch(g.orderWith(code, good).GetId(), 0)
	if n := s.uses(t, code); n != 1 {
		t.Errorf("the coupon is used %d times", n)
	}
}

// What was ordered with an address is the account's that has proven it, whatever state it is in, and nothing else is.
func TestAccountClaimsGuestOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g, later, other, c := s.guest(t, "Ada@example.org"), s.guest(t, "ada@EXAMPLE.org"), s.guest(t, "bob@example.org"), s.customer(t)
	done, open, his := g.order(good), later.order(unknown), other.order(good)
	g.ends(done, confirmed, "")
	other.ends(his, confirmed, "")
	moduletest.Eventually(t, "the payment is not known", func() bool {
		return later.get(open).GetState() == ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN
	})
	if n := s.claim(t, c.user, "ADA@example.org"); n != 2 {
		t.Fatalf("%d orders were claimed, want 2", n)
	}
	if n := s.claim(t, "usr_thief", "ada@example.org"); n != 0 {
		t.Errorf("another account claims %d of them", n)
	}
	for _, order := range []string{done, open} {
		if got := c.get(order).GetUserId(); got != c.user {
			t.Errorf("order %s is %s's", order, got)
		}
		if _, err := g.orders.GetOrder(g.ctx, &ordersv1.GetOrderRequest{Id: order}); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("its guest gets order %s: %v", order, err)
		}
		if problem := c.fact(order).GetLogProblem(); problem != "" {
			t.Errorf("the log of the order: %s", problem)
		}
	}
	if got := other.get(his).GetUserId(); got != other.user {
		t.Errorf("the order of another guest is %s's", got)
	}
	// One that is under way goes on, and is written about to the same address.
	s.payments.settle(open)
	c.watch(open, 0)
	if got := c.get(open); got.GetState() != confirmed || c.fact(open).GetLogProblem() != "" {
		t.Errorf("the order ends as %v", got)
	}
	if got, want := s.contacts(t, open), open+" ada@example.org"; got != want {
		t.Errorf("the contacts are %q, want %q", got, want)
	}
	if err := c.cancel(done); err != nil {
		t.Errorf("cancel what was claimed: %v", err)
	}
	_, err := s.inside().ClaimGuestOrders(moduletest.As(t, ""), &ordersv1.ClaimGuestOrdersRequest{RequestId: "x", UserId: g.user, Email: "ada@example.org"})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a guest claims: %v", err)
	}
}

// A claim that is repeated gets its first answer.
func TestClaimIsRepeated(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g := s.guest(t, "ada@example.org")
	g.ends(g.order(good), confirmed, "")
	r := &ordersv1.ClaimGuestOrdersRequest{RequestId: "claim", UserId: "usr_ada", Email: "ada@example.org"}
	for range 2 {
		answer, err := s.inside().ClaimGuestOrders(moduletest.As(t, ""), r)
		if err != nil || answer.GetOrders() != 1 || answer.GetMore() {
			t.Fatalf("got %v, %v", answer, err)
		}
	}
	if n := moduletest.Value[int64](t, s.House, "SELECT count(*) FROM orders.transition WHERE note LIKE 'claimed%'"); n != 1 {
		t.Errorf("the logs have %d claims", n)
	}
}

// Who has 20 orders that are neither paid nor ended cannot hold more of the stock from others; others can order. (OWASP API 6: reservation
// hoarding.)
func TestReservationsCannotBeHoarded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, hoarder := range map[string]*customer{"a customer": s.customer(t), "a guest": s.guest(t, "one@example.org")} {
		t.Run(name, func(t *testing.T) {
			hoarder.t = t
			hoarder.Exec(t, "UPDATE inventory.stock SET on_hand = 1000 WHERE sku = $1", hoarder.sku)
			var open []string
			for range 20 {
				open = append(open, hoarder.order(unknown))
			}
			quote := hoarder.quoted()
			_, err := hoarder.place(quote, good)
			refused(t, err, connect.CodeFailedPrecondition, "TOO_MANY_OPEN")
			if !strings.Contains(fmt.Sprint(err), "cancel one") {
				t.Errorf("it does not say what to do: %v", err)
			}
			s.customer(t).order(good)
			// One that was cancelled is open until its stock is given back.
			if err := hoarder.cancel(open[0]); err != nil {
				t.Fatal(err)
			}
			s.payments.settle(open[0])
			hoarder.watch(open[0], 0)
			next, err := hoarder.place(quote, good)
			if err != nil {
				t.Fatalf("after one has ended: %v", err)
			}
			hoarder.watch(next.GetId(), 0)
			for range 3 { // What is paid holds nobody up.
				hoarder.watch(hoarder.order(good), 0)
			}
		})
	}
}

// The people of the shop order for others.
func TestShopOrdersForMany(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.ctx = moduletest.As(t, c.user, "staff")
	c.Exec(t, "UPDATE inventory.stock SET on_hand = 1000 WHERE sku = $1", c.sku)
	for range 21 {
		c.order(unknown)
	}
}
