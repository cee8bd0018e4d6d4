package orders

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
)

// facts implements FactService.
type facts struct{ *service }

// factPage is how many orders are in one answer, and in memory at once.
const factPage = 200

// entry is an entry of an order's log as the facts read it.
type entry struct {
	Sequence      int64  `json:"sequence"`
	State         string `json:"state"`
	Reason        string `json:"reason"`
	ReservationID string `json:"reservation_id"`
	PaymentID     string `json:"payment_id"`
}

// StreamOrderFacts reads a page by one statement, orders and logs alike, so that all of it is of one moment.
func (f facts) StreamOrderFacts(ctx context.Context, _ *ordersv1.StreamOrderFactsRequest, stream *connect.ServerStream[ordersv1.StreamOrderFactsResponse]) error {
	after := ""
	for {
		rows, _ := f.store.Pool().Query(ctx, `SELECT o.id, o.state, o.reason, o.total, o.currency, o.reservation_id, o.payment_id, o.sequence,
				o.create_time, o.update_time, now(), o.lines,
				(SELECT coalesce(json_agg(json_build_object('sequence', t.sequence, 'state', t.state, 'reason', t.reason,
					'reservation_id', t.reservation_id, 'payment_id', t.payment_id) ORDER BY t.sequence), '[]') FROM transition t WHERE t.order_id = o.id),
				(SELECT coalesce(json_agg(f.lines), '[]') FROM fulfillment f WHERE f.order_id = o.id),
				(SELECT coalesce(json_agg(json_build_object('kind', r.kind, 'state', r.state, 'lines', r.lines, 'refund', r.refund)), '[]')
					FROM reversal r WHERE r.order_id = o.id),
				-- Not EXISTS: it would read all uses once, for each page.
				coalesce(o.charges ->> 'coupon_id', ''), (SELECT count(*) FROM coupon_use u WHERE u.order_id = o.id) > 0
			FROM "order" o WHERE o.id > $1 ORDER BY o.id LIMIT $2`, after, factPage)
		answer := &ordersv1.StreamOrderFactsResponse{}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ordersv1.OrderFact, error) {
			var created, updated, now time.Time
			var is progress
			var log []entry
			var lines []schema.Line
			var parcels [][]schema.Pieces
			var reversals []reversed
			fact := &ordersv1.OrderFact{Total: &typev1.Money{}}
			if err := row.Scan(&fact.Id, &is.state, &is.reason, &fact.Total.Amount, &fact.Total.Currency, &is.reservationID, &is.paymentID, &is.sequence,
				&created, &updated, &now, &lines, &log, &parcels, &reversals,
				&fact.CouponId, &fact.CouponUsed); err != nil {
				return nil, err
			}
			fact.State, fact.Reason, fact.ReservationId, fact.PaymentId = messageStates[is.state], is.reason, is.reservationID, is.paymentID
			fact.Settled, fact.LogProblem, fact.Lines = is.state.settled(), logProblem(log, is), factLines(lines, parcels, reversals)
			fact.Reversed, fact.Reversing = &typev1.Money{Currency: fact.Total.Currency}, &typev1.Money{Currency: fact.Total.Currency}
			for _, r := range reversals {
				fact.Reversing.Amount += r.Refund
				if r.State == reversalSettled {
					fact.Reversed.Amount += r.Refund
				}
			}
			fact.CreateTime, fact.UpdateTime = timestamppb.New(created), timestamppb.New(updated)
			answer.Time = timestamppb.New(now)
			return fact, nil
		})
		if err != nil {
			return db.Unavailable(fmt.Errorf("load order facts: %w", err))
		}
		if len(page) == 0 {
			return nil
		}
		answer.Facts = page
		if err := stream.Send(answer); err != nil {
			return err
		}
		after = page[len(page)-1].GetId()
	}
}

// reversed is a reversal as the facts read it.
type reversed struct {
	Kind   reversalKind    `json:"kind"`
	State  reversalState   `json:"state"`
	Lines  []schema.Pieces `json:"lines"`
	Refund int64           `json:"refund"`
}

// factLines adds up by SKU what was ordered, and what became of it: as it is written down, whether that can be or not.
func factLines(lines []schema.Line, parcels [][]schema.Pieces, reversals []reversed) []*ordersv1.OrderFactLine {
	sums := map[string]*ordersv1.OrderFactLine{}
	of := func(sku string) *ordersv1.OrderFactLine {
		if sums[sku] == nil {
			sums[sku] = &ordersv1.OrderFactLine{Sku: sku}
		}
		return sums[sku]
	}
	for _, l := range lines {
		of(l.SKU).Quantity += l.Quantity
	}
	for _, parcel := range parcels {
		for _, p := range parcel {
			of(p.SKU).Shipped += p.Quantity
		}
	}
	for _, r := range reversals {
		for _, p := range r.Lines {
			if r.Kind == byReturn {
				of(p.SKU).Returned += p.Quantity
			} else {
				of(p.SKU).Cancelled += p.Quantity
			}
		}
	}
	var list []*ordersv1.OrderFactLine
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, sums[sku])
	}
	return list
}

// logProblem says what keeps a log from being that of an order as it is, or "".
func logProblem(log []entry, is progress) string {
	var p progress
	for _, e := range log {
		c := change{state: state(e.State), reason: e.Reason, reservationID: e.ReservationID, paymentID: e.PaymentID}
		if e.Sequence != p.sequence+1 {
			return fmt.Sprintf("entry %d follows entry %d", e.Sequence, p.sequence)
		}
		if !p.legal(c) {
			return fmt.Sprintf("entry %d makes it %s though it is %s", e.Sequence, c.state, p.state)
		}
		p = p.after(c)
	}
	if p != is {
		return fmt.Sprintf("the log leads to %+v, the order is %+v", p, is)
	}
	return ""
}

// StreamCouponFacts reads a page by one statement, so that all of it is of one moment.
func (f facts) StreamCouponFacts(ctx context.Context, _ *ordersv1.StreamCouponFactsRequest, stream *connect.ServerStream[ordersv1.StreamCouponFactsResponse]) error {
	after := ""
	for {
		rows, _ := f.store.Pool().Query(ctx, `SELECT id, max_uses, max_uses_per_customer, uses,
				(SELECT count(*) FROM coupon_use u WHERE u.coupon_id = c.id),
				coalesce((SELECT count(*) AS own FROM coupon_use u WHERE u.coupon_id = c.id GROUP BY user_id ORDER BY own DESC LIMIT 1), 0)
			FROM coupon c WHERE id > $1 ORDER BY id LIMIT $2`, after, factPage)
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ordersv1.CouponFact, error) {
			fact := &ordersv1.CouponFact{}
			return fact, row.Scan(&fact.Id, &fact.MaxUses, &fact.MaxUsesPerCustomer, &fact.Uses, &fact.Orders, &fact.Most)
		})
		if err != nil {
			return db.Unavailable(fmt.Errorf("load coupon facts: %w", err))
		}
		if len(page) == 0 {
			return nil
		}
		if err := stream.Send(&ordersv1.StreamCouponFactsResponse{Facts: page}); err != nil {
			return err
		}
		after = page[len(page)-1].GetId()
	}
}
