package notifications

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// listen writes a letter about each event whose message is an M.
func listen[M any, P event.Message[M]](s *service, events *event.Events, write func(P) letter) {
	event.Handle(events, func(ctx context.Context, tx pgx.Tx, e event.Event, m P) error {
		s.queue(ctx, tx, e, write(m))
		return nil
	})
}

// queue writes the message that is owed because of an event, and has it sent when that is committed. There is one message per key, so that
// an event that is applied once more, by force, leads to no other.
func (s *service) queue(ctx context.Context, tx pgx.Tx, e event.Event, l letter) {
	db.Defer(tx, `INSERT INTO message (id, event_id, template, channel, recipient, state, subject, body, origin, about)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (event_id, template, channel, recipient) DO NOTHING`,
		id.New("msg"), e.ID, l.template, channel, l.recipient, string(queued), l.subject, l.body, rpc.Origin(ctx), e.Subject)
	db.AfterCommit(ctx, s.nudge)
}
