package orders

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/fulfillment"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/order"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// confirmedOrder is an order under its lock, with what has become of its lines.
type confirmedOrder struct {
	*ent.Order
	tallies []tally
}

// lockConfirmed locks an order that was confirmed. It fails with ORDER_STATE if it was not.
func lockConfirmed(ctx context.Context, tx tx, orderID, userID string, everybodys bool) (*confirmedOrder, error) {
	query := tx.Ent.Order.Query().Where(order.ID(orderID)).ForUpdate()
	if !everybodys {
		query.Where(order.UserID(userID))
	}
	row, err := query.Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("order", orderID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock order %s: %w", orderID, err)
	}
	switch state(row.State) {
	case confirmed, partiallyFulfilled, fulfilled, returned:
	default:
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order %s is %s: it is shipped when it is confirmed", row.ID, row.State)
	}
	o := &confirmedOrder{row, talliesOf(row.Lines)}
	var parcels, reversals [][]schema.Pieces
	var kinds []reversalKind
	// One row, whatever there is of both.
	if err := tx.QueryRow(ctx, `SELECT (SELECT coalesce(json_agg(lines), '[]') FROM fulfillment WHERE order_id = $1),
			(SELECT coalesce(json_agg(lines ORDER BY id), '[]') FROM reversal WHERE order_id = $1),
			(SELECT coalesce(json_agg(kind ORDER BY id), '[]') FROM reversal WHERE order_id = $1)`, orderID).Scan(&parcels, &reversals, &kinds); err != nil {
		return nil, fmt.Errorf("load what was shipped of order %s: %w", orderID, err)
	}
	for _, lines := range parcels {
		if _, _, err := shipping.do(o.tallies, lines); err != nil {
			return nil, fmt.Errorf("count what was shipped of order %s: %w", orderID, err)
		}
	}
	for i, lines := range reversals {
		if _, _, err := kinds[i].deed().do(o.tallies, lines); err != nil {
			return nil, fmt.Errorf("count what came back of order %s: %w", orderID, err)
		}
	}
	return o, nil
}

// handled writes down what was done with pieces of the order, and tells others when it has come to another state by that, or of each parcel.
func (s *service) handled(ctx context.Context, tx tx, o *confirmedOrder, note, parcelID string) error {
	c := change{note: note}
	next := stateOf(o.tallies)
	if next != state(o.State) {
		c.state = next
	}
	if err := record(ctx, tx, o.Order, c); err != nil {
		return err
	}
	db.AfterCommit(ctx, func() { s.changes.tell(o.ID, happened{}) })
	var told proto.Message
	switch {
	case next == partiallyFulfilled && parcelID != "":
		told = &ordersv1.OrderPartiallyFulfilled{OrderId: o.ID, UserId: o.UserID, FulfillmentId: parcelID}
	case c.state == fulfilled:
		told = &ordersv1.OrderFulfilled{OrderId: o.ID, UserId: o.UserID, FulfillmentId: parcelID}
	case c.state == returned:
		told = &ordersv1.OrderReturned{OrderId: o.ID, UserId: o.UserID}
	default:
		return nil
	}
	return s.events.Publish(ctx, tx.Tx, o.ID, o.Sequence, told)
}

func (s *service) CreateFulfillment(ctx context.Context, r *ordersv1.CreateFulfillmentRequest) (answer *ordersv1.CreateFulfillmentResponse, err error) {
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CreateFulfillmentResponse, error) {
		o, err := lockConfirmed(ctx, tx, r.GetOrderId(), "", true)
		if err != nil {
			return nil, err
		}
		return s.ship(ctx, tx, o, r)
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/fulfill/committed")
	return answer, nil
}

// ship writes a parcel down, and has inventory take its pieces out of the stock when that is committed.
func (s *service) ship(ctx context.Context, tx tx, o *confirmedOrder, r *ordersv1.CreateFulfillmentRequest) (*ordersv1.CreateFulfillmentResponse, error) {
	if is := state(o.State); is != confirmed && is != partiallyFulfilled {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order %s is %s: nothing of it is left to be shipped", o.ID, is)
	}
	done, _, err := shipping.do(o.tallies, piecesOf(r.GetLines()))
	if err != nil {
		return nil, tooMany(o.ID, err)
	}
	row := &ent.Fulfillment{ID: id.New("ful"), OrderID: o.ID, Lines: done, TrackingCode: r.GetTrackingCode()}
	if err := s.handled(ctx, tx, o, "shipped as "+row.ID, row.ID); err != nil {
		return nil, err
	}
	row.CreateTime = o.UpdateTime
	tx.Defer("INSERT INTO fulfillment (id, order_id, lines, tracking_code, create_time) VALUES ($1, $2, $3, $4, $5)",
		row.ID, row.OrderID, row.Lines, row.TrackingCode, row.CreateTime)
	if err := s.parcels.Start(ctx, tx.Tx, row.ID, parcel{o.ReservationID, done}); err != nil {
		return nil, err
	}
	return &ordersv1.CreateFulfillmentResponse{Fulfillment: fulfillmentMessage(row), Order: orderMessage(o.Order)}, nil
}

func (s *service) ListFulfillments(ctx context.Context, r *ordersv1.ListFulfillmentsRequest) (*ordersv1.ListFulfillmentsResponse, error) {
	row, err := s.ownOrder(ctx, r.GetOrderId())
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), row.ID)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Ent.Fulfillment.Query().Where(fulfillment.OrderID(row.ID), fulfillment.IDGT(after)).
		Order(fulfillment.ByID()).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &ordersv1.ListFulfillmentsResponse{}
	rows, answer.NextPageToken = page.Cut(rows, size, row.ID, func(f *ent.Fulfillment) string { return f.ID })
	for _, f := range rows {
		answer.Fulfillments = append(answer.Fulfillments, fulfillmentMessage(f))
	}
	return answer, nil
}

// tooMany makes of a broken rule the error of a method.
func tooMany(orderID string, err error) error {
	if errors.As(err, new(errFewer)) {
		return rpc.Errorf(connect.CodeFailedPrecondition, "TOO_MANY", "order %s: %s", orderID, err)
	}
	return err
}

func piecesOf(lines []*ordersv1.LineQuantity) []schema.Pieces {
	pieces := make([]schema.Pieces, 0, len(lines))
	for _, l := range lines {
		pieces = append(pieces, schema.Pieces{SKU: l.GetSku(), Quantity: l.GetQuantity()})
	}
	return pieces
}

func pieceMessages(pieces []schema.Pieces) []*ordersv1.LineQuantity {
	messages := make([]*ordersv1.LineQuantity, 0, len(pieces))
	for _, p := range pieces {
		messages = append(messages, &ordersv1.LineQuantity{Sku: p.SKU, Quantity: p.Quantity})
	}
	return messages
}

// fulfillmentMessage maps a parcel.
func fulfillmentMessage(row *ent.Fulfillment) *ordersv1.Fulfillment {
	return &ordersv1.Fulfillment{
		Id: row.ID, OrderId: row.OrderID, Lines: pieceMessages(row.Lines), TrackingCode: row.TrackingCode, CreateTime: timestamppb.New(row.CreateTime),
	}
}
