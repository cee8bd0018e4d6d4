package event

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// redelivery is the job of an event that its subscriber refused. Like every job it is tried for about a day, and then kept.
type redelivery struct {
	Subscriber string `json:"subscriber"`
	Event      string `json:"event"`
	Cursor     string `json:"cursor"`
	// Type and Subject are for those who look at the job.
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Force   bool   `json:"force,omitempty"`
}

func (redelivery) Kind() string { return redeliveryKind }

const redeliveryKind = "platform.deliver_event"

// redeliveryPause is how long a refused event waits at first.
const redeliveryPause = time.Second

// unreachablePause is how long a refused event waits for a subscriber that cannot be reached, which is no attempt.
const unreachablePause = 30 * time.Second

// insert has refused events tried again by themselves.
func (e *Events) insert(ctx context.Context, tx pgx.Tx, failures []redelivery) error {
	for _, failure := range failures {
		if err := e.jobs.Insert(ctx, tx, failure, time.Now().Add(redeliveryPause)); err != nil {
			return err
		}
	}
	return nil
}

// redeliver delivers a refused event again.
func (e *Events) redeliver(ctx context.Context, r redelivery) error {
	var listens bool
	err := e.db.Pool().QueryRow(ctx, "SELECT types ? $2 FROM cleave_subscriber WHERE name = $1", r.Subscriber, r.Type).Scan(&listens)
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && !listens) {
		return nil // It does not want it any more.
	}
	if err != nil {
		return fmt.Errorf("look whether %s still listens: %w", r.Subscriber, err)
	}
	event, err := e.load(ctx, r.Cursor)
	if err != nil {
		return err
	}
	client := eventv1cleave.NewDeliveryServiceClient(e.caller(eventv1cleave.DeliveryService.Of(r.Subscriber)).At(r.Subscriber))
	alone := []*eventv1.Event{event}
	traced, span := startDelivery(ctx, e.module, r.Subscriber, alone)
	response, err := client.Deliver(traced, &eventv1.DeliverRequest{Events: alone, Force: r.Force})
	rpc.EndSpan(span, err)
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeCanceled:
		e.log.WarnContext(about(ctx, event), "refused event waits for its subscriber", "subscriber", r.Subscriber, "event", r.Event, "error", err)
		return river.JobSnooze(unreachablePause)
	}
	if err != nil {
		return fmt.Errorf("deliver to %s: %w", r.Subscriber, err)
	}
	for _, failure := range response.GetFailures() {
		return errors.New(failure.GetError())
	}
	e.metrics.delivered.WithLabelValues(r.Subscriber).Inc()
	return nil
}

// load reads one event of the log.
func (e *Events) load(ctx context.Context, at string) (*eventv1.Event, error) {
	c, err := parseCursor(at)
	if err != nil {
		return nil, fmt.Errorf("cursor %q: %w", at, err)
	}
	l, event := logged{event: &eventv1.Event{}}, []byte(nil)
	rows, err := e.db.Pool().Query(ctx, "SELECT "+columns+", data FROM cleave_event WHERE (era, transaction, position) = ($1, $2, $3)",
		c.era, c.transaction, c.position)
	if err != nil {
		return nil, fmt.Errorf("load event %s: %w", at, err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, fmt.Errorf("load event %s: %w", at, errors.Join(rows.Err(), pgx.ErrNoRows))
	}
	if err := l.scan(rows, &event); err != nil {
		return nil, fmt.Errorf("load event %s: %w", at, err)
	}
	l.event.Data = event
	return l.event, nil
}

// maxFailures bounds how many failures of a subscriber are listed.
const maxFailures = 20

// unfinished is the condition that a job is a refused event of the subscriber $1 which has not been applied since.
const unfinished = "kind = '" + redeliveryKind + "' AND args ->> 'subscriber' = $1 AND state <> 'completed' AND state <> 'cancelled'"

// failures fills in what a subscriber could not apply.
func (e *Events) failures(ctx context.Context, tx pgx.Tx, s *eventv1.Subscriber) error {
	if err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state <> 'discarded'), count(*) FILTER (WHERE state = 'discarded')
		FROM river_job WHERE `+unfinished, s.GetName()).Scan(&s.Retrying, &s.Kept); err != nil {
		return fmt.Errorf("count the refused events of %s: %w", s.GetName(), err)
	}
	rows, err := tx.Query(ctx, `SELECT args ->> 'event', args ->> 'type', args ->> 'subject', state = 'discarded', attempt,
			coalesce(errors[array_upper(errors, 1)] ->> 'error', ''), coalesce(finalized_at, scheduled_at)
		FROM river_job WHERE `+unfinished+` ORDER BY id DESC LIMIT $2`, s.GetName(), maxFailures)
	if err != nil {
		return fmt.Errorf("list the refused events of %s: %w", s.GetName(), err)
	}
	s.Failures, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*eventv1.Failure, error) {
		f, attempt, at := &eventv1.Failure{}, 0, time.Time{}
		err := row.Scan(&f.EventId, &f.Type, &f.Subject, &f.Kept, &attempt, &f.Error, &at)
		f.Attempts, f.Time = int32(attempt), timestamppb.New(at)
		return f, err
	})
	if err != nil {
		return fmt.Errorf("list the refused events of %s: %w", s.GetName(), err)
	}
	return nil
}

// maxErrorText bounds the text of an error that is kept, in bytes.
const maxErrorText = 1 << 10

// shorten makes a text one that can be kept: bounded, valid UTF-8, without zero bytes.
func shorten(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}
