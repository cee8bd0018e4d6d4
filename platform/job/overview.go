package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What an overview shows of each state.
const (
	overviewRows  = 20
	overviewCount = 10_000
	overviewError = 500 // characters
)

// states are the states of a job in the order of an operator's interest, with what comes first in each.
var states = []struct{ name, order string }{
	{"discarded", "finalized_at DESC, id DESC"},
	{"retryable", "scheduled_at, id"},
	{"running", "attempted_at, id"},
	{"available", "scheduled_at, id"},
	{"scheduled", "scheduled_at, id"},
	{"cancelled", "finalized_at DESC, id DESC"},
	{"completed", "finalized_at DESC, id DESC"},
}

// Overview is what a module owes itself.
type Overview struct {
	// Now is the time of the database.
	Now    time.Time `json:"now"`
	States []State   `json:"states"`
}

// State is the jobs in one state.
type State struct {
	Name string `json:"name"`
	// Count stops at 10,000; More says that there are more.
	Count int  `json:"count"`
	More  bool `json:"more"`
	// Jobs are the first twenty: those that are due, began or will be tried again first, or ended last.
	Jobs []Job `json:"jobs"`
}

// Job is a job without its arguments, which may be about a person.
type Job struct {
	ID          int64      `json:"id"`
	Kind        string     `json:"kind"`
	Attempt     int        `json:"attempt"`
	MaxAttempts int        `json:"max_attempts"`
	ScheduledAt time.Time  `json:"scheduled_at"`
	AttemptedAt *time.Time `json:"attempted_at,omitempty"`
	FinalizedAt *time.Time `json:"finalized_at,omitempty"`
	LastError   string     `json:"last_error,omitempty"`
}

// Overview returns the jobs of the module by state. Its counts are bounded, and an index serves those that have ended. None serves the
// order of the others by time, so it reads them all: its cost grows with the jobs that wait. It is for a person who looks.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	var batch pgx.Batch
	batch.Queue("SELECT now()").QueryRow(func(row pgx.Row) error { return row.Scan(&o.Now) })
	for _, s := range states {
		batch.Queue("SELECT count(*) FROM (SELECT FROM river_job WHERE state = $1 LIMIT $2) AS first", s.name, overviewCount+1).QueryRow(func(row pgx.Row) error {
			state := State{Name: s.name}
			err := row.Scan(&state.Count)
			if state.Count > overviewCount {
				state.Count, state.More = overviewCount, true
			}
			o.States = append(o.States, state)
			return err
		})
		batch.Queue(`SELECT id, kind, attempt, max_attempts, scheduled_at, attempted_at, finalized_at,
			coalesce(left(errors[array_upper(errors, 1)]->>'error', $2), '')
			FROM river_job WHERE state = $1 ORDER BY `+s.order+` LIMIT $3`, s.name, overviewError, overviewRows).Query(func(rows pgx.Rows) error {
			jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Job])
			o.States[len(o.States)-1].Jobs = jobs
			return err
		})
	}
	if err := c.db.Pool().SendBatch(ctx, &batch).Close(); err != nil {
		return Overview{}, fmt.Errorf("look at the jobs of %s: %w", c.db.Module(), err)
	}
	return o, nil
}

// ErrNotKept is the error of a retry of a job that is not kept: it is not there, or it has not been given up, or somebody else was first.
var ErrNotKept = errors.New("the job is not kept: it may have been retried or removed already")

// Retry has a job that was kept, because it has used up its attempts, tried once more now.
func (c *Client) Retry(ctx context.Context, id int64) error {
	err := pgx.BeginFunc(ctx, c.db.Pool(), func(tx pgx.Tx) error {
		var kept bool
		err := tx.QueryRow(ctx, "SELECT state = 'discarded' FROM river_job WHERE id = $1 FOR UPDATE", id).Scan(&kept)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !kept {
			return ErrNotKept
		}
		if err != nil {
			return err
		}
		_, err = c.river.JobRetryTx(ctx, tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("retry job %d of %s: %w", id, c.db.Module(), err)
	}
	return nil
}
