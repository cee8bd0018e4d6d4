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
	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
)

const (
	// providerTimeout bounds one call of the provider. What has not been answered by then is unknown, which callers shall learn before
	// they give up themselves.
	providerTimeout = 5 * time.Second
	// listTimeout bounds reading a page of its log.
	listTimeout = 30 * time.Second
	// storeTimeout bounds storing an outcome after the caller has gone.
	storeTimeout = 5 * time.Second
	// askAgainAfter is when the sweep looks after an attempt: later than whoever began it can still be at it, as far as that is known. If
	// the provider is still at work then, the sweep asks beside it, harmlessly.
	askAgainAfter = 8 * time.Second
	// maxRepeated is how many repetitions by callers a replica lets ask at once for what the provider has left unanswered, beside the sweep.
	maxRepeated = 8
	// maxFollowing bounds what is done at once for a payment that is cancelled. The sweep does what is left.
	maxFollowing = 8
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

// begun is an attempt that is written down, with its payment.
type begun struct {
	*ent.Attempt
	// version is that of the payment's row. As long as the row has it, the payment and its attempts are as they are here, because attempts
	// change together with it. The version 0 is none: something may be missing here.
	version uint32
}

// perform is how money is moved. One transaction claims the request id and writes an attempt down, or finds the one that does the same
// already: the provider is not asked for what nobody would remember. The provider is asked outside of any. A second transaction stores
// the outcome, with the ledger: what the caller is told has to last. A repetition finds the same attempt, and asks again, under the same
// key, if its outcome is not known and not too many are asking already. Perform returns the payment as it is then: an outcome that is still not known leaves it unknown,
// which is no error.
func (s *service) perform(
	ctx context.Context, r idempotency.Request, write func(ctx context.Context, tx tx) (*begun, error),
) (*paymentsv1.Payment, error) {
	row, _, err := s.attempt(ctx, r, write)
	if err != nil {
		return nil, err
	}
	return message(row), nil
}

// attempt is perform, and tells also which attempt the request has come to.
func (s *service) attempt(
	ctx context.Context, r idempotency.Request, write func(ctx context.Context, tx tx) (*begun, error),
) (*ent.Payment, *ent.Attempt, error) {
	var kept *wrapperspb.StringValue // What is kept under the request id is the attempt, not the answer, which changes.
	var written *begun
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		written = nil
		kept, err = idempotency.Once(ctx, tx, r, func() (*wrapperspb.StringValue, error) {
			var err error
			if written, err = write(ctx, tx); err != nil {
				return nil, err
			}
			return wrapperspb.String(written.ID), nil
		})
		return err
	})
	if err == nil && written == nil {
		written, err = s.load(ctx, kept.GetValue())
	}
	if err != nil {
		return nil, nil, err
	}
	row, err := s.finishSoon(ctx, written)
	if err != nil {
		return nil, nil, err
	}
	if settled := attemptOf(row, written.ID); settled != nil {
		return row, settled, nil
	}
	return row, written.Attempt, nil // It was settled before: nobody has read it again.
}

// finishSoon is finish for a caller, who repeats his request until the outcome is known. When the provider is down there may be
// thousands of them, and each question takes as long as a call may: they would take the connections from whoever asks for the first
// time. So only [maxRepeated] ask again at once; who comes beyond that is told where the payment is, and finds what they or the sweep
// have learned when he repeats his request. A provider that answers has room for everybody again within the time of a call.
func (s *service) finishSoon(ctx context.Context, a *begun) (*ent.Payment, error) {
	if outcome(a.Outcome) == unanswered {
		select {
		case s.repeating <- struct{}{}:
			defer func() { <-s.repeating }()
		default:
			return a.Edges.Payment, nil
		}
	}
	return s.finish(ctx, a)
}

// load loads an attempt and its payment.
func (s *service) load(ctx context.Context, attemptID string) (*begun, error) {
	a, err := s.store.Ent.Attempt.Query().Where(attempttable.ID(attemptID)).WithPayment().Only(ctx)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load attempt %s: %w", attemptID, err))
	}
	return &begun{Attempt: a}, nil
}

// finish asks the provider for the outcome of an attempt, unless it is known, and returns its payment as it is then. If the payment is
// cancelled it goes on, with what that takes, until the provider does not answer.
func (s *service) finish(ctx context.Context, a *begun) (row *ent.Payment, err error) {
	row = a.Edges.Payment
	for range maxFollowing {
		if !outcome(a.Outcome).open() {
			break
		}
		if row, err = s.step(ctx, a); err != nil {
			return nil, err
		}
		settled := attemptOf(row, a.ID)
		if row.Cancellation == string(notCancelled) || outcome(settled.Outcome).open() {
			break
		}
		// Whoever settled the attempt has written down what follows, if anything does.
		next, _ := paymentOf(row).toCancel()
		if a = (&begun{Attempt: attemptOf(row, next.id)}); a.Attempt == nil {
			break
		}
	}
	return row, nil
}

