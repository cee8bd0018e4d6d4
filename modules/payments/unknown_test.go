package payments

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/module"
)

func TestTheSameCallAsksAgain(t *testing.T) {
	for _, method := range []string{methodChargeThenTimeout, methodTimeoutThenCharge} {
		for _, end := range []kind{capture, void} {
			t.Run(method+" "+string(end), func(t *testing.T) {
				b := setup(t)
				paymentID := b.must(t, isUnknown, authorize, "a", method, 1000).GetId()
				_, err := b.try(end, "too early", paymentID, 0)
				wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
				b.must(t, isAuthorized, authorize, "a", method, 1000)

				if end == void {
					b.must(t, isUnknown, void, "v", paymentID, 0)
					_, err := b.try(capture, "c", paymentID, 0)
					wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
					b.must(t, isVoided, void, "v", paymentID, 0)
				} else {
					b.must(t, isUnknown, capture, "c", paymentID, 0)
					_, err := b.try(void, "v", paymentID, 0)
					wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
					b.must(t, isCaptured, capture, "other", paymentID, 0) // It joins the capture that is not known.
					b.must(t, isUnknown, refund, "r", paymentID, 400)
					b.must(t, isUnknown, refund, "s", paymentID, 0)
					b.must(t, isUnknown, refund, "r", paymentID, 400)
					b.must(t, isRefunded, refund, "s", paymentID, 0)
				}
				if n := b.count(t, "SELECT count(*) - count(DISTINCT (kind, amount)) FROM payments.sandbox_operation"); n != 0 {
					t.Errorf("the provider did %d things twice", n)
				}
			})
		}
	}
}

// TestResolve lets the sweep find out what no caller asks for again.
func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name, method string
		want         paymentsv1.PaymentState
		// before and after change the database around the call.
		before, after string
	}{
		{name: "the answer was lost", method: methodChargeThenTimeout, want: isAuthorized},
		{name: "the request was lost", method: methodTimeoutThenCharge, want: isAuthorized},
		{
			name: "the process was killed before it asked", method: methodTimeoutThenCharge, want: isAuthorized,
			after: "UPDATE payments.payment SET state = 'authorizing'; UPDATE payments.attempt SET outcome = 'pending'",
		},
		{
			name: "the provider was down", method: methodVisa, want: isAuthorized,
			before: "REVOKE ALL ON payments.sandbox_request FROM cleave_payments",
			after:  "GRANT SELECT, INSERT ON payments.sandbox_request TO cleave_payments",
		},
		{
			name: "the provider was down and the card is bad", method: methodDeclined, want: isDeclined,
			before: "REVOKE ALL ON payments.sandbox_request FROM cleave_payments",
			after:  "GRANT SELECT, INSERT ON payments.sandbox_request TO cleave_payments",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t)
			b.exec(t, c.before)
			paymentID := b.must(t, isUnknown, authorize, "a", c.method, 1000).GetId()
			b.exec(t, c.after)
			b.sweep(t)
			if got := b.get(t, paymentID).GetState(); got != c.want {
				t.Errorf("the sweep left the payment %s, not %s", got, c.want)
			}
			if n := b.count(t, "SELECT count(*) FROM payments.sandbox_operation"); n != 1 {
				t.Errorf("the provider did %d operations, want 1", n)
			}
			b.must(t, c.want, authorize, "a", c.method, 1000)
		})
	}
}

