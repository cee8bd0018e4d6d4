package orders_test

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"pgregory.net/rapid"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Whatever happens to an order in its life – a guest's or a customer's, with a coupon or without, after a price that changed, shipped in
// parts, returned, its rest cancelled, or all of it – stock, money and coupon are what simple arithmetic says, and its log rebuilds it.
func TestAnyLifeOfAnOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	rapid.Check(t, func(r *rapid.T) {
		flip := rapid.Bool()
		c := s.customer(t)
		if flip.Draw(r, "guest") {
			c = s.guest(t, "one@example.org")
		}
		l := &life{customer: c, quantity: rapid.Int64Range(1, 5).Draw(r, "quantity")}
		code := ""
		if flip.Draw(r, "coupon") {
			code = s.coupon(t, &ordersv1.CreateCouponRequest{Percent: rapid.Int32Range(1, 100).Draw(r, "percent"), MaxUses: 1})
		}
		quote := l.ask(r, code)
		if flip.Draw(r, "the price changes") {
			c.price += rapid.Int64Range(1, 1000).Draw(r, "by")
			c.offer(t, c.sku, euros(c.price), published)
			if _, err := c.place(quote.GetId(), good); rpc.Reason(err) != "PRICE_CHANGED" {
				r.Fatalf("ordered at a price that has changed: %v", err)
			}
			quote = l.ask(r, code)
		}
		l.paid = quote.GetTotal().GetAmount()
		if want := l.quantity*c.price - quote.GetDiscount().GetAmount(); l.paid != want {
			r.Fatalf("%d pieces at %d cost %d, want %d", l.quantity, c.price, l.paid, want)
		}
		order, err := c.place(quote.GetId(), good)
		if err != nil {
			r.Fatal(err)
		}
		l.id = order.GetId()
		c.watch(l.id, 0)
		deeds := map[string]func(*rapid.T){"ship": l.ship, "return": l.bringBack, "cancel the rest": l.cancelRest, "cancel": l.cancel}
		for _, deed := range rapid.SliceOfN(rapid.SampledFrom([]string{"ship", "ship", "return", "cancel the rest", "cancel"}), 0, 6).Draw(r, "deeds") {
			deeds[deed](r)
			l.check(r)
		}
		l.follow(r)
		if uses := int64(1); code != "" {
			if l.cancelled {
				uses = 0
			}
			if n := s.uses(t, code); n != uses {
				r.Errorf("the coupon is used %d times, want %d", n, uses)
			}
		}
		if problem := c.fact(l.id).GetLogProblem(); problem != "" {
			r.Errorf("the log of the order: %s", problem)
		}
	})
}

// life is an order of one SKU, and what has been done with it, as somebody counts who does not know how the shop does.
type life struct {
	*customer
	id                         string
	quantity, paid             int64
	shipped, returned, dropped int64
	cancelled                  bool
}

// ask returns a quote for a new cart.
func (l *life) ask(r *rapid.T, code string) *ordersv1.Quote {
	opened, err := l.carts.CreateCart(l.ctx, &ordersv1.CreateCartRequest{RequestId: l.next("cart ")})
	if err != nil {
		r.Fatal(err)
	}
	if _, err := l.set(opened.GetCart().GetId(), l.sku, l.quantity); err != nil {
		r.Fatal(err)
	}
	answer, err := l.carts.CreateQuote(l.ctx, &ordersv1.CreateQuoteRequest{RequestId: l.next("quote "), CartId: opened.GetCart().GetId(), CouponCode: code})
	if err != nil {
		r.Fatal(err)
	}
	return answer.GetQuote()
}

func (l *life) left() int64 { return l.quantity - l.shipped - l.dropped }
func (l *life) out() int64  { return l.shipped - l.returned }

// state returns what the order has to be.
func (l *life) state() ordersv1.OrderState {
	switch {
	case l.cancelled:
		return ordersv1.OrderState_ORDER_STATE_CANCELLED
	case l.shipped == 0:
		return confirmed
	case l.left() > 0:
		return partially
	case l.out() > 0:
		return fulfilled
	default:
		return returned
	}
}

// check requires the state of the order, which does not wait for stock and money.
func (l *life) check(r *rapid.T) {
	if got := l.get(l.id).GetState(); got != l.state() {
		r.Fatalf("%d were shipped, %d came back and %d are not sent of %d, and the order is %s", l.shipped, l.returned, l.dropped, l.quantity, got)
	}
}

// does does something with n pieces, which has to be possible or not, and counts them if it was.
func (l *life) does(r *rapid.T, what string, possible bool, n int64, count *int64, do func() error) {
	switch err := do(); {
	case possible && err != nil:
		r.Fatalf("%s %d pieces: %v", what, n, err)
	case possible:
		*count += n
	case connect.CodeOf(err) != connect.CodeFailedPrecondition:
		r.Fatalf("%s %d pieces, which is not possible: %v", what, n, err)
	}
}

func (l *life) ship(r *rapid.T) {
	n := rapid.Int64Range(1, 5).Draw(r, "pieces")
	l.does(r, "ship", !l.cancelled && n <= l.left(), n, &l.shipped, func() error {
		_, err := l.customer.ship(l.id, n)
		return err
	})
}

func (l *life) bringBack(r *rapid.T) {
	n := rapid.Int64Range(1, 5).Draw(r, "pieces")
	l.does(r, "return", !l.cancelled && n <= l.out(), n, &l.returned, func() error {
		_, err := l.customer.bringBack(l.id, n, false)
		return err
	})
}

func (l *life) cancelRest(r *rapid.T) {
	n := l.left()
	l.does(r, "cancel the rest of", !l.cancelled && l.shipped > 0 && n > 0, n, &l.dropped, func() error {
		_, err := l.customer.cancelRest(l.id)
		return err
	})
}

func (l *life) cancel(r *rapid.T) {
	none := int64(0)
	l.does(r, "cancel", l.cancelled || l.shipped == 0, 0, &none, func() error { return l.customer.cancel(l.id) })
	if l.shipped == 0 {
		l.cancelled = true
		l.watch(l.id, 0)
	}
}

// follow waits until stock and money have followed, and requires what they are then.
func (l *life) follow(r *rapid.T) {
	onHand, reserved, charged := pieces-l.shipped+l.returned, l.left(), l.paid-l.paid*(l.returned+l.dropped)/l.quantity
	if l.cancelled {
		onHand, reserved, charged = pieces, 0, 0
	}
	l.followed(l.id, l.state(), onHand, reserved, charged)
	if l.t.Failed() {
		r.Fatal(fmt.Sprintf("of %d pieces for %d %d were shipped, %d came back and %d are not sent", l.quantity, l.paid, l.shipped, l.returned, l.dropped))
	}
}
