package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	attempttable "github.com/cleave-go/cleave/modules/payments/internal/ent/attempt"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
)

const (
	// providerTimeout bounds one call of the provider. What has not been answered by then is unknown, which callers shall learn before
	// they give up themselves.
	providerTimeout = 5 * time.Second
	// storeTimeout bounds storing an outcome after the caller has gone.
	storeTimeout = 5 * time.Second
	// resolveAfter is when a job looks after an attempt. If the provider is still at work then, the job asks beside it, harmlessly.
	resolveAfter = 8 * time.Second
)

// Providers forget keys: Stripe after 24 hours. A repetition after that would move money twice, so an attempt is repeated only while
// it is young, and looked up when it is old. Nothing that began under its key can still be on its way when the lookup has the last
// word. The hours between leave room for clocks that differ.
const (
	repeatFor  = 20 * time.Hour
	lastWordAt = 22 * time.Hour
)

// neverReceived is the decline code of what the provider does not know of, and will not be asked again.
const neverReceived = "provider_never_received"

// perform is how money is moved. One transaction claims the request id and writes an attempt down, or finds the one that does the same
// already; the provider is asked outside of any; a second transaction stores the outcome. A repetition finds the same attempt, and asks
// again, under the same key, if its outcome is not known. Perform returns the payment as it is then: an outcome that is still not known
// leaves it unknown, which is no error.
func (s *service) perform(
	ctx context.Context, r idempotency.Request, write func(ctx context.Context, tx tx) (attemptID string, err error),
) (*paymentsv1.Payment, error) {
	var kept *wrapperspb.StringValue // What is kept under the request id is the attempt, not the answer, which changes.
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		kept, err = idempotency.Once(ctx, tx, r, func() (*wrapperspb.StringValue, error) {
			attemptID, err := write(ctx, tx)
			return wrapperspb.String(attemptID), err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	row, err := s.finish(ctx, kept.GetValue())
	if err != nil {
		return nil, err
	}
	return message(row.Edges.Payment), nil
}

// begin writes an attempt of a locked payment down, unless it is already, and owes itself a job that sees it through. It returns the
// attempt's id, which is also the provider's key.
func (s *service) begin(ctx context.Context, tx tx, row *ent.Payment, a attempt) (string, error) {
	if a.id != "" {
		return a.id, nil
	}
	a.id = id.New("att")
	if err := insertAttempt(ctx, tx, row, a); err != nil {
		return "", err
	}
	return a.id, s.jobs.Insert(ctx, tx, resolve{AttemptID: a.id}, time.Now().Add(resolveAfter))
}

// finish asks the provider for the outcome of an attempt, unless it is known, and returns the attempt and its payment as they are then.
func (s *service) finish(ctx context.Context, attemptID string) (*ent.Attempt, error) {
	row, err := s.store.Ent.Attempt.Query().Where(attempttable.ID(attemptID)).WithPayment().Only(ctx)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load attempt %s: %w", attemptID, err))
	}
	if !outcome(row.Outcome).open() {
		return row, nil
	}
	asked, cancel := context.WithTimeout(ctx, providerTimeout)
	got, err := s.ask(asked, row)
	cancel()
	o := succeeded
	switch {
	case errors.Is(err, errUnknown):
		o = unanswered
		s.log.LogAttrs(ctx, slog.LevelWarn, "the outcome of an attempt is unknown",
			slog.String("attempt", row.ID), slog.String("kind", row.Kind), slog.String("payment", row.PaymentID), slog.String("error", err.Error()))
	case err != nil:
		return nil, fmt.Errorf("ask the provider for %s of payment %s (attempt %s): %w", row.Kind, row.PaymentID, row.ID, err)
	case got.declineCode != "":
		o = refused
	}
	// A caller that has gone meanwhile changes nothing: what is known now shall not have to be asked for again.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var settled *ent.Attempt
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		payment, err := lockPayment(ctx, tx, row.PaymentID)
		if err != nil {
			return err
		}
		settled, err = updateAttempt(ctx, tx, payment, row.ID, o, got)
		return err
	})
	return settled, err
}

// ask makes the call of the provider that an attempt stands for.
func (s *service) ask(ctx context.Context, row *ent.Attempt) (answer, error) {
	if age := time.Since(row.CreateTime); age > repeatFor {
		return s.lookup(ctx, row.ID, age)
	}
	payment := row.Edges.Payment
	switch kind(row.Kind) {
	case authorize:
		return s.provider.authorize(ctx, row.ID, authorization{
			reference: payment.Reference, amount: row.Amount, currency: payment.Currency, method: payment.PaymentMethod,
		})
	case capture:
		return s.provider.capture(ctx, row.ID, payment.ChargeID)
	case void:
		return s.provider.void(ctx, row.ID, payment.ChargeID)
	case refund:
		return s.provider.refund(ctx, row.ID, payment.ChargeID, row.Amount)
	}
	return answer{}, fmt.Errorf("attempt %s is of the unknown kind %q", row.ID, row.Kind)
}

// lookup asks what came of an attempt that is too old to be repeated.
func (s *service) lookup(ctx context.Context, key string, age time.Duration) (answer, error) {
	got, found, err := s.provider.lookup(ctx, key)
	if err != nil || found {
		return got, err
	}
	if age < lastWordAt {
		return answer{}, fmt.Errorf("%w: it knows nothing of the key yet", errUnknown)
	}
	return answer{declineCode: neverReceived}, nil
}
