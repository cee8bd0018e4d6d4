package inventory

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// revoke stands in for idempotency.Revoke.
func revoke(ctx context.Context, tx tx, procedure, requestID string) (*inventoryv1.ReserveResponse, bool, error) {
	caller := rpc.MetadataOf(ctx).Caller
	if _, err := tx.Exec(ctx, `INSERT INTO cleave_request (caller, method, request_id, fingerprint) VALUES ($1, $2, $3, '')
		ON CONFLICT DO NOTHING`, caller, procedure, requestID); err != nil {
		return nil, false, fmt.Errorf("revoke: %w", err)
	}
	var kept []byte
	if err := tx.QueryRow(ctx, "SELECT response FROM cleave_request WHERE caller = $1 AND method = $2 AND request_id = $3",
		caller, procedure, requestID).Scan(&kept); err != nil || kept == nil {
		return nil, false, err
	}
	answer := &inventoryv1.ReserveResponse{}
	return answer, true, proto.Unmarshal(kept, answer)
}

// refuseRevoked stands in for what idempotency.Once says of a request id that was revoked.
func refuseRevoked(ctx context.Context, tx tx, procedure, requestID string, err error) error {
	var revoked bool
	if rpc.Reason(err) == "REQUEST_ID_REUSED" && tx.QueryRow(ctx, `SELECT fingerprint = '' FROM cleave_request
		WHERE caller = $1 AND method = $2 AND request_id = $3`, rpc.MetadataOf(ctx).Caller, procedure, requestID).Scan(&revoked) == nil && revoked {
		return rpc.Errorf(connect.CodeFailedPrecondition, "REVOKED", "request_id %q was revoked", requestID)
	}
	return err
}
