package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/fault"
)

const (
	// patience is for how long a message is tried again. It ends before the job has used up its attempts, so that the message says so.
	patience = 20 * time.Hour
	// retention is for how long customers find what they were told, and the development mailbox holds it. It is not what keeps an event that
	// is delivered again from leading to another message: that is the inbox, which forgets nothing. But who forces a replay of events that
	// are older than this sends their messages again.
	retention  = 90 * 24 * time.Hour
	purgeEvery = 10 * time.Minute
	// purgeBatch is how many messages one statement removes, and maxBatches how many such statements follow each other.
	purgeBatch = 1000
	maxBatches = 100
)

// sendMessage sends a message that is owed. It is tried again under the same message id until the channel has taken it.
type sendMessage struct {
	MessageID string `json:"message_id"`
}

func (sendMessage) Kind() string { return "notifications.send_message" }

func (s *service) sendMessage(ctx context.Context, job sendMessage) error {
	var m mail
	var late bool
	err := s.store.Pool().QueryRow(ctx, `UPDATE message SET state = $2 WHERE id = $1 AND state = ANY($3)
		RETURNING id, recipient, subject, body, create_time < now() - $4::interval`,
		job.MessageID, string(sending), before[sending], patience).Scan(&m.messageID, &m.recipient, &m.subject, &m.body, &late)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt has settled it, and was killed before it could say so.
	}
	if err != nil {
		return fmt.Errorf("take up message %s: %w", job.MessageID, err)
	}
	err = s.sender.send(ctx, m)
	fault.Point("notifications/send/answered")
	switch {
	case err == nil:
		return s.settle(ctx, m.messageID, sent)
	case late || errors.Is(err, errRefused):
		s.log.LogAttrs(ctx, slog.LevelError, "a message cannot be sent", slog.String("message", m.messageID), slog.String("error", err.Error()))
		return s.settle(ctx, m.messageID, failed)
	default:
		return fmt.Errorf("send message %s: %w", m.messageID, err)
	}
}

// settle writes down what has become of a message that was being sent.
func (s *service) settle(ctx context.Context, messageID string, next state) error {
	if _, err := s.store.Pool().Exec(ctx, "UPDATE message SET state = $2 WHERE id = $1 AND state = ANY($3)", messageID, string(next), before[next]); err != nil {
		return fmt.Errorf("set message %s %s: %w", messageID, next, err)
	}
	return nil
}

// purge removes messages that are old, and their mails. Ids sort by time, so it looks at the first of them that are settled: a message
// that is still to be sent, which somebody has to look at, is left there, and keeps no other.
func (s *service) purge(ctx context.Context) error {
	for range maxBatches {
		tag, err := s.store.Pool().Exec(ctx, `WITH old AS (
				DELETE FROM message WHERE id IN (SELECT id FROM message WHERE state = ANY($3) ORDER BY id LIMIT $1) AND create_time < now() - $2::interval
				RETURNING id
			), mails AS (DELETE FROM mail WHERE message_id IN (SELECT id FROM old))
			SELECT FROM old`, purgeBatch, retention, []string{string(sent), string(failed), string(suppressed)})
		if err != nil {
			return fmt.Errorf("remove old messages: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
	}
	return nil
}
