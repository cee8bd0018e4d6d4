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

// patience is for how long a message is tried again. It ends before the job has used up its attempts, so that the message says so.
const patience = 20 * time.Hour

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
