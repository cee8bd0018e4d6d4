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
// an event that is applied once more, by force, leads to no other. One to somebody who is forgotten is written to nobody, and not sent: it is
// there because of the event. So is one that was to a guest who is forgotten.
func (s *service) queue(ctx context.Context, tx pgx.Tx, e event.Event, l letter) {
	db.Defer(tx, `INSERT INTO message (id, event_id, template, channel, recipient, state, subject, body, origin, about)
		SELECT $1, $2::text, $3::text, $4::text, CASE WHEN forgotten THEN '' ELSE $5 END, CASE WHEN forgotten THEN $11 ELSE $6 END, CASE WHEN forgotten THEN '' ELSE $7 END,
			CASE WHEN forgotten THEN '' ELSE $8 END, CASE WHEN NOT forgotten THEN $9::bytea END, $10
		FROM (SELECT EXISTS (SELECT FROM cleave_erasure WHERE subject = $5::text) AS forgotten) AS erasure
		WHERE NOT EXISTS (SELECT FROM message WHERE event_id = $2::text AND template = $3::text AND channel = $4::text AND recipient = '')
		ON CONFLICT (event_id, template, channel, recipient) DO NOTHING`,
		id.New("msg"), e.ID, l.template, channel, l.recipient, string(queued), l.subject, l.body, rpc.Origin(ctx), e.Subject, string(suppressed))
	db.AfterCommit(ctx, s.nudge)
}
