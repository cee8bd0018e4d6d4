package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/platform/db"
)

// mail is a message on its way. Its id is the same however often it is sent, so that a channel can tell a repetition. Who the recipient is and
// what it is about is for the house alone: a channel that leaves it sends to the address, which is empty where the house knows none.
type mail struct{ messageID, recipient, address, about, subject, body string }

// sender hands mails to a channel, and returns an error or nil for each of them. An error means that the channel is not known to have taken
// the mail: it is sent again, unless the error is errRefused.
type sender interface {
	send(ctx context.Context, mails []mail) []error
}

// errRefused says that a channel will never take a mail.
var errRefused = errors.New("the channel refuses the mail")

// channel is the name of the development mailbox.
const channel = "mailbox"

// mailbox is the development mailbox. Like any provider it keeps every mail that it is sent, also a repetition.
type mailbox struct{ pool *pgxpool.Pool }

func (b mailbox) send(ctx context.Context, mails []mail) []error {
	columns := make([][]string, 4)
	for _, m := range mails {
		for i, value := range []string{m.messageID, m.recipient, m.subject, m.body} {
			columns[i] = append(columns[i], value)
		}
	}
	// Whose message was anonymised meanwhile gets no mail any more. Who does that at this moment waits, and finds the mail.
	_, err := b.pool.Exec(ctx, `INSERT INTO mail (message_id, recipient, subject, body)
		SELECT m.message_id, m.recipient, m.subject, m.body
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS m (message_id, recipient, subject, body, place)
		JOIN message ON message.id = m.message_id WHERE message.recipient <> '' ORDER BY m.place FOR SHARE OF message`, columns[0], columns[1], columns[2], columns[3])
	if err != nil {
		err = fmt.Errorf("put the mails into the mailbox: %w", err)
	}
	return slices.Repeat([]error{err}, len(mails))
}

// usualMails is how many mails are listed unless the operator says otherwise.
const usualMails = 20

// ListMails implements MailboxService.
func (b mailbox) ListMails(ctx context.Context, r *notificationsv1.ListMailsRequest) (*notificationsv1.ListMailsResponse, error) {
	limit := r.GetLimit()
	if limit == 0 {
		limit = usualMails
	}
	rows, _ := b.pool.Query(ctx, "SELECT message_id, recipient, subject, body, create_time FROM mail WHERE $1 IN ('', recipient) ORDER BY id DESC LIMIT $2", r.GetRecipient(), limit)
	mails, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*notificationsv1.SentMail, error) {
		var m notificationsv1.SentMail
		var created time.Time
		err := row.Scan(&m.MessageId, &m.Recipient, &m.Subject, &m.Body, &created)
		m.CreateTime = timestamppb.New(created)
		return &m, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list the mails: %w", err))
	}
	return &notificationsv1.ListMailsResponse{Mails: mails}, nil
}
