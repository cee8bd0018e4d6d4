package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
)

// mail is a message on its way. Its id is the same however often it is sent, so that a channel can tell a repetition. What it is about is
// for the house alone.
type mail struct{ messageID, recipient, about, subject, body string }

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
	_, err := b.pool.Exec(ctx, `INSERT INTO mail (message_id, recipient, subject, body)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])`, columns[0], columns[1], columns[2], columns[3])
	if err != nil {
		err = fmt.Errorf("put the mails into the mailbox: %w", err)
	}
	return slices.Repeat([]error{err}, len(mails))
}
