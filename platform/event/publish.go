package event

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Limits of an event, in bytes. It is a fact and not a document.
const (
	maxData    = 64 << 10
	maxSubject = 256
)

// Publish appends an event to the module's log in the transaction tx, which ctx is that of. It is there when the transaction commits,
// and not otherwise; delivery begins right after. The row goes to the database together with the commit, whose error then is its.
//
// The type is the full name of the message without "cleave.". Subject is what the event is about and sequence its number among the
// events of that subject: each must be larger than the one before, so that a listener can tell which is newer. The message must hold
// no personal data: the log only grows. An event of more than 64 KiB is an error.
func (e *Events) Publish(ctx context.Context, tx pgx.Tx, subject string, sequence int64, message proto.Message) error {
	data, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", TypeOf(message), err)
	}
	if len(data) > maxData {
		return fmt.Errorf("event %s of %s has %d bytes: at most %d are allowed", TypeOf(message), subject, len(data), maxData)
	}
	if subject == "" || len(subject) > maxSubject {
		return fmt.Errorf("event %s: its subject has %d bytes: 1 to %d are allowed", TypeOf(message), len(subject), maxSubject)
	}
	metadata := rpc.MetadataOf(ctx)
	db.Defer(tx, `INSERT INTO cleave_event (id, type, subject, sequence, correlation_id, trace, principal, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id.New("evt"), TypeOf(message), subject, sequence, metadata.CorrelationID, metadata.Trace, rpc.EncodePrincipal(metadata.Principal), data)
	db.AfterCommit(ctx, func() { e.deliveries.published(TypeOf(message)) })
	return nil
}
