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
					'reservation_id', t.reservation_id, 'payment_id', t.payment_id) ORDER BY t.sequence), '[]') FROM transition t WHERE t.order_id = o.id)
			FROM "order" o WHERE o.id > $1 ORDER BY o.id LIMIT $2`, after, factPage)
		answer := &ordersv1.StreamOrderFactsResponse{}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ordersv1.OrderFact, error) {
			var created, updated, now time.Time
			var is progress
			var log []entry
			var lines []schema.Line
			fact := &ordersv1.OrderFact{Total: &typev1.Money{}}
			if err := row.Scan(&fact.Id, &is.state, &is.reason, &fact.Total.Amount, &fact.Total.Currency, &is.reservationID, &is.paymentID, &is.sequence,
				&created, &updated, &now, &lines, &log); err != nil {
				return nil, err
			}
			fact.State, fact.Reason, fact.ReservationId, fact.PaymentId = messageStates[is.state], is.reason, is.reservationID, is.paymentID
			fact.Settled, fact.LogProblem, fact.Lines = is.state.settled(), logProblem(log, is), factLines(lines)
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

// factLines adds up what was ordered by SKU.
func factLines(lines []schema.Line) []*ordersv1.OrderFactLine {
	sums := map[string]int64{}
	for _, l := range lines {
		sums[l.SKU] += l.Quantity
	}
	var list []*ordersv1.OrderFactLine
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, &ordersv1.OrderFactLine{Sku: sku, Quantity: sums[sku]})
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
