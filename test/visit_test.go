package test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// patience bounds a visit. A visit that goes well does not come near it.
const patience = 60 * time.Second

// visit is a scenario while it is played: a customer in a shop.
type visit struct {
	*testing.T
	*shop
	clients         // What the customer calls, through the public port.
	inside  clients // What orders calls, at the internal ports.
	ctx     context.Context
	email   string // of a guest

	mu   sync.Mutex
	seen []string
}

// enter begins a visit.
func enter(t *testing.T, s *shop, p protocol) *visit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &visit{
		T: t, shop: s, ctx: ctx, clients: p.clients(t, s, func(string) string { return s.Public() }), inside: asOrders.clients(t, s, s.Internal),
	}
}

// must ends the scenario if something failed that should not.
func (v *visit) must(what string, err error) {
	v.Helper()
	if err != nil {
		v.Fatalf("%s: %v", what, describe(err))
	}
}

// code returns what a program sees of an error: code, reason and the paths of fields, or "ok".
func code(err error) string {
	var connectErr *connect.Error
	if err == nil {
		return "ok"
	}
	if !errors.As(err, &connectErr) {
		return "no code"
	}
	words := []string{connectErr.Code().String()}
	if reason := rpc.Reason(err); reason != "" {
		words = append(words, reason)
	}
	return strings.Join(append(words, fields(connectErr)...), " ")
}

// describe returns what a customer sees of an error: the same, and the sentence.
func describe(err error) string {
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		return code(err) + ": " + connectErr.Message()
	}
	return fmt.Sprintf("%s: %v", code(err), err)
}

// fields returns the paths of the fields that an error complains of.
func fields(err *connect.Error) []string {
	var paths []string
	for _, detail := range err.Details() {
		value, err := detail.Value()
		if violations, ok := value.(*validate.Violations); ok && err == nil {
			for _, violation := range violations.GetViolations() {
				paths = append(paths, protovalidate.FieldPathString(violation.GetField()))
			}
		}
	}
	return paths
}

// refused notes a refusal and requires its [code].
func (v *visit) refused(what string, err error, want string) {
	v.Helper()
	if got := code(err); got != want {
		v.Fatalf("%s: got %s, want %s", what, describe(err), want)
	}
	v.saw("%s: %s", what, describe(err))
}

// equal requires that a number or word is as it should be, and notes it.
func equal[T comparable](v *visit, what string, got, want T) {
	v.Helper()
	if got != want {
		v.Errorf("%s is %v, want %v", what, got, want)
	}
	v.saw("%s is %v", what, got)
}

// same requires that two answers are identical.
func (v *visit) same(what string, got, want proto.Message) {
	v.Helper()
	if !proto.Equal(got, want) {
		v.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
	}
}

// request returns a new request id.
func request() string { return id.New("rq") }

// product puts a product of one variant on sale and returns its SKU, which nobody else uses.
func (v *visit) product(cents, pieces int64) string {
	v.Helper()
	sku := id.New("sku")
	v.price(sku, cents)
	v.stock(sku, pieces)
	return sku
}

// price sets the price of a SKU, and puts it on sale if it is new.
func (v *visit) price(sku string, cents int64) {
	v.Helper()
	v.offer(sku, &typev1.Money{Amount: cents, Currency: "EUR"}, catalogv1.ProductState_PRODUCT_STATE_PUBLISHED)
}

// offer writes a product of one variant.
func (v *visit) offer(sku string, price *typev1.Money, state catalogv1.ProductState) {
	v.Helper()
	_, err := v.catalog.BatchUpsertProducts(v.ctx, &catalogv1.BatchUpsertProductsRequest{
		RequestId: request(), Products: []*catalogv1.UpsertProduct{{
			Title: "Thing", Category: "scenario", State: state, Variants: []*catalogv1.UpsertVariant{{Sku: sku, Price: price}},
		}},
	})
	v.must("offer a product", err)
}

// stock adds pieces of a SKU.
func (v *visit) stock(sku string, pieces int64) {
	v.Helper()
	if pieces == 0 {
		return
	}
	_, err := v.inventory.AdjustStock(v.ctx, &inventoryv1.AdjustStockRequest{
		RequestId: request(), Adjustments: []*inventoryv1.StockAdjustment{{Sku: sku, Delta: pieces}},
	})
	v.must("add stock", err)
}

// available returns how many pieces of a SKU can be sold.
func (v *visit) available(sku string) int64 {
	v.Helper()
	answer, err := v.inventory.BatchGetAvailability(v.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{sku}})
	v.must("ask for stock", err)
	return answer.GetAvailabilities()[0].GetAvailable()
}

// item is a number of pieces in a cart.
type item struct {
	sku      string
	quantity int64
}

