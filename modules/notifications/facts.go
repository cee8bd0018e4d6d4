package notifications

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"

	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/platform/db"
)

// facts implements FactService.
type facts struct{ *service }

// factPage is how many messages are in one answer, and in memory at once.
const factPage = 500

// StreamMessageFacts reads a page by one statement, so that all of it is of one moment.
func (f facts) StreamMessageFacts(ctx context.Context, _ *notificationsv1.StreamMessageFactsRequest, stream *connect.ServerStream[notificationsv1.StreamMessageFactsResponse]) error {
	after := ""
	for {
		rows, _ := f.store.Pool().Query(ctx, `SELECT id, event_id, template, channel, state, create_time, now(),
				(SELECT count(*) FROM mail WHERE mail.message_id = message.id)
			FROM message WHERE id > $1 ORDER BY id LIMIT $2`, after, factPage)
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*notificationsv1.MessageFact, error) {
			var is state
			var created, now time.Time
			fact := &notificationsv1.MessageFact{}
			if err := row.Scan(&fact.Id, &fact.EventId, &fact.Template, &fact.Channel, &is, &created, &now, &fact.Mails); err != nil {
				return nil, err
			}
			fact.State, fact.Age = messageStates[is], durationpb.New(now.Sub(created))
			return fact, nil
		})
		if err != nil {
			return db.Unavailable(fmt.Errorf("load message facts: %w", err))
		}
		if len(page) == 0 {
			return nil
		}
		if err := stream.Send(&notificationsv1.StreamMessageFactsResponse{Facts: page}); err != nil {
			return err
		}
		after = page[len(page)-1].GetId()
	}
}
