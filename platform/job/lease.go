package job

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A job belongs to the client that runs it, and River gives the jobs of a process that was killed to nobody for an hour. So every
// client holds a lease, a row in cleave_job_client, and renews it:
//
//   - Whose lease has run out is dead, and its jobs are worked again, also if its process never comes back.
//   - Who starts under the name of a replica is its successor, and takes over at once what the replica was running. The id of a
//     client is new at every start, so nobody can take the successor for the predecessor, nor the reverse.
//   - Who has just come, or come back after a gap, buries nobody for the time of a lease: when the database was away, all leases
//     have run out, and those who are alive must have had the time to say so.
//
// Who was taken for dead by mistake, because it stood still for longer than its lease, runs its job beside another. A job must stand
// that: River promises at least once, not once.
const (
	leaseTime  = 10 * time.Second
	leaseRenew = 3 * time.Second
)

// maxKills is how many ends of its process a job may see, at which it is worked again at once, before it is taken for their cause and
// kept for a person.
const maxKills = 10

// again puts running jobs back of which the condition holds that follows it. A client runs at most maxWorkers jobs, which bounds them.
var again = fmt.Sprintf(`UPDATE river_job SET
	state = (CASE WHEN %[1]s THEN 'discarded' ELSE 'available' END)::river_job_state,
	finalized_at = CASE WHEN %[1]s THEN now() END,
	scheduled_at = now(),
	errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', %[2]s, 'trace', ''))
	WHERE state = 'running' AND `, fmt.Sprintf(`attempt >= max_attempts OR (SELECT count(*) FROM unnest(errors) AS e WHERE e->>'error' = %s) >= %d`, killed, maxKills-1), killed)

// killed is the error of an attempt whose process ended.
const killed = `'the process that ran it has ended'`

// runner is the client that runs a job.
const runner = `attempted_by[array_upper(attempted_by, 1)]`

// enlist takes the lease of a new client. With the name of a replica, it takes over what earlier clients of that name were running.
func (c *Client) enlist(ctx context.Context, replica string) error {
	c.replica = replica
	var batch pgx.Batch
	var retaken int64
	if replica != "" {
		const earlier = ` IN (SELECT client FROM cleave_job_client WHERE replica = $1)`
		batch.Queue(again+runner+earlier, replica).Exec(counted(&retaken))
		batch.Queue(`DELETE FROM river_leader WHERE leader_id`+earlier, replica) // Scheduled jobs wait for a leader.
		batch.Queue(`DELETE FROM cleave_job_client WHERE replica = $1`, replica)
	}
	c.queueRenewal(&batch)
	if err := c.db.Pool().SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("take the lease of the job client: %w", err)
	}
	c.reportAgain(retaken)
	return nil
}

// tend renews the client's lease and takes over from those whose lease has run out.
func (c *Client) tend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	const (
		mayBury = `EXISTS (SELECT FROM cleave_job_client WHERE client = $1 AND since_time <= now() - $2::interval) AND `
		isDead  = ` NOT IN (SELECT client FROM cleave_job_client WHERE expire_time >= now())`
	)
	var batch pgx.Batch // Its statements are one transaction.
	var held bool
	var retaken int64
	c.queueRenewal(&batch).QueryRow(func(row pgx.Row) error { return row.Scan(&held) })
	batch.Queue(again+mayBury+runner+isDead, c.id, leaseTime).Exec(counted(&retaken))
	batch.Queue(`DELETE FROM river_leader WHERE `+mayBury+`leader_id`+isDead, c.id, leaseTime)
	batch.Queue(`DELETE FROM cleave_job_client WHERE `+mayBury+`expire_time < now()`, c.id, leaseTime)
	if err := c.db.Pool().SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("renew the lease of the job client: %w", err)
	}
	if !held {
		c.log.Warn("this process was without its lease on the jobs, so those that it runs may be run elsewhere too: the process or its "+
			"database stood still, or another process has started with the same host name and operator's address", "replica", c.replica)
	}
	c.reportAgain(retaken)
	return nil
}

// queueRenewal takes or renews the client's lease. The row that it yields says whether it was held until now.
func (c *Client) queueRenewal(batch *pgx.Batch) *pgx.QueuedQuery {
	return batch.Queue(`INSERT INTO cleave_job_client AS mine (client, replica, since_time, expire_time)
		VALUES ($1, $2, now(), now() + $3::interval)
		ON CONFLICT (client) DO UPDATE SET
			since_time = CASE WHEN mine.expire_time < now() THEN now() ELSE mine.since_time END,
			expire_time = excluded.expire_time
		RETURNING since_time < now()`, c.id, c.replica, leaseTime)
}

// delist gives the lease back: what this client has left running is anybody's.
func (c *Client) delist(ctx context.Context) error {
	if _, err := c.db.Pool().Exec(ctx, `DELETE FROM cleave_job_client WHERE client = $1`, c.id); err != nil {
		return fmt.Errorf("give back the lease of the job client: %w", err)
	}
	return nil
}

func (c *Client) reportAgain(jobs int64) {
	if jobs > 0 {
		c.log.Warn("jobs of a process that has ended are worked again", "jobs", jobs)
	}
}

// counted keeps how many rows a statement of a batch has changed.
func counted(rows *int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*rows = tag.RowsAffected()
		return nil
	}
}
