package orders

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/order"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// service implements OrderService here, CartService in carts.go, FulfillmentService in fulfillments.go and reversals.go,
// CouponService in coupons.go, GuestService in guests.go and QuickOrderService in quick.go: a transaction per method.
type service struct {
	store   *db.Store[*ent.Client]
	catalog catalogv1connect.CatalogServiceClient
	// catalogOr is the catalog where an answer can be given without it.
	catalogOr *module.Optional
	sagas     *saga.Saga[purchase]
	// couponSagas are the checkouts of orders with a coupon.
	couponSagas *saga.Saga[purchase]
	// parcels and reversals are what follows when an order is confirmed.
	parcels   *saga.Saga[parcel]
	reversals *saga.Saga[reversing]

	changes *changes
	events  *event.Events
	people  *person.Client
	saved   string // The payment method of quick orders.

	calculator calculator
}

type tx = db.Tx[*ent.Client]

func (s *service) PlaceOrder(ctx context.Context, r *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	userID, _ := rpc.Owner(ctx)
	if err := checkEmail(userID, r.GetEmail()); err != nil {
		return nil, err
	}
	q, now, err := s.orderable(ctx, r.GetQuoteId(), userID)
	if err != nil {
		return idempotency.KeptOr[ordersv1.PlaceOrderResponse](ctx, s.store.DB, r, err)
	}
	var answer *ordersv1.PlaceOrderResponse
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.PlaceOrderResponse, error) {
		placed, err := s.place(ctx, tx, q, now, r.GetPaymentMethod())
		if r.GetEmail() != "" && err == nil {
			insertContact(tx, placed.GetId(), r.GetEmail())
		}
		return &ordersv1.PlaceOrderResponse{Order: placed}, err
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/place/committed")
	return answer, nil
}

// orderable returns a quote of the user's whose prices still hold, and the database's time.
func (s *service) orderable(ctx context.Context, quoteID, userID string) (*ent.Quote, time.Time, error) {
	q, now, err := s.loadQuote(ctx, quoteID, userID)
	if err != nil {
		return nil, now, err
	}
	return q, now, s.checkPrices(ctx, q.Lines, q.Currency)
}

// place turns a quote into an order that is pending. Once that is durable it is seen through, whether the client stays or not.
func (s *service) place(ctx context.Context, tx tx, q *ent.Quote, now time.Time, paymentMethod string) (*ordersv1.Order, error) {
	// Most quotes can be ordered, so nobody waits to be told: if this one cannot, [insertOrder] is refused, and all this is done again.
	if !db.FirstTry(ctx) {
		if err := whyNotOrderable(ctx, tx, q, maxOpen(ctx)); err != nil {
			return nil, err
		}
	}
	row := &ent.Order{
		ID: id.New("ord"), UserID: q.UserID, QuoteID: q.ID, State: string(pending), Lines: q.Lines, Total: q.Total, Currency: q.Currency, Charges: q.Charges,
		PaymentMethod: paymentMethod, Sequence: 1, CreateTime: now, UpdateTime: now,
	}
	insertOrder(tx, row, q, "order placed", maxOpen(ctx))
	if q.Charges.CouponID != "" { // After the cart, as in whyNotOrderable: nobody waits in a circle.
		useCoupon(tx, q.Charges.CouponID, row.ID, row.UserID)
	}
	total := &typev1.Money{Amount: row.Total, Currency: row.Currency}
	if err := s.events.Publish(ctx, tx.Tx, row.ID, row.Sequence, eventOf(pending, row.ID, row.UserID, total, "")); err != nil {
		return nil, err
	}
	return orderMessage(row), s.checkoutOf(row).Start(ctx, tx.Tx, row.ID, purchaseOf(row))
}

// checkoutOf returns the kind of checkout that sees an order through. One with a coupon has a step more.
func (s *service) checkoutOf(row *ent.Order) *saga.Saga[purchase] {
	if row.Charges.CouponID != "" {
		return s.couponSagas
	}
	return s.sagas
}

// whyNotOrderable says why a quote cannot be ordered, if it cannot.
func whyNotOrderable(ctx context.Context, tx tx, q *ent.Quote, mostOpen int) error {
	// The lock lets one of several orders of the same cart win, whatever quotes they have.
	is, now, err := lockCart(ctx, tx, q.CartID, q.UserID)
	switch {
	case err != nil:
		return err
	case is == abandoned:
		return errCartState(q.CartID, is)
	case is != active:
		return rpc.Errorf(connect.CodeFailedPrecondition, "QUOTE_USED", "quote %s has been ordered already", q.ID)
	case now.After(q.ExpireTime):
		return rpc.Errorf(connect.CodeFailedPrecondition, "QUOTE_EXPIRED", "quote %s has expired: ask for a new one", q.ID)
	}
	open, err := countOpen(ctx, tx, q.UserID, mostOpen)
	if err != nil {
		return err
	}
	if open >= mostOpen {
		return rpc.Errorf(connect.CodeFailedPrecondition, "TOO_MANY_OPEN",
			"you have %d orders that are neither paid nor ended: wait until one is, or cancel one", open)
	}
	if q.Charges.CouponID != "" {
		return whyNotUsable(ctx, tx, q.Charges.CouponID, q.UserID, q.Currency)
	}
	return nil
}

func (s *service) GetOrder(ctx context.Context, r *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	row, err := s.ownOrder(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &ordersv1.GetOrderResponse{Order: orderMessage(row)}, nil
}

// ownOrder loads an order that the caller may meet.
func (s *service) ownOrder(ctx context.Context, orderID string) (*ent.Order, error) {
	query := s.store.Ent.Order.Query().Where(order.ID(orderID))
	if userID, everybodys := rpc.Owner(ctx); !everybodys {
		query.Where(order.UserID(userID))
	}
	row, err := query.Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("order", orderID)
	}
	return row, db.Unavailable(err)
}

