package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/platform/id"
)

// What most calls ask for is carried out by one statement, because a shop that is measured waits for it: to authorize or to capture,
// under a key that is new, where the payment method's script is no more than yes or no.

const authorizeAtOnce = `WITH asked AS (INSERT INTO sandbox_request (key, kind) VALUES ($1, $2)),
		done AS (INSERT INTO sandbox_operation (key, kind, charge_id, amount, outcome) VALUES ($1, $2, $3, $4, $5))
	INSERT INTO sandbox_charge (id, reference, payment_method, status, amount, currency) SELECT $3, $6, $7, $8, $4, $9 WHERE `

// The one token whose charges are authorized and whose script is plain is named in the statement.
const captureAtOnce = `WITH taken AS (
			UPDATE sandbox_charge SET status = '` + chargeCaptured + `', captured = amount
			WHERE id = $3 AND status = '` + chargeAuthorized + `' AND payment_method = '` + MethodVisa + `' RETURNING amount
		), asked AS (INSERT INTO sandbox_request (key, kind) SELECT $1, $2 FROM taken)
	INSERT INTO sandbox_operation (key, kind, charge_id, amount, outcome) SELECT $1, $2, $3, amount, '` + succeeded + `' FROM taken WHERE `

// How either ends: the answer waits until the commit is on disk, or it does not.
const (
	waits       = "true"
	doesNotWait = "set_config('synchronous_commit', 'off', true) IS NOT NULL"
)

// atOnce carries out a call by one statement, and reports whether it has. If not, nothing is written: the key was used, or the call needs a
// closer look for another reason.
func (s *Server) atOnce(ctx context.Context, c call) (Answer, bool, error) {
	done := operation{kind: c.kind, chargeID: c.chargeID, outcome: succeeded}
	var tag pgconn.CommandTag
	var err error
	switch script := scriptOf(c.authorization.PaymentMethod); {
	case c.kind == authorize && script.isPlain():
		asked, status := c.authorization, chargeAuthorized
		if script.declineCode != "" {
			status, done.outcome = chargeDeclined, script.declineCode
		}
		done.chargeID = id.New("sbx")
		tag, err = s.pool.Exec(ctx, authorizeAtOnce+s.commit, c.key, c.kind, done.chargeID, asked.Amount, done.outcome,
			asked.Reference, asked.PaymentMethod, status, asked.Currency)
	case c.kind == capture:
		tag, err = s.pool.Exec(ctx, captureAtOnce+s.commit, c.key, c.kind, c.chargeID)
	}
	// Who comes with the same key at the same time waits for the first, and then violates the constraint.
	if violation := (*pgconn.PgError)(nil); errors.As(err, &violation) && violation.Code == "23505" {
		return Answer{}, false, nil
	}
	if err != nil {
		return Answer{}, false, fmt.Errorf("carry out %s: %w", c.kind, err)
	}
	return done.answer(), tag.RowsAffected() == 1, nil
}
