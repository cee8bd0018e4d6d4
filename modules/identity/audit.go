package identity

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// audited is something that has happened that matters to security, with ids only.
type audited struct{ event, accountID, clientID, sessionID string }

// audit writes down what has happened, in the transaction in which it does.
func audit(ctx context.Context, tx pgx.Tx, a audited) {
	db.Defer(tx, "INSERT INTO audit (event, account_id, client_id, session_id, request_id) VALUES ($1, $2, $3, $4, $5)",
		a.event, a.accountID, a.clientID, a.sessionID, rpc.MetadataOf(ctx).RequestID)
}
