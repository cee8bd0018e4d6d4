package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// sendSweep is the sweep that sends messages.
	sendSweep = "notifications.send"
	// sweepEvery is how often a replica looks for messages that are due. Those that have just been written it is nudged for.
	sweepEvery = 2 * time.Second
	// maxTaken is how many messages are sent at once, and maxRounds how often a run of the sweep does so. The next one goes on.
	maxTaken  = 100
	maxRounds = 100
	// rest is the pause after a run that has sent something. A message alone goes out at once; where there are many, each run has some.
	rest = 100 * time.Millisecond
	// sendTimeout bounds all that is done to send some messages. It ends before a message that is being sent is due again.
	sendTimeout = 5 * time.Second
	// questionTimeout bounds a question to another module before that: what it is not needed for goes without its answer.
	questionTimeout = sendTimeout / 3
	// patience is for how long a message is tried again.
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

// sweep sends messages that are due. It goes on while the channel takes some.
func (s *service) sweep(ctx context.Context) error {
	for range maxRounds {
		messages, err := s.takeDue(ctx)
		if err != nil {
			return err
		}
		took, err := s.send(ctx, messages)
		if err != nil {
			return err
		}
		if !took {
			return nil
		}
		if len(messages) < maxTaken {
			break
		}
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
	}
	return nil
}

// due is a message that is being sent. If it is late this is the last time.
type due struct {
	mail
	template string
	late     bool
	nobodys  bool   // Its recipient is forgotten.
	origin   []byte // of which business and trace the event is
}

// takeDue returns messages that are due, says that they are being sent, and when they are due again. Until then nobody else takes them.
//
// The older a message, the longer the pause: half its age, from 10 seconds to 10 minutes, give or take a quarter. So what a process was
// sending when it was killed is sent again soon, and a channel that is down for long is not asked more often than it can bear.
func (s *service) takeDue(ctx context.Context) ([]due, error) {
	rows, _ := s.store.Pool().Query(ctx, `UPDATE message SET state = $1, next_time = now() + (0.75 + random() / 2) *
			least(greatest((now() - create_time) / 2, interval '10 seconds'), interval '10 minutes')
		WHERE id IN (SELECT id FROM message WHERE state IN ('queued', 'sending') AND next_time <= now()
			ORDER BY next_time, id LIMIT `+strconv.Itoa(maxTaken)+` FOR UPDATE SKIP LOCKED)
		RETURNING id, template, recipient, about, subject, body, create_time < now() - $2::interval,
			EXISTS (SELECT FROM cleave_erasure WHERE cleave_erasure.subject = recipient), origin`, string(sending), patience)
	taken, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d due, err error) {
		return d, row.Scan(&d.messageID, &d.template, &d.recipient, &d.about, &d.subject, &d.body, &d.late, &d.nobodys, &d.origin)
	})
	if err != nil {
		return nil, fmt.Errorf("take messages that are due: %w", err)
	}
	// Ids sort by time, and the database yields rows in any order.
	slices.SortFunc(taken, func(a, b due) int { return strings.Compare(a.messageID, b.messageID) })
	return taken, nil
}

// send hands messages to the channel, writes down what has become of them, and reports whether one is settled. What it did not take
// is left until it is due again, under the same message id, unless the channel refuses it or it is late: then it is given up.
func (s *service) send(ctx context.Context, messages []due) (took bool, err error) {
	if len(messages) == 0 {
		return false, nil
	}
	sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	messages, nobodys, err := s.write(sendCtx, messages)
	if err != nil || len(messages) == 0 {
		return nobodys > 0, err
	}
	mails := make([]mail, len(messages))
	contexts, spans := make([]context.Context, len(messages)), make([]trace.Span, len(messages))
	for i, m := range messages {
		mails[i] = m.mail
		contexts[i], spans[i] = job.OnBehalf(ctx, sendSweep, m.origin)
	}
	errs := s.deliver(sendCtx, mails)
	fault.Point("notifications/send/answered")
	ended := map[state][]string{}
	for i, m := range messages {
		rpc.EndSpan(spans[i], errs[i])
		switch err := errs[i]; {
		case err == nil:
			ended[sent] = append(ended[sent], m.messageID)
		case m.late || errors.Is(err, errRefused):
			s.log.LogAttrs(contexts[i], slog.LevelError, "a message cannot be sent", slog.String("message", m.messageID), slog.String("error", err.Error()))
			ended[failed] = append(ended[failed], m.messageID)
		default:
			s.log.LogAttrs(contexts[i], slog.LevelWarn, "a message was not sent yet", slog.String("message", m.messageID), slog.String("error", err.Error()))
		}
	}
	for next, ids := range ended {
		if err := s.settle(ctx, ids, next); err != nil {
			return false, err
		}
	}
	return len(ended[sent]) > 0, nil
}

// write has identity write the mails about accounts, and say where they go: no message has that. One that nobody is owed any more is
// suppressed, as is what is for somebody who is forgotten; while identity does not answer, those wait until they are due again, and the others go. It returns those that are ready, and how many are nobody's.
func (s *service) write(ctx context.Context, messages []due) (ready []due, suppress int, err error) {
	var wanted []string
	for _, m := range messages {
		if m.template == accountTemplate && !m.nobodys {
			wanted = append(wanted, m.about)
		}
	}
	var answer *identityv1.WriteMailsResponse
	if len(wanted) > 0 {
		callCtx, cancel := context.WithTimeout(ctx, questionTimeout)
		defer cancel()
		answer, err = s.mails.WriteMails(callCtx, &identityv1.WriteMailsRequest{MailIds: wanted})
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "mails are not written yet", slog.Int("mails", len(wanted)), slog.String("error", err.Error()))
	}
	written := map[string]*identityv1.Mail{}
	for _, m := range answer.GetMails() {
		written[m.GetMailId()] = m
	}
	var nobodys, forgotten []string
	for _, m := range messages {
		text := written[m.about]
		switch {
		case m.nobodys:
			forgotten = append(forgotten, m.messageID)
		case m.template != accountTemplate:
			ready = append(ready, m)
		case text != nil:
			m.address, m.subject, m.body = text.GetAddress(), text.GetSubject(), text.GetText()
			ready = append(ready, m)
		case err == nil:
			nobodys = append(nobodys, m.messageID)
		}
	}
	if len(forgotten) > 0 { // They were queued while that one was being forgotten.
		if _, err := s.store.Pool().Exec(ctx, "UPDATE message SET "+toNobody+" WHERE id = ANY($1)", forgotten); err != nil {
			return nil, 0, fmt.Errorf("suppress %d messages: %w", len(forgotten), err)
		}
	}
	if len(nobodys) > 0 {
		if err := s.settle(ctx, nobodys, suppressed); err != nil {
			return nil, 0, err
		}
	}
	return ready, len(nobodys) + len(forgotten), nil
}

// settle writes down what has become of messages that were being sent.
func (s *service) settle(ctx context.Context, messageIDs []string, next state) error {
	if _, err := s.store.Pool().Exec(ctx, "UPDATE message SET state = $2 WHERE id = ANY((SELECT $1::text[])::text[]) AND state = ANY($3)", messageIDs, string(next), before[next]); err != nil {
		return fmt.Errorf("set %d messages %s: %w", len(messageIDs), next, err)
	}
	return nil
}

// sendMessage is the job that the release before the sweep has left for each message. There is nothing to do for it: the sweep finds the
// message. It can go with the next release.
type sendMessage struct {
	MessageID string `json:"message_id"`
}

func (sendMessage) Kind() string { return "notifications.send_message" }

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
