package orders

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/reversal"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

func (s *service) ReturnLines(ctx context.Context, r *ordersv1.ReturnLinesRequest) (answer *ordersv1.ReturnLinesResponse, err error) {
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.ReturnLinesResponse, error) {
		o, err := lockConfirmed(ctx, tx, r.GetOrderId(), "", true)
		if err != nil {
			return nil, err
		}
		if state(o.State) == confirmed {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order %s is %s: nothing of it was shipped that could come back", o.ID, o.State)
		}
		row := &ent.Reversal{Kind: string(byReturn), Discard: r.GetDiscard(), Reason: r.GetReason()}
		if err := s.reverse(ctx, tx, o, row, piecesOf(r.GetLines())); err != nil {
			return nil, err
		}
		return &ordersv1.ReturnLinesResponse{Reversal: reversalMessage(row, o.Currency), Order: orderMessage(o.Order)}, nil
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/return/committed")
	return answer, nil
}

func (s *service) CancelRest(ctx context.Context, r *ordersv1.CancelRestRequest) (answer *ordersv1.CancelRestResponse, err error) {
	userID, everybodys := rpc.Owner(ctx)
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CancelRestResponse, error) {
		o, err := lockConfirmed(ctx, tx, r.GetOrderId(), userID, everybodys)
		if err != nil {
			return nil, err
		}
		if state(o.State) != partiallyFulfilled {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order %s is %s: there is no rest of it", o.ID, o.State)
		}
		row := &ent.Reversal{Kind: string(byCancellation)}
		if err := s.reverse(ctx, tx, o, row, nil); err != nil {
			return nil, err
		}
		return &ordersv1.CancelRestResponse{Reversal: reversalMessage(row, o.Currency), Order: orderMessage(o.Order)}, nil
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/cancel-rest/committed")
	return answer, nil
}

// reverse writes down that pieces of an order are not the customer's any more, and has stock and money follow when that is committed.
func (s *service) reverse(ctx context.Context, tx tx, o *confirmedOrder, row *ent.Reversal, named []schema.Pieces) error {
	kind := reversalKind(row.Kind)
	done, refund, err := kind.deed().do(o.tallies, named)
	if err != nil {
		return tooMany(o.ID, err)
	}
	row.ID, row.OrderID, row.State, row.Lines, row.Refund = id.New("rev"), o.ID, string(reversalPending), done, refund
	note := "came back as " + row.ID
	if kind == byCancellation {
		note = "the rest is not sent: " + row.ID
	}
	if err := s.handled(ctx, tx, o, note, ""); err != nil {
		return err
	}
	row.CreateTime = o.UpdateTime
	tx.Defer(`INSERT INTO reversal (id, order_id, kind, state, lines, discard, reason, refund, create_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		row.ID, row.OrderID, row.Kind, row.State, row.Lines, row.Discard, row.Reason, row.Refund, row.CreateTime)
	return s.reversals.Start(ctx, tx.Tx, row.ID, reversing{
		ReservationID: o.ReservationID, PaymentID: o.PaymentID, Kind: kind, Lines: done, Discard: row.Discard, Refund: refund, Currency: o.Currency,
	})
}

func (s *service) ListReversals(ctx context.Context, r *ordersv1.ListReversalsRequest) (*ordersv1.ListReversalsResponse, error) {
	row, err := s.ownOrder(ctx, r.GetOrderId())
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), row.ID)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Ent.Reversal.Query().Where(reversal.OrderID(row.ID), reversal.IDGT(after)).Order(reversal.ByID()).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &ordersv1.ListReversalsResponse{}
	rows, answer.NextPageToken = page.Cut(rows, size, row.ID, func(found *ent.Reversal) string { return found.ID })
	for _, found := range rows {
		answer.Reversals = append(answer.Reversals, reversalMessage(found, row.Currency))
	}
	return answer, nil
}

var reversalKinds = map[reversalKind]ordersv1.ReversalKind{
	byReturn:       ordersv1.ReversalKind_REVERSAL_KIND_RETURN,
	byCancellation: ordersv1.ReversalKind_REVERSAL_KIND_CANCELLATION,
}

var reversalStates = map[reversalState]ordersv1.ReversalState{
	reversalPending:  ordersv1.ReversalState_REVERSAL_STATE_PENDING,
	reversalSettled:  ordersv1.ReversalState_REVERSAL_STATE_SETTLED,
	reversalToReview: ordersv1.ReversalState_REVERSAL_STATE_NEEDS_REVIEW,
}

// reversalMessage maps a reversal of an order in a currency.
func reversalMessage(row *ent.Reversal, currency string) *ordersv1.Reversal {
	return &ordersv1.Reversal{
		Id: row.ID, OrderId: row.OrderID, Kind: reversalKinds[reversalKind(row.Kind)], State: reversalStates[reversalState(row.State)],
		Lines: pieceMessages(row.Lines), Discard: row.Discard, Reason: row.Reason, Refund: &typev1.Money{Amount: row.Refund, Currency: currency},
		CreateTime: timestamppb.New(row.CreateTime),
	}
}
