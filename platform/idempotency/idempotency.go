// Package idempotency makes a mutating method happen once per request_id.
//
// The answer is kept in the transaction of its effects, under caller, method and request_id. A repetition gets it again; one that
// comes while the first is still running waits for it, because both insert the same key; another request under the same id is
// refused. Answers are kept for [Retention].
//
// An Undo names the request id of its Do: [Revoke] finds the answer, or leaves a tombstone under the id, so that a Do that comes later
// than its Undo is refused.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
// REQUEST_ID_REUSED if the id was used for another request, and with failed_precondition and reason REVOKED if [Revoke] was there
// first. If fn fails nothing is kept, so the call may be repeated. It makes use of the [db.FirstTry]: the transaction may be run again,
// and fn with it.
func Once[M any, Response Message[M]](ctx context.Context, tx pgx.Tx, request Request, fn func() (Response, error)) (Response, error) {
	k := keyOf(ctx, rpc.MethodOf(ctx), request.GetRequestId())
	fingerprint, err := fingerprintOf(request)
	if err != nil {
		return nil, err
	}
	claimed := false
	var kept []byte
	if db.FirstTry(ctx) {
		// Most requests come once, so nobody waits to be told that the key was free: if it was not, the constraint fails what follows.
		// What fn defers follows the claim at once; if it defers everything, the answer is known when the claim is sent, and goes along.
		db.Defer(tx, insertKey, k.caller, k.method, k.id, fingerprint, &kept).Exec(func(pgconn.CommandTag) error {
			claimed = true
			return nil
		})
	} else if claimed, err = k.claim(ctx, tx, fingerprint); err != nil {
		return nil, err
	} else if !claimed {
		return replay[M, Response](ctx, tx, k, fingerprint)
	}
	response, err := fn()
	if err != nil && !claimed { // Perhaps because the request was carried out already.
		return nil, fmt.Errorf("%w: %w", db.ErrAgain, err)
	}
	if err != nil {
		return nil, err
	}
	if kept, err = proto.Marshal(response); err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	if claimed {
		db.Defer(tx, "UPDATE cleave_request SET response = $4 WHERE caller = $1 AND method = $2 AND request_id = $3", k.caller, k.method, k.id, kept)
	}
	return response, nil
}

// Tx is [Once] in a transaction of its own.
func Tx[C, M any, Response Message[M]](ctx context.Context, store *db.Store[C], request Request,
	fn func(ctx context.Context, tx db.Tx[C]) (Response, error)) (response Response, err error) {
	err = store.Tx(ctx, func(ctx context.Context, tx db.Tx[C]) (err error) {
		response, err = Once(ctx, tx, request, func() (Response, error) { return fn(ctx, tx) })
		return err
	})
	return response, err
}

// KeptOr returns the answer that is kept for the request, or fails with why if there is none. A method that calls other modules before
// its transaction asks when one of them fails it, so that a repetition gets its answer whatever has become of the others. One that
// comes while the first is in its transaction waits for it, or it would be told that it failed while the first succeeds. It fails as
// [Once] does.
func KeptOr[M any, Response Message[M]](ctx context.Context, d *db.DB, request Request, why error) (response Response, err error) {
	k := keyOf(ctx, rpc.MethodOf(ctx), request.GetRequestId())
	fingerprint, err := fingerprintOf(request)
	if err != nil {
		return nil, err
	}
	err = d.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		claimed, err := k.claim(ctx, tx, fingerprint)
		if err != nil {
			return err
		}
		if claimed { // Only to have waited: it is rolled back, so that the id can be used.
			return why
		}
		response, err = replay[M, Response](ctx, tx, k, fingerprint)
		return err
	})
	return response, err
}

// Revoke settles what became of a request of method, the Do, that the same caller made or may yet make: it returns the kept answer and
// true if the request was carried out, and otherwise leaves a tombstone in tx, so that [Once] refuses the request if it comes later. It
// waits for a Do in flight, so it comes first in its transaction, before any lock that the Do may want. Repeated it answers the same.
//
// The caller is who it would be for method: an internal Do is revoked by the module that calls. A tombstone is kept for [Retention], as
// answers are.
func Revoke[M any, Response Message[M]](ctx context.Context, tx pgx.Tx, method *rpc.Method, requestID string) (kept Response, done bool, err error) {
	k := keyOf(ctx, method, requestID)
	claimed, err := k.claim(ctx, tx, revoked)
	if err != nil || claimed {
		return nil, false, err
	}
	fingerprint, response, err := k.load(ctx, tx)
	if err != nil || bytes.Equal(fingerprint, revoked) {
		return nil, false, err
	}
	kept, err = decode[M, Response](response)
	return kept, err == nil, err
}

// revoked is what a tombstone has in place of the fingerprint of a request; no request has it.
var revoked = []byte{}

// key is what a request is known by.
type key struct{ caller, method, id string }

// keyOf returns the key of a request of method. Who chose its id is the principal at a public method and the calling module at an
// internal one, which makes the same call again from a job that no principal started.
func keyOf(ctx context.Context, method *rpc.Method, id string) key {
	metadata := rpc.MetadataOf(ctx)
	if method.Public {
		return key{metadata.Principal.Subject, method.Procedure, id}
	}
	return key{metadata.Caller, method.Procedure, id}
}

const insertKey = "INSERT INTO cleave_request (caller, method, request_id, fingerprint, response) VALUES ($1, $2, $3, $4, $5)"

// claim reports whether the key was free and is now taken. Whoever claims the same key waits here until the first has committed or
// rolled back.
func (k key) claim(ctx context.Context, tx pgx.Tx, fingerprint []byte) (bool, error) {
	tag, err := tx.Exec(ctx, insertKey+" ON CONFLICT DO NOTHING", k.caller, k.method, k.id, fingerprint, nil)
	if err != nil {
		return false, fmt.Errorf("claim request id: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// load returns what is kept under the key.
func (k key) load(ctx context.Context, tx pgx.Tx) (fingerprint, response []byte, err error) {
	if err := tx.QueryRow(ctx, "SELECT fingerprint, response FROM cleave_request WHERE caller = $1 AND method = $2 AND request_id = $3",
		k.caller, k.method, k.id).Scan(&fingerprint, &response); err != nil {
		return nil, nil, fmt.Errorf("load kept response: %w", err)
	}
	return fingerprint, response, nil
}

func replay[M any, Response Message[M]](ctx context.Context, tx pgx.Tx, k key, fingerprint []byte) (Response, error) {
	first, kept, err := k.load(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case bytes.Equal(first, revoked):
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "REVOKED", "request_id %q was revoked before the request came: choose a new one", k.id)
	case !bytes.Equal(first, fingerprint):
		return nil, rpc.Errorf(connect.CodeAlreadyExists, "REQUEST_ID_REUSED", "request_id %q was used for another request: choose a new one", k.id)
	}
	return decode[M, Response](kept)
}

func decode[M any, Response Message[M]](kept []byte) (Response, error) {
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

// Purge removes answers that are older than [Retention], at most limit of them, and returns how many.
func Purge(ctx context.Context, pool *pgxpool.Pool, limit int) (int64, error) {
	tag, err := pool.Exec(ctx, `DELETE FROM cleave_request WHERE (caller, method, request_id) IN (
		SELECT caller, method, request_id FROM cleave_request WHERE create_time < now() - $1::interval LIMIT $2)`, Retention, limit)
	return tag.RowsAffected(), err
}
