package notifications

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// mail is a message on its way. Its id is the same however often it is sent, so that a channel can tell a repetition.
type mail struct{ messageID, recipient, subject, body string }

// sender hands mails to a channel. An error means that it is not known to have taken the mail: it is sent again, unless the error is
// errRefused.
type sender interface {
	send(ctx context.Context, m mail) error
}

// errRefused says that a channel will never take a mail.
var errRefused = errors.New("the channel refuses the mail")

// channel is the name of the development mailbox.
const channel = "mailbox"

// mailbox is the development mailbox. Like any provider it keeps every mail that it is sent, also a repetition.
type mailbox struct{ pool *pgxpool.Pool }

func (b mailbox) send(ctx context.Context, m mail) error {
	if _, err := b.pool.Exec(ctx, "INSERT INTO mail (message_id, recipient, subject, body) VALUES ($1, $2, $3, $4)",
		m.messageID, m.recipient, m.subject, m.body); err != nil {
		return fmt.Errorf("put the mail into the mailbox: %w", err)
	}
	return nil
}