// step asks the provider for the outcome of an attempt, stores it, and returns the payment with its attempts.
func (s *service) step(ctx context.Context, a *begun) (*ent.Payment, error) {
	point(a, "written")
	asked, cancel := context.WithTimeout(ctx, providerTimeout)
	got, err := s.ask(asked, a.Attempt)
	cancel()
	o := succeeded
	switch {
	case errors.Is(err, errUnknown):
		o = unanswered
		s.log.LogAttrs(ctx, slog.LevelWarn, "the outcome of an attempt is unknown",
			slog.String("attempt", a.ID), slog.String("kind", a.Kind), slog.String("payment", a.PaymentID), slog.String("error", err.Error()))
	case err != nil:
		return nil, fmt.Errorf("ask the provider for %s of payment %s (attempt %s): %w", a.Kind, a.PaymentID, a.ID, err)
	case got.declineCode != "":
		o = refused
	}
	point(a, "answered")
	// A caller that has gone meanwhile changes nothing: what is known now shall not have to be asked for again.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	row, err := s.keep(ctx, a, o, got)
	if err != nil {
		return nil, err
	}
	point(a, "stored")
	return row, nil
}

// keep stores what came of an attempt, and returns the payment with its attempts. Mostly nobody else has touched the payment since the
// attempt was written down; otherwise it is read again.
func (s *service) keep(ctx context.Context, a *begun, o outcome, got answer) (*ent.Payment, error) {
	if a.version != 0 && !o.open() {
		row, err := s.settleUntouched(ctx, a, o, got)
		if !errors.Is(err, errTouched) {
			return row, db.Unavailable(err)
		}
	}
	var row locked
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		if row, err = lockPayment(ctx, tx, a.PaymentID); err != nil {
			return err
		}
		return settle(tx, row, a.ID, o, got)
	})
	return row.Payment, err
}

// point is where a test may stop the process: payments/<kind>/written is after an attempt was written down and before the provider is
// asked, payments/<kind>/answered before the answer is stored, payments/<kind>/stored before anybody is told.
func point(a *begun, moment string) {
	if fault.Enabled {
		fault.Point("payments/" + a.Kind + "/" + moment)
	}
}

// ask makes the call of the provider that an attempt stands for.
func (s *service) ask(ctx context.Context, row *ent.Attempt) (answer, error) {
	// One that was written just now has no time yet.
	if age := time.Since(row.CreateTime); !row.CreateTime.IsZero() && age > repeatFor {
		return s.lookup(ctx, row.ID, age)
	}
	key, payment := row.ID, row.Edges.Payment
	if fault.Bug("fresh-provider-key") {
		key = id.New("att")
	}
	switch kind(row.Kind) {
	case authorize:
		got, err := s.provider.authorize(ctx, key, authorization{
			reference: payment.Reference, amount: row.Amount, currency: payment.Currency, method: payment.PaymentMethod,
		})
		if mistake := (errMistake{}); errors.As(err, &mistake) && mistake.Code != sandbox.CodeKeyReused {
			return s.misunderstood(ctx, row, mistake)
		}
		return got, err
	case capture:
		return s.provider.capture(ctx, key, payment.ChargeID)
	case void:
		return s.provider.void(ctx, key, payment.ChargeID)
	case refund:
		return s.provider.refund(ctx, key, payment.ChargeID, row.Amount)
	}
	return answer{}, fmt.Errorf("attempt %s is of the unknown kind %q", row.ID, row.Kind)
}

// misunderstood returns what came of an authorization that the provider calls wrong: it is refused with the provider's code, so that its
// customer does not wait for what no repetition mends. But an earlier request under its key may have been understood, so that is looked
// up. A key that was used for something else is not for this to judge: it stays open until somebody has looked.
func (s *service) misunderstood(ctx context.Context, row *ent.Attempt, mistake errMistake) (answer, error) {
	s.log.LogAttrs(ctx, slog.LevelError, "the provider does not understand an authorization",
		slog.String("attempt", row.ID), slog.String("payment", row.PaymentID), slog.String("error", mistake.Error()))
	got, found, err := s.provider.lookup(ctx, row.ID)
	if err != nil || found {
		return got, err
	}
	return answer{declineCode: mistake.Code}, nil
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
