// Package idempotency makes a mutating method happen once per request_id.
//
// The answer is kept in the transaction of its effects, under caller, method and request_id. A repetition gets it again; one that
// comes while the first is still running waits for it, because both insert the same key; another request under the same id is
// refused. Answers are kept for [Retention].
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Retention is how long an answer can be had again.
const Retention = 7 * 24 * time.Hour

// Request is a request of a mutating method.
type Request interface {
	proto.Message
	GetRequestId() string
}

// Message is a pointer to a generated message.
type Message[M any] interface {
	*M
	proto.Message
}

// Once runs fn and keeps its answer in tx, or returns the answer that is kept. It fails with already_exists and reason
// REQUEST_ID_REUSED if the id was used for another request. If fn fails nothing is kept, so the call may be repeated.
func Once[M any, Response Message[M]](ctx context.Context, tx pgx.Tx, request Request, fn func() (Response, error)) (Response, error) {
	caller, method, id := scope(ctx), rpc.MethodOf(ctx).Procedure, request.GetRequestId()
	fingerprint, err := fingerprintOf(request)
	if err != nil {
		return nil, err
	}
	// Whoever inserts the same key waits here until the first has committed or rolled back.
	tag, err := tx.Exec(ctx, `INSERT INTO cleave_request (caller, method, request_id, fingerprint) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, caller, method, id, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("claim request id: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return replay[M, Response](ctx, tx, caller, method, id, fingerprint)
	}
	response, err := fn()
	if err != nil {
		return nil, err
	}
	kept, err := proto.Marshal(response)
	if err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	if _, err := tx.Exec(ctx, "UPDATE cleave_request SET response = $4 WHERE caller = $1 AND method = $2 AND request_id = $3",
		caller, method, id, kept); err != nil {
		return nil, fmt.Errorf("keep response: %w", err)
	}
	return response, nil
}

// Kept returns the answer that is kept for the request, or nil. A method that calls other modules before its transaction asks first,
// so that a repetition gets its answer whatever has become of the others. It fails as [Once] does.
func Kept[M any, Response Message[M]](ctx context.Context, pool *pgxpool.Pool, request Request) (Response, error) {
	fingerprint, err := fingerprintOf(request)
	if err != nil {
		return nil, err
	}
	response, err := replay[M, Response](ctx, pool, scope(ctx), rpc.MethodOf(ctx).Procedure, request.GetRequestId(), fingerprint)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return response, db.Unavailable(err)
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func replay[M any, Response Message[M]](ctx context.Context, q queryer, caller, method, id string, fingerprint []byte) (Response, error) {
	var first, kept []byte
	if err := q.QueryRow(ctx, "SELECT fingerprint, response FROM cleave_request WHERE caller = $1 AND method = $2 AND request_id = $3",
		caller, method, id).Scan(&first, &kept); err != nil {
		return nil, fmt.Errorf("load kept response: %w", err)
	}
	if !bytes.Equal(first, fingerprint) {
		return nil, rpc.Errorf(connect.CodeAlreadyExists, "REQUEST_ID_REUSED", "request_id %q was used for another request: choose a new one", id)
	}
	response := Response(new(M))
	if err := proto.Unmarshal(kept, response); err != nil {
		return nil, fmt.Errorf("decode kept response: %w", err)
	}
	return response, nil
}

// fingerprintOf tells one request from another.
func fingerprintOf(request Request) ([]byte, error) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return sum[:], nil
}

// scope returns who chose the request id: the principal at a public method, the calling module at an internal one, which makes
// the same call again from a job that no principal started.
func scope(ctx context.Context) string {
	metadata := rpc.MetadataOf(ctx)
	if rpc.MethodOf(ctx).Public {
		return metadata.Principal.Subject
	}
	return metadata.Caller
}

// Purge removes answers that are older than [Retention], at most limit of them, and returns how many.
func Purge(ctx context.Context, pool *pgxpool.Pool, limit int) (int64, error) {
	tag, err := pool.Exec(ctx, `DELETE FROM cleave_request WHERE (caller, method, request_id) IN (
		SELECT caller, method, request_id FROM cleave_request WHERE create_time < now() - $1::interval LIMIT $2)`, Retention, limit)
	return tag.RowsAffected(), err
}
