package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/modules/payments/internal/ent/sandboxrequest"
	"github.com/cleave-go/cleave/platform/db"
)

// sandbox is a provider that moves no money and behaves as the payment method says. It stands for another company's server: its
// tables, which begin with sandbox_, are its own, it writes them in its own transactions, and what it remembers survives a restart.
type sandbox struct {
	store *db.Store[*ent.Client]
}

var _ provider = (*sandbox)(nil)

func newSandbox(d *db.DB) *sandbox { return &sandbox{store: db.NewStore(d, newEnt)} }

// Mistakes of whoever calls the sandbox.
var (
	errKeyReused = errors.New("the key was used for another request")
	errNoCharge  = errors.New("there is no such charge")
)

// sandboxCall is one request to the sandbox.
type sandboxCall struct {
	key  string
	kind kind
	// authorization is what to authorize; the other kinds name a charge.
	authorization authorization
	chargeID      string
	// amount is what to refund.
	amount int64
}

func (s *sandbox) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	return s.handle(ctx, sandboxCall{key: key, kind: authorize, authorization: a})
}

func (s *sandbox) capture(ctx context.Context, key, chargeID string) (answer, error) {
	return s.handle(ctx, sandboxCall{key: key, kind: capture, chargeID: chargeID})
}

func (s *sandbox) void(ctx context.Context, key, chargeID string) (answer, error) {
	return s.handle(ctx, sandboxCall{key: key, kind: void, chargeID: chargeID})
}

func (s *sandbox) refund(ctx context.Context, key, chargeID string, amount int64) (answer, error) {
	return s.handle(ctx, sandboxCall{key: key, kind: refund, chargeID: chargeID, amount: amount})
}

func (s *sandbox) lookup(ctx context.Context, key string) (answer, bool, error) {
	row, err := s.store.Ent.SandboxOperation.Get(ctx, key)
	if ent.IsNotFound(err) {
		return answer{}, false, nil
	}
	if err != nil {
		return answer{}, false, silence(err)
	}
	return answerOf(row), true, nil
}

// silence makes of what goes wrong inside the sandbox what a caller sees of it: no answer.
func silence(err error) error {
	if errors.Is(err, errUnknown) || errors.Is(err, errKeyReused) || errors.Is(err, errNoCharge) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// handle plays the script of the payment method around a call.
func (s *sandbox) handle(ctx context.Context, call sandboxCall) (answer, error) {
	script, err := s.script(ctx, call)
	if err != nil {
		return answer{}, silence(err)
	}
	if script.down {
		return answer{}, errUnknown
	}
	if err := pause(ctx, script.delay); err != nil {
		return answer{}, silence(err)
	}
	var got answer
	var lost bool
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		got, lost, err = serve(ctx, tx, call, script)
		return err
	})
	if err != nil {
		return answer{}, silence(err)
	}
	if lost {
		return answer{}, errUnknown
	}
	return got, nil
}

// script returns the script that the call follows.
func (s *sandbox) script(ctx context.Context, call sandboxCall) (script, error) {
	if call.kind == authorize {
		return scriptOf(call.authorization.method), nil
	}
	row, err := s.store.Ent.SandboxCharge.Get(ctx, call.chargeID)
	if ent.IsNotFound(err) {
		return script{}, errNoCharge
	}
	if err != nil {
		return script{}, err
	}
	return scriptOf(row.PaymentMethod), nil
}

// pause returns after a time, or with an error when ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve logs a call, and does what it asks for unless its key has been done before. Lost says that the answer shall not arrive.
func serve(ctx context.Context, tx tx, call sandboxCall, script script) (got answer, lost bool, err error) {
	// Calls with the same key go one after the other, also before the first has left a row.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "sandbox "+call.key); err != nil {
		return answer{}, false, fmt.Errorf("lock key: %w", err)
	}
	repeated, err := tx.Ent.SandboxRequest.Query().Where(sandboxrequest.Key(call.key)).Exist(ctx)
	if err != nil {
		return answer{}, false, fmt.Errorf("look for earlier requests: %w", err)
	}
	if err := tx.Ent.SandboxRequest.Create().SetKey(call.key).SetKind(string(call.kind)).Exec(ctx); err != nil {
		return answer{}, false, fmt.Errorf("log request: %w", err)
	}
	row, err := tx.Ent.SandboxOperation.Get(ctx, call.key)
	if err == nil {
		got, err = replay(ctx, tx, call, row)
		return got, false, err
	}
	if !ent.IsNotFound(err) {
		return answer{}, false, fmt.Errorf("load operation: %w", err)
	}
	if script.losesRequest && !repeated {
		return answer{}, true, nil
	}
	got, err = operate(ctx, tx, call, script)
	return got, script.losesAnswer, err
}

// replay returns the first outcome of a key, if the call asks for the same as the first did.
func replay(ctx context.Context, tx tx, call sandboxCall, row *ent.SandboxOperation) (answer, error) {
	first := sandboxCall{key: row.ID, kind: kind(row.Kind), chargeID: row.ChargeID}
	switch first.kind {
	case refund:
		first.amount = row.Amount
	case authorize:
		charge, err := tx.Ent.SandboxCharge.Get(ctx, row.ChargeID)
		if err != nil {
			return answer{}, fmt.Errorf("load charge: %w", err)
		}
		first.chargeID = ""
		first.authorization = authorization{
			reference: charge.Reference, amount: charge.Amount, currency: charge.Currency, method: charge.PaymentMethod,
		}
	}
	if call != first {
		return answer{}, errKeyReused
	}
	return answerOf(row), nil
}
