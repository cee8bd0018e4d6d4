package payments

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleave-go/cleave/platform/rpc"
)

// later is a statement whose result nobody reads.
func later(ctx context.Context, tx tx, sql string, args ...any) error {
	_, err := tx.Exec(ctx, sql, args...)
	return err
}

// revoke is what platform/idempotency will do.
func revoke(ctx context.Context, tx tx, method *rpc.Method, requestID string) (*wrapperspb.StringValue, bool, error) {
	caller := rpc.MetadataOf(ctx).Caller
	tag, err := tx.Exec(ctx, `INSERT INTO cleave_request (caller, method, request_id, fingerprint) VALUES ($1, $2, $3, '') ON CONFLICT DO NOTHING`,
		caller, method.Procedure, requestID)
	if err != nil || tag.RowsAffected() == 1 {
		return nil, false, err
	}
	var fingerprint, response []byte
	if err := tx.QueryRow(ctx, "SELECT fingerprint, response FROM cleave_request WHERE caller = $1 AND method = $2 AND request_id = $3",
		caller, method.Procedure, requestID).Scan(&fingerprint, &response); err != nil || len(fingerprint) == 0 {
		return nil, false, err
	}
	kept := &wrapperspb.StringValue{}
	return kept, true, proto.Unmarshal(response, kept)
}