// TestTheSweepRuns starts the module's jobs, as a program does, and lets them find what is due.
func TestTheSweepRuns(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isUnknown, authorize, "a", methodChargeThenTimeout, 1000).GetId()
	b.exec(t, "UPDATE payments.attempt SET next_time = now()")
	t.Cleanup(func() {
		if err := b.jobs.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b.await(t, "payment", func() {
		if err := b.jobs.Start(b.ctx); err != nil {
			t.Fatal(err)
		}
	}, func() bool { return b.get(t, paymentID).GetState() == isAuthorized })
}

func TestAKnownOutcomeLeavesTheSweepNothingToDo(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	before := b.must(t, isCaptured, capture, "c", paymentID, 0)
	if n := b.count(t, "SELECT count(*) FROM payments.attempt WHERE next_time IS NOT NULL"); n != 0 {
		t.Errorf("%d attempts are due although they are settled", n)
	}
	b.sweep(t)
	if after := b.get(t, paymentID); !proto.Equal(after, before) {
		t.Errorf("the sweep made %v of %v", after, before)
	}
	if n := b.count(t, "SELECT count(*) FROM payments.sandbox_request"); n != 2 {
		t.Errorf("the provider was asked %d times, want 2", n)
	}
}

// TestPausesGrow follows the pauses of an attempt whose provider stays down: never so long that it would be unknown half a minute after the
// provider has come back, with the time in which the sweep comes upon it and the provider answers.
func TestPausesGrow(t *testing.T) {
	b := setup(t)
	b.must(t, isUnknown, authorize, "a", methodProviderDown, 1000)
	for _, c := range []struct{ age, least, most time.Duration }{
		{0, 6 * time.Second, 10 * time.Second},
		{5 * time.Minute, 6 * time.Second, 10 * time.Second},
		{8 * time.Minute, 9 * time.Second, 15 * time.Second},
		{time.Hour, 15 * time.Second, 25 * time.Second},
		{19 * time.Hour, 15 * time.Second, 25 * time.Second},
	} {
		b.exec(t, "UPDATE payments.attempt SET create_time = now() - $1::interval", c.age)
		for range 10 {
			before := time.Now()
			b.sweep(t)
			var next time.Time
			if err := b.admin.QueryRow(b.ctx, "SELECT next_time FROM payments.attempt").Scan(&next); err != nil {
				t.Fatal(err)
			}
			if next.Before(before.Add(c.least)) || next.After(time.Now().Add(c.most)) {
				t.Errorf("at an age of %v it is asked for again after %v, want %v to %v", c.age, next.Sub(before), c.least, c.most)
			}
		}
	}
}

// TestASweepAsksForAFewAtOnce shows that a provider that is down is not hammered, and that all is known as soon as it is back.
func TestASweepAsksForAFewAtOnce(t *testing.T) {
	var asked, most, now atomic.Int64
	var down atomic.Bool
	b := setupWith(t, func(host *module.Host) provider {
		return watched{newSandbox("", host.DB.Pool()), func() func() {
			asked.Add(1)
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			return func() { now.Add(-1) }
		}, &down}
	})
	down.Store(true)
	requests := ids(5 * maxAsked)
	for _, requestID := range requests {
		b.must(t, isUnknown, authorize, requestID, methodVisa, 1000)
	}
	asked.Store(0)
	most.Store(0)
	b.sweep(t)
	if asked.Load() != maxAsked || most.Load() > maxAsked {
		t.Errorf("a provider that is down was asked %d times, %d at once, want at most %d", asked.Load(), most.Load(), maxAsked)
	}
	down.Store(false)
	b.sweep(t)
	if n := b.count(t, "SELECT count(*) FROM payments.payment WHERE state <> 'authorized'"); n != 0 || most.Load() > maxAsked {
		t.Errorf("%d payments are not known after the provider is back; it was asked for %d at once, want at most %d", n, most.Load(), maxAsked)
	}
}

// TestRepetitionsLeaveAProviderInPeace lets many callers ask again at once while the provider takes calls and does not answer: it meets a
// few of them, the others are told at once that nothing is known, and who asks for the first time gets through. When it is back all ends.
func TestRepetitionsLeaveAProviderInPeace(t *testing.T) {
	var down atomic.Bool
	entered, back := make(chan struct{}, 200), make(chan struct{})
	b := setupWith(t, func(host *module.Host) provider {
		return silent{watched{newSandbox("", host.DB.Pool()), func() func() { return func() {} }, &down}, t.Context(), entered, back}
	})
	down.Store(true)
	requests := ids(50)
	for _, requestID := range requests {
		b.must(t, isUnknown, authorize, requestID, methodVisa, 1000)
	}
	down.Store(false) // Not down any more, but silent.
	type result struct {
		state paymentsv1.PaymentState
		err   error
	}
	told := make(chan result, len(requests))
	for i, requestID := range requests {
		go func() {
			if i%2 == 0 {
				payment, err := b.try(authorize, requestID, methodVisa, 1000)
				told <- result{payment.GetState(), err}
				return
			}
			answer, err := b.CancelPayment(b.ctx, &paymentsv1.CancelPaymentRequest{RequestId: "cancel " + requestID, AuthorizeRequestId: requestID})
			told <- result{answer.GetPayment().GetState(), err}
		}()
	}
	for range len(requests) - maxRepeated { // The others are with the provider.
		if r := <-told; r.err != nil || r.state != isUnknown {
			t.Errorf("a caller who asked again is told %s, %v, want that it is unknown", r.state, r.err)
		}
	}
	for range maxRepeated {
		<-entered
	}
	b.must(t, isDeclined, authorize, "first", methodDeclined, 1000)
	if n := len(entered); n != 0 {
		t.Errorf("the provider was asked %d times at once, want %d", maxRepeated+n, maxRepeated)
	}
	close(back)
	for range maxRepeated {
		if r := <-told; r.err != nil || r.state != isAuthorized && r.state != isVoided {
			t.Errorf("the provider is back and a caller is told %s, %v", r.state, r.err)
		}
	}
	b.must(t, isAuthorized, authorize, requests[0], methodVisa, 1000)
	b.sweep(t)
	if n := b.count(t, "SELECT count(*) FROM payments.payment WHERE state NOT IN ('authorized', 'voided', 'declined')"); n != 0 {
		t.Errorf("%d payments are not known after the provider is back", n)
	}
}

// silent is a provider that takes calls for a card that succeeds, and lets them wait, longer than anybody does, until it is back.
type silent struct {
	watched
	test    context.Context
	entered chan<- struct{}
	back    <-chan struct{}
}

func (s silent) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	if a.method == methodVisa && !s.down.Load() {
		s.entered <- struct{}{}
		select {
		case <-s.back:
		case <-s.test.Done():
		}
	}
	return s.watched.authorize(context.WithoutCancel(ctx), key, a)
}