// allUsers names everybody where a user is asked for.
const allUsers = "-"

func (s *service) ListOrders(ctx context.Context, r *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	userID, everybodys := rpc.Owner(ctx)
	all := everybodys && r.GetUserId() == allUsers // Somebody may be called so.
	if asked := r.GetUserId(); asked != "" && asked != userID {
		if !everybodys {
			return nil, rpc.Errorf(connect.CodePermissionDenied, "NOT_YOURS", "user_id must be your own")
		}
		userID = asked
	}
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), userID)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	query := s.store.Ent.Order.Query()
	if !all {
		query.Where(order.UserID(userID))
	}
	if after != "" {
		query.Where(order.IDLT(after))
	}
	// Ids sort by time.
	rows, err := query.Order(ent.Desc(order.FieldID)).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &ordersv1.ListOrdersResponse{}
	rows, answer.NextPageToken = page.Cut(rows, size, userID, func(row *ent.Order) string { return row.ID })
	for _, row := range rows {
		answer.Orders = append(answer.Orders, orderMessage(row))
	}
	return answer, nil
}

func (s *service) CancelOrder(ctx context.Context, r *ordersv1.CancelOrderRequest) (*ordersv1.CancelOrderResponse, error) {
	answer, err := idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CancelOrderResponse, error) {
		row, err := s.cancel(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		return &ordersv1.CancelOrderResponse{Order: orderMessage(row)}, nil
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/cancel/committed")
	return answer, nil
}

// cancel writes down the wish to cancel; the checkout undoes what has been done.
func (s *service) cancel(ctx context.Context, tx tx, orderID string) (*ent.Order, error) {
	userID, everybodys := rpc.Owner(ctx)
	own := func() *ent.OrderQuery {
		query := tx.Ent.Order.Query().Where(order.ID(orderID))
		if !everybodys {
			query.Where(order.UserID(userID))
		}
		return query
	}
	first, err := own().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("order", orderID)
	}
	if err != nil {
		return nil, err
	}
	c := change{state: cancelPending, reason: reasonCancelled, note: "cancelled by the customer"}
	if first.UserID != userID {
		c.reason, c.note = reasonCancelledByShop, "cancelled by the shop"
	}
	// The saga is locked before the order, as at its boundaries. If the order may not be cancelled, the wish is rolled back.
	unknown := s.sagas.Cancel(ctx, tx.Tx, orderID, c.reason)
	if unknown != nil && !errors.Is(unknown, saga.ErrUnknown) {
		return nil, unknown
	}
	row, err := own().ForUpdate().Only(ctx) // Somebody may be about to ship it.
	if ent.IsNotFound(err) {                // It was a guest's, and has just been claimed.
		return nil, rpc.NotFound("order", orderID)
	}
	if err != nil {
		return nil, err
	}
	switch from := state(row.State); {
	case from == cancelPending || from == cancelled:
		return row, nil
	case !from.canBecome(cancelPending):
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order %s is %s and cannot be cancelled any more%s", row.ID, from, instead[from])
	}
	if unknown != nil { // It was placed so long ago that its saga is not kept any more.
		if err := s.checkoutOf(row).StartUndone(ctx, tx.Tx, orderID, purchaseOf(row), c.reason); err != nil {
			return nil, err
		}
	}
	db.AfterCommit(ctx, func() { s.changes.tell(orderID, happened{}) })
	return row, record(ctx, tx, row, c)
}

// instead says what can be done with an order that cannot be cancelled.
var instead = map[state]string{
	partiallyFulfilled: ": a part was shipped; what was not is ended by CancelRest",
	fulfilled:          ": it was shipped; what comes back is taken by ReturnLines",
}

// orderMessage maps an order.
func orderMessage(row *ent.Order) *ordersv1.Order {
	return &ordersv1.Order{
		Id: row.ID, UserId: row.UserID, State: messageStates[state(row.State)], Reason: row.Reason, Lines: lineMessages(row.Lines, row.Currency),
		Total: &typev1.Money{Amount: row.Total, Currency: row.Currency}, QuoteId: row.QuoteID, ReservationId: row.ReservationID,
		PaymentId: row.PaymentID, Sequence: row.Sequence, CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
		Subtotal: &typev1.Money{Amount: subtotalOf(row.Total, row.Charges), Currency: row.Currency}, Discount: some(row.Charges.Discount, row.Currency),
		Tax: some(row.Charges.Tax, row.Currency), Shipping: some(row.Charges.Shipping, row.Currency), CouponCode: row.Charges.CouponCode,
	}
}

// subtotalOf returns what the lines of a total cost.
func subtotalOf(total int64, c schema.Charges) int64 { return total + c.Discount - c.Tax - c.Shipping }

// some returns an amount, or nothing if it is nothing.
func some(amount int64, currency string) *typev1.Money {
	if amount == 0 {
		return nil
	}
	return &typev1.Money{Amount: amount, Currency: currency}
}

func lineMessages(lines []schema.Line, currency string) []*ordersv1.OrderLine {
	messages := make([]*ordersv1.OrderLine, 0, len(lines))
	for _, l := range lines {
		messages = append(messages, &ordersv1.OrderLine{
			Sku: l.SKU, Title: l.Title, Quantity: l.Quantity, PriceVersion: l.PriceVersion,
			UnitPrice: &typev1.Money{Amount: l.UnitAmount, Currency: currency}, Total: &typev1.Money{Amount: l.UnitAmount * l.Quantity, Currency: currency},
			Discount: some(l.Discount, currency), Tax: some(l.Tax, currency),
		})
	}
	return messages
}
