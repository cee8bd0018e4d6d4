package inventory

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/db"
)

// facts implements FactService. A page is read by one statement, so its facts are of one moment, and no more than one is in memory.
type facts struct{ *service }

// How many facts are in a page. A reservation may have a thousand lines, and a page must fit into a message.
const (
	stockPage       = 500
	reservationPage = 40
)

func (f facts) StreamStockFacts(ctx context.Context, _ *inventoryv1.StreamStockFactsRequest, stream *connect.ServerStream[inventoryv1.StreamStockFactsResponse]) error {
	after := ""
	for {
		var all []figures
		if err := f.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
			all, err = figuresAfter(ctx, tx, after, stockPage)
			return err
		}); err != nil {
			return err
		}
		if len(all) == 0 {
			return nil
		}
		page := make([]*inventoryv1.StockFact, len(all))
		for i, f := range all {
			page[i] = &inventoryv1.StockFact{Sku: f.sku, OnHand: f.onHand, Reserved: f.reserved, Moved: f.moved, Held: f.held}
		}
		if err := stream.Send(&inventoryv1.StreamStockFactsResponse{Facts: page}); err != nil {
			return err
		}
		after = page[len(page)-1].GetSku()
	}
}

func (f facts) StreamReservationFacts(ctx context.Context, _ *inventoryv1.StreamReservationFactsRequest, stream *connect.ServerStream[inventoryv1.StreamReservationFactsResponse]) error {
	after := ""
	for {
		rows, _ := f.store.Pool().Query(ctx, "SELECT "+columns+`,
				ARRAY(SELECT shipped FROM reservation_line WHERE reservation_id = reservation.id ORDER BY sku),
				ARRAY(SELECT returned FROM reservation_line WHERE reservation_id = reservation.id ORDER BY sku),
				ARRAY(SELECT withdrawn FROM reservation_line WHERE reservation_id = reservation.id ORDER BY sku)
			FROM reservation WHERE id > $1 ORDER BY id LIMIT $2`, after, reservationPage)
		page, err := pgx.CollectRows(rows, func(from pgx.CollectableRow) (*inventoryv1.ReservationFact, error) {
			var shipped, returned, withdrawn []int64
			row, err := scan(from, &shipped, &returned, &withdrawn)
			if err != nil {
				return nil, err
			}
			m := message(row)
			return &inventoryv1.ReservationFact{
				Id: m.GetId(), Reference: m.GetReference(), State: m.GetState(), ExpireTime: timestamppb.New(row.expireTime), Lines: m.GetLines(),
				Shipped: counted(row.lines, shipped), Returned: counted(row.lines, returned), Withdrawn: counted(row.lines, withdrawn),
			}, nil
		})
		if err != nil {
			return db.Unavailable(fmt.Errorf("load reservation facts: %w", err))
		}
		if len(page) == 0 {
			return nil
		}
		if err := stream.Send(&inventoryv1.StreamReservationFactsResponse{Facts: page}); err != nil {
			return err
		}
		after = page[len(page)-1].GetId()
	}
}

// counted returns the lines with what was counted of them, without those of which there is nothing.
func counted(lines []line, counts []int64) (messages []*inventoryv1.Line) {
	for i, l := range lines {
		if counts[i] > 0 {
			messages = append(messages, &inventoryv1.Line{Sku: l.sku, Quantity: counts[i]})
		}
	}
	return messages
}
