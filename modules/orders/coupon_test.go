package orders_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// coupon makes one and returns its code.
func (s *shop) coupon(t *testing.T, worth *ordersv1.CreateCouponRequest) string {
	t.Helper()
	worth.RequestId, worth.Code = s.next("coupon "), s.next("code-")
	answer, err := s.coupons.CreateCoupon(moduletest.As(t, "usr_staff", "staff"), worth)
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetCoupon().GetCode()
}

// uses returns how often a coupon counts as used.
func (s *shop) uses(t *testing.T, code string) int64 {
	t.Helper()
	answer, err := s.coupons.GetCoupon(moduletest.As(t, "usr_staff", "staff"), &ordersv1.GetCouponRequest{Id: code})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetCoupon().GetUses()
}

func (c *customer) quoteWith(code string) (*ordersv1.Quote, error) {
	answer, err := c.carts.CreateQuote(c.ctx, &ordersv1.CreateQuoteRequest{RequestId: c.next("quote "), CartId: c.cart(), CouponCode: code})
	return answer.GetQuote(), err
}

// orderWith places an order with a coupon.
func (c *customer) orderWith(code, method string) *ordersv1.Order {
	c.t.Helper()
	quote, err := c.quoteWith(code)
	if err != nil {
		c.t.Fatal(err)
	}
	order, err := c.place(quote.GetId(), method)
	if err != nil {
		c.t.Fatal(err)
	}
	return order
}

func TestCouponTakesSomethingOff(t *testing.T) {
	t.Parallel()
	s := setupWith(t, map[string]string{"CLEAVE_ORDERS_TAX_PERCENT": "19", "CLEAVE_ORDERS_SHIPPING_FEES": "490 EUR"})
	c := s.customer(t)
	code := s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10, MaxUses: 1})
	quote, err := c.quoteWith(code)
	if err != nil {
		t.Fatal(err)
	}
	// 4500 − 450 = 4050, of which 19 % are 769.5.
	if quote.GetSubtotal().GetAmount() != 4500 || quote.GetDiscount().GetAmount() != 450 || quote.GetTax().GetAmount() != 770 ||
		quote.GetShipping().GetAmount() != 490 || quote.GetTotal().GetAmount() != 4500-450+770+490 || quote.GetCouponCode() != code {
		t.Fatalf("%v", quote)
	}
	if n := s.uses(t, code); n != 0 {
		t.Errorf("a quote counts as %d uses", n)
	}
	order, err := c.place(quote.GetId(), good)
	if err != nil || !proto.Equal(order.GetTotal(), quote.GetTotal()) || order.GetCouponCode() != code || order.GetDiscount().GetAmount() != 450 {
		t.Fatalf("%v, %v", order, err)
	}
	c.watch(order.GetId(), 0)
	if got := c.get(order.GetId()); got.GetState() != confirmed || c.payments.account(order.GetId()).charged != quote.GetTotal().GetAmount() {
		t.Errorf("%v", got)
	}
	if n := s.uses(t, code); n != 1 {
		t.Errorf("an order counts as %d uses", n)
	}
	// What comes back is worth what was paid for it: shipping is not.
	if _, err := c.ship(order.GetId(), 0); err != nil {
		t.Fatal(err)
	}
	var back int64
	for range quantity {
		answer, err := c.bringBack(order.GetId(), 1, false)
		if err != nil {
			t.Fatal(err)
		}
		back += answer.GetReversal().GetRefund().GetAmount()
	}
	if back != 4500-450+770 {
		t.Errorf("%d go back", back)
	}
	c.followed(order.GetId(), returned, pieces, 0, 490)
}

// A coupon can be used again when nothing comes of its order.
func TestCouponIsGivenBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	code := s.coupon(t, &ordersv1.CreateCouponRequest{Amount: euros(500), MaxUses: 1})
	c := s.customer(t)
	rejectedOrder := c.orderWith(code, declined)
	c.ends(rejectedOrder.GetId(), rejected, "CARD_DECLINED")
	if n := s.uses(t, code); n != 0 {
		t.Fatalf("after the card was declined it counts as used %d times", n)
	}
	order := c.orderWith(code, good)
	c.watch(order.GetId(), 0)
	if n := s.uses(t, code); n != 1 {
		t.Errorf("it counts as used %d times", n)
	}
	if err := c.cancel(order.GetId()); err != nil {
		t.Fatal(err)
	}
	c.ends(order.GetId(), cancelled, byCustomer)
	if n := s.uses(t, code); n != 0 {
		t.Errorf("after the order was cancelled it counts as used %d times", n)
	}
}

// What costs less than a coupon is worth costs nothing, and is not paid.
func TestCouponThatIsWorthMore(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	order := c.orderWith(s.coupon(t, &ordersv1.CreateCouponRequest{Amount: euros(1_000_000)}), good)
	c.watch(order.GetId(), 0)
	if got := c.get(order.GetId()); got.GetState() != confirmed || got.GetTotal().GetAmount() != 0 || got.GetDiscount().GetAmount() != quantity*unitPrice {
		t.Errorf("%v", got)
	}
	if n := c.payments.account(order.GetId()).payments; n > 0 {
		t.Errorf("%d payments were made for nothing", n)
	}
}

func TestCouponIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	hour := time.Hour
	for reason, worth := range map[string]*ordersv1.CreateCouponRequest{
		"COUPON_NOT_YET":  {Percent: 10, StartTime: timestamppb.New(time.Now().Add(hour))},
		"COUPON_EXPIRED":  {Percent: 10, EndTime: timestamppb.New(time.Now().Add(-hour))},
		"COUPON_CURRENCY": {Amount: &typev1.Money{Amount: 1, Currency: "USD"}},
	} {
		_, err := s.customer(t).quoteWith(s.coupon(t, worth))
		refused(t, err, connect.CodeFailedPrecondition, reason)
	}
	c := s.customer(t)
	_, err := c.quoteWith("NO-SUCH-CODE")
	refused(t, err, connect.CodeFailedPrecondition, "COUPON_UNKNOWN")
	// What has become of it between quote and order.
	code := s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10, MaxUsesPerCustomer: 1})
	quotes := []*ordersv1.Quote{}
	for range 3 {
		quote, err := c.quoteWith(code)
		if err != nil {
			t.Fatal(err)
		}
		quotes = append(quotes, quote)
	}
	if _, err := c.place(quotes[0].GetId(), good); err != nil {
		t.Fatal(err)
	}
	_, err = c.place(quotes[1].GetId(), good)
	refused(t, err, connect.CodeFailedPrecondition, "COUPON_USED_BY_CUSTOMER")
	_, err = c.quoteWith(code)
	refused(t, err, connect.CodeFailedPrecondition, "COUPON_USED_BY_CUSTOMER")
	disable := &ordersv1.DisableCouponRequest{RequestId: "disable", Id: code}
	staff := moduletest.As(t, "usr_staff", "staff")
	first, err := s.coupons.DisableCoupon(staff, disable)
	if err != nil || !first.GetCoupon().GetDisabled() || first.GetCoupon().GetUses() != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := s.coupons.DisableCoupon(staff, disable); err != nil || !proto.Equal(again, first) {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
	_, err = c.place(quotes[2].GetId(), good)
	refused(t, err, connect.CodeFailedPrecondition, "COUPON_DISABLED")
}

func TestCouponsAreKept(t *testing.T) {
	t.Parallel()
	s := setup(t)
	staff := moduletest.As(t, "usr_staff", "staff")
	request := &ordersv1.CreateCouponRequest{RequestId: "1", Code: "welcome10", Percent: 10}
	first, err := s.coupons.CreateCoupon(staff, request)
	if err != nil || first.GetCoupon().GetCode() != "WELCOME10" {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := s.coupons.CreateCoupon(staff, request); err != nil || !proto.Equal(again, first) {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
	request.RequestId = "2"
	_, err = s.coupons.CreateCoupon(staff, request)
	refused(t, err, connect.CodeAlreadyExists, "COUPON_CODE_TAKEN")
	for _, name := range []string{first.GetCoupon().GetId(), "Welcome10"} {
		if got, err := s.coupons.GetCoupon(staff, &ordersv1.GetCouponRequest{Id: name}); err != nil || !proto.Equal(got.GetCoupon(), first.GetCoupon()) {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	for name, bad := range map[string]*ordersv1.CreateCouponRequest{
		"nothing": {}, "both": {Percent: 1, Amount: euros(1)}, "negative": {Amount: euros(-1)}, "too much": {Percent: 101},
		"backwards": {Percent: 1, StartTime: timestamppb.New(time.Now()), EndTime: timestamppb.New(time.Now().Add(-time.Hour))},
	} {
		bad.RequestId, bad.Code = name, "CODE"
		if _, err := s.coupons.CreateCoupon(staff, bad); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want an invalid argument", name, err)
		}
	}
	for range 2 {
		s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 5})
	}
	var codes []string
	for page := (&ordersv1.ListCouponsResponse{NextPageToken: "first"}); page.GetNextPageToken() != ""; {
		ask := &ordersv1.ListCouponsRequest{PageSize: 2}
		if page.GetNextPageToken() != "first" {
			ask.PageToken = page.GetNextPageToken()
		}
		if page, err = s.coupons.ListCoupons(staff, ask); err != nil {
			t.Fatal(err)
		}
		for _, coupon := range page.GetCoupons() {
			codes = append(codes, coupon.GetCode())
		}
	}
	if len(codes) != 3 || codes[2] != "WELCOME10" {
		t.Errorf("listed are %v", codes)
	}
	_, err = s.coupons.ListCoupons(moduletest.As(t, "usr_1"), &ordersv1.ListCouponsRequest{})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a customer lists coupons: %v", err)
	}
}

// A hundred orders at once with a coupon for ten: ten of them get it.
func TestCouponIsUsedAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	const orders, limit = 100, 10
	if _, err := s.inventory.AdjustStock(moduletest.As(t, "usr_staff", "staff"), &inventoryv1.AdjustStockRequest{ // Enough, so that no order gives it back.
		RequestId: "enough", Adjustments: []*inventoryv1.StockAdjustment{{Sku: c.sku, Delta: orders * quantity}},
	}); err != nil {
		t.Fatal(err)
	}
	code := s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10, MaxUses: limit})
	quotes := make([]string, orders)
	for i := range quotes {
		quote, err := c.quoteWith(code)
		if err != nil {
			t.Fatal(err)
		}
		quotes[i] = quote.GetId()
	}
	errs := make([]error, orders)
	var all sync.WaitGroup
	for i, quoteID := range quotes {
		all.Go(func() {
			_, errs[i] = c.orders.PlaceOrder(c.ctx, &ordersv1.PlaceOrderRequest{RequestId: fmt.Sprint("place at once ", i), QuoteId: quoteID, PaymentMethod: good})
		})
	}
	all.Wait()
	got := 0
	for _, err := range errs {
		if err == nil {
			got++
			continue
		}
		refused(t, err, connect.CodeFailedPrecondition, "COUPON_USED_UP")
	}
	if placed := moduletest.Value[int64](t, s.House, `SELECT count(*) FROM orders."order"`); got != limit || placed != limit {
		t.Errorf("%d orders got it, and %d were placed, want %d", got, placed, limit)
	}
	if n := s.uses(t, code); n != limit {
		t.Errorf("it counts as used %d times", n)
	}
}