// watched is a provider that is watched, and can be down.
type watched struct {
	provider
	begin func() (end func())
	down  *atomic.Bool
}

func (w watched) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	defer w.begin()()
	if w.down.Load() {
		return answer{}, errUnknown
	}
	return w.provider.authorize(ctx, key, a)
}

// await calls begin, and returns when after an update of a table done says that it is done.
func (b *bundle) await(t *testing.T, table string, begin func(), done func() bool) {
	t.Helper()
	conn, err := b.admin.Acquire(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	b.exec(t, "CREATE FUNCTION payments.tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NOTIFY updated; RETURN NULL; END'")
	b.exec(t, "CREATE TRIGGER tell AFTER UPDATE ON payments."+table+" EXECUTE FUNCTION payments.tell()")
	if _, err := conn.Exec(b.ctx, "LISTEN updated"); err != nil {
		t.Fatal(err)
	}
	begin()
	for !done() {
		if _, err := conn.Conn().WaitForNotification(b.ctx); err != nil {
			t.Fatalf("it was not done: %v", err)
		}
	}
}

func TestAProviderThatIsDown(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isUnknown, authorize, "a", methodProviderDown, 1000).GetId()
	b.must(t, isUnknown, authorize, "a", methodProviderDown, 1000)
	for _, k := range []kind{capture, void, refund} {
		_, err := b.try(k, "x", paymentID, 0)
		wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
	}
	if n := b.count(t, "SELECT count(*) FROM payments.sandbox_charge"); n != 0 {
		t.Errorf("the provider has %d charges", n)
	}
}

// goodbye is a provider whose caller goes away at the moment when it has authorized.
type goodbye struct {
	provider
	leave func()
}

func (g goodbye) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	defer g.leave()
	return g.provider.authorize(ctx, key, a)
}

func TestACallerThatGoesAwayChangesNothing(t *testing.T) {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	b := setupWith(t, func(host *module.Host) provider { return goodbye{newSandbox("", host.DB.Pool()), leave} })
	b.await(t, "payment", func() {
		_, err := b.AuthorizePayment(ctx, &paymentsv1.AuthorizePaymentRequest{
			RequestId: "a", Reference: "ord_1", Amount: euros(1000), PaymentMethod: methodVisa,
		})
		wantError(t, err, connect.CodeCanceled, "")
	}, func() bool {
		return b.count(t, "SELECT count(*) FROM payments.payment WHERE state = 'authorized'") == 1
	})
}

// overtaken is a provider whose first answer is lost, and known by a repetition before that is noticed.
type overtaken struct {
	provider
	repeat func()
}

func (o overtaken) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	got, err := o.provider.authorize(ctx, key, a)
	if errors.Is(err, errUnknown) {
		o.repeat()
	}
	return got, err
}

func TestWhatIsKnownStaysKnown(t *testing.T) {
	var b *bundle
	b = setupWith(t, func(host *module.Host) provider {
		return overtaken{newSandbox("", host.DB.Pool()), func() {
			if payment, err := b.try(authorize, "a", methodChargeThenTimeout, 1000); payment.GetState() != isAuthorized {
				t.Errorf("the repetition got %v, %v", payment, err)
			}
		}}
	})
	b.must(t, isAuthorized, authorize, "a", methodChargeThenTimeout, 1000)
}