// cart fills a new cart and returns its id.
func (v *visit) cart(items ...item) string {
	v.Helper()
	answer, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: request()})
	v.must("create a cart", err)
	cartID := answer.GetCart().GetId()
	for _, i := range items {
		_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: i.sku, Quantity: i.quantity})
		v.must("fill the cart", err)
	}
	return cartID
}

// quote asks what a cart costs.
func (v *visit) quote(cartID string) *ordersv1.Quote {
	v.Helper()
	answer, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cartID})
	v.must("ask for a quote", err)
	return answer.GetQuote()
}

// place orders a quote.
func (v *visit) place(quoteID, paymentMethod string) *ordersv1.Order {
	v.Helper()
	answer, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quoteID, PaymentMethod: paymentMethod, Email: v.email})
	v.must("place an order", err)
	return answer.GetOrder()
}

// buy fills a cart and orders it. It does not wait for what becomes of the order.
func (v *visit) buy(paymentMethod string, items ...item) *ordersv1.Order {
	v.Helper()
	return v.place(v.quote(v.cart(items...)).GetId(), paymentMethod)
}

// order returns an order as it is.
func (v *visit) order(orderID string) *ordersv1.Order {
	v.Helper()
	answer, err := v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{Id: orderID})
	v.must("get an order", err)
	return answer.GetOrder()
}

// cancel cancels an order.
func (v *visit) cancel(orderID string) *ordersv1.Order {
	v.Helper()
	answer, err := v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: orderID})
	v.must("cancel an order", err)
	return answer.GetOrder()
}

// watch returns what happens to an order after a transition, until the order settles.
func (v *visit) watch(orderID string, after int64) []*ordersv1.OrderTransition {
	v.Helper()
	var transitions []*ordersv1.OrderTransition
	v.must("watch an order", v.follow(orderID, after, func(w *ordersv1.WatchOrderResponse) bool {
		transitions = append(transitions, w.GetTransition())
		return true
	}))
	return transitions
}

// follow watches an order for as long as each returns true, and no longer than until it settles.
func (v *visit) follow(orderID string, after int64, each func(*ordersv1.WatchOrderResponse) bool) error {
	ctx, cancel := context.WithCancel(v.ctx)
	defer cancel()
	stream, err := v.orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID, AfterSequence: after})
	if err != nil {
		return err
	}
	for stream.Receive() {
		if !each(stream.Msg()) {
			cancel()
			_ = stream.Close() // It was cut short, and says so.
			return nil
		}
	}
	return errors.Join(stream.Err(), stream.Close())
}

// settled waits until an order settles, notes how, and requires the end.
func (v *visit) settled(orderID string, want ordersv1.OrderState, reason string) *ordersv1.Order {
	v.Helper()
	v.watch(orderID, 0)
	order := v.order(orderID)
	if order.GetState() != want || order.GetReason() != reason {
		v.Errorf("order %s ended %s %s, want %s %s", orderID, order.GetState(), order.GetReason(), want, reason)
	}
	v.saw("order ended %s %s", order.GetState(), order.GetReason())
	return order
}

// path returns the states of transitions, in one line.
func path(transitions []*ordersv1.OrderTransition) string {
	var words []string
	for _, t := range transitions {
		words = append(words, strings.ToLower(strings.TrimPrefix(t.GetState().String(), "ORDER_STATE_")))
	}
	return strings.Join(words, " ")
}

// payment returns an order's payment, as the people of the shop see it.
func (v *visit) payment(order *ordersv1.Order) *paymentsv1.Payment {
	v.Helper()
	answer, err := v.inside.payments.GetPayment(v.ctx, &paymentsv1.GetPaymentRequest{Id: order.GetPaymentId()})
	v.must("get a payment", err)
	return answer.GetPayment()
}

// reservation returns an order's reservation.
func (v *visit) reservation(order *ordersv1.Order) *inventoryv1.Reservation {
	v.Helper()
	answer, err := v.inside.inventory.GetReservation(v.ctx, &inventoryv1.GetReservationRequest{Id: order.GetReservationId()})
	v.must("get a reservation", err)
	return answer.GetReservation()
}

// paid requires what was taken and returned for an order, in cents.
func (v *visit) paid(order *ordersv1.Order, state paymentsv1.PaymentState, captured, refunded int64) {
	v.Helper()
	payment := v.payment(order)
	equal(v, "payment", payment.GetState(), state)
	equal(v, "captured", payment.GetCaptured().GetAmount(), captured)
	equal(v, "refunded", payment.GetRefunded().GetAmount(), refunded)
	equal(v, "payment of the order", payment.GetReference() == order.GetId() && payment.GetAmount().GetAmount() == order.GetTotal().GetAmount(), true)
}