func TestAMistakeIsNotTold(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isUnknown, authorize, "a", methodTimeoutThenCharge, 1000).GetId()
	b.exec(t, `INSERT INTO payments.sandbox_operation (key, kind, charge_id, amount, outcome)
		SELECT id, 'void', 'sbx_0', 1, 'succeeded' FROM payments.attempt`)
	_, err := b.try(authorize, "a", methodTimeoutThenCharge, 1000)
	wantError(t, err, connect.CodeInternal, "")
	var told *connect.Error
	if !errors.As(err, &told) || told.Message() != "internal error" {
		t.Errorf("the caller is told %v", err)
	}
	if s := b.get(t, paymentID).GetState(); s != isUnknown {
		t.Errorf("the payment is %s", s)
	}
}

// picky is a provider that understands no authorization, perhaps after it has done it.
type picky struct {
	provider
	done bool
}

func (p picky) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	if p.done {
		if _, err := p.provider.authorize(ctx, key, a); err != nil {
			return answer{}, err
		}
	}
	return answer{}, errMistake{sandbox.Failure{Code: sandbox.CodeBadRequest, Message: "it cannot be read"}}
}

// TestAnAuthorizationThatIsNotUnderstood is refused at once, unless an earlier request under its key was understood.
func TestAnAuthorizationThatIsNotUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		done bool
		want paymentsv1.PaymentState
		code string
	}{
		"never":  {want: isDeclined, code: sandbox.CodeBadRequest},
		"before": {done: true, want: isAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			b := setupWith(t, func(host *module.Host) provider { return picky{newSandbox("", host.DB.Pool()), c.done} })
			for range 2 {
				if payment := b.must(t, c.want, authorize, "a", methodVisa, 1000); payment.GetDeclineCode() != c.code {
					t.Errorf("decline code %q, want %q", payment.GetDeclineCode(), c.code)
				}
			}
			if n := b.count(t, "SELECT count(*) FROM payments.attempt WHERE next_time IS NOT NULL"); n != 0 {
				t.Errorf("%d attempts are still asked for", n)
			}
		})
	}
}

// TestAnOldAttemptIsNotRepeated shows what happens after the provider may have forgotten a key.
func TestAnOldAttemptIsNotRepeated(t *testing.T) {
	const age = "UPDATE payments.attempt SET create_time = now() - $1::interval"
	t.Run("what was done is found", func(t *testing.T) {
		b := setup(t)
		b.must(t, isUnknown, authorize, "a", methodChargeThenTimeout, 1000)
		b.exec(t, age, lastWordAt+time.Hour)
		b.must(t, isAuthorized, authorize, "a", methodChargeThenTimeout, 1000)
	})
	t.Run("what was never received is refused", func(t *testing.T) {
		b := setup(t)
		b.must(t, isUnknown, authorize, "a", methodTimeoutThenCharge, 1000)
		b.exec(t, age, (repeatFor+lastWordAt)/2)
		b.must(t, isUnknown, authorize, "a", methodTimeoutThenCharge, 1000)
		b.exec(t, age, lastWordAt+time.Hour)
		payment := b.must(t, isDeclined, authorize, "a", methodTimeoutThenCharge, 1000)
		if payment.GetDeclineCode() != neverReceived {
			t.Errorf("decline code: %q", payment.GetDeclineCode())
		}
		if n := b.count(t, "SELECT count(*) FROM payments.sandbox_charge"); n != 0 {
			t.Errorf("the provider has %d charges", n)
		}
	})
	t.Run("a refund that was never received can be made again", func(t *testing.T) {
		b := setup(t)
		paymentID := b.must(t, isUnknown, authorize, "a", methodTimeoutThenCharge, 1000).GetId()
		b.must(t, isAuthorized, authorize, "a", methodTimeoutThenCharge, 1000)
		b.must(t, isUnknown, capture, "c", paymentID, 0)
		b.must(t, isCaptured, capture, "c", paymentID, 0)
		b.must(t, isUnknown, refund, "r", paymentID, 0)
		b.exec(t, age, lastWordAt+time.Hour)
		b.must(t, isCaptured, refund, "r", paymentID, 0)
		b.must(t, isUnknown, refund, "s", paymentID, 0)
		b.must(t, isRefunded, refund, "s", paymentID, 0)
	})
}
