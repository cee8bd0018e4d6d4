package payments

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgxpool"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// patience is after how long a test that hangs fails. No test that passes waits for it.
const patience = 30 * time.Second

// bundle is the payments module as another module meets it, and what a test looks at behind it.
type bundle struct {
	// Client calls as the module "test".
	paymentsv1connect.PaymentServiceClient
	// facts asks as the operator.
	facts   paymentsv1connect.FactServiceClient
	ctx     context.Context
	service *service
	// database is the module's own, with the rights of its role.
	database *db.DB
	// jobs are not started: until a test does, nothing happens by itself.
	jobs *job.Client
	// admin may do anything with the database.
	admin *pgxpool.Pool
}

// setup builds the module on a database of its own.
func setup(t *testing.T) *bundle {
	t.Helper()
	return setupWith(t, func(host *module.Host) provider { return newSandbox("", host.DB.Pool()) })
}

// setupWith is setup with another provider.
func setupWith(t *testing.T, with func(*module.Host) provider) *bundle {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	open := func(ctx context.Context, url string) (*db.DB, error) {
		return db.Open(ctx, db.Config{Module: Module.Name, URL: url, Migrations: Module.Migrations, Migrate: true, MaxConns: 8, Log: log})
	}
	url := postgrestest.Clone(t, Module.Name, func(ctx context.Context, url string) error {
		database, err := open(ctx, url)
		if err == nil {
			database.Close()
		}
		return err
	})
	b := &bundle{ctx: ctx}
	var err error
	if b.admin, err = pgxpool.New(ctx, url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.admin.Close)
	if b.database, err = open(ctx, url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.database.Close)
	if b.jobs, err = job.New(b.database, log); err != nil {
		t.Fatal(err)
	}
	tasks := module.NewTasks(log)
	t.Cleanup(func() { tasks.Stop(context.Background()) })

	server, err := rpc.NewServer(log)
	if err != nil {
		t.Fatal(err)
	}
	directory := rpc.NewDirectory(server, []string{Module.Name}, nil)
	host := &module.Host{Log: log, DB: b.database, Jobs: b.jobs, Tasks: tasks, Calls: directory.Caller(Module.Name, Module.Calls)}
	var handlers []rpc.Handler
	b.service, handlers = buildWith(host, with(host))
	if err := Module.CheckHandlers(handlers); err != nil {
		t.Fatal(err)
	}
	for _, h := range handlers {
		if err := server.Handle(h); err != nil {
			t.Fatal(err)
		}
	}
	b.PaymentServiceClient = paymentsv1cleave.NewPaymentServiceClient(directory.Caller("test", Module.Serves))
	b.facts = paymentsv1cleave.NewFactServiceClient(directory.Caller("operator", Module.Serves))
	return b
}

// The scripts of the sandbox and the states of the contract, short.
const (
	methodVisa              = sandbox.MethodVisa
	methodDeclined          = sandbox.MethodDeclined
	methodInsufficientFunds = sandbox.MethodInsufficientFunds
	methodExpired           = sandbox.MethodExpired
	methodChargeThenTimeout = sandbox.MethodChargeThenTimeout
	methodTimeoutThenCharge = sandbox.MethodTimeoutThenCharge
	methodSlow              = sandbox.MethodSlow
	methodProviderDown      = sandbox.MethodProviderDown

	isAuthorized        = paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED
	isCaptured          = paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED
	isPartiallyRefunded = paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED
	isRefunded          = paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
	isDeclined          = paymentsv1.PaymentState_PAYMENT_STATE_DECLINED
	isVoided            = paymentsv1.PaymentState_PAYMENT_STATE_VOIDED
	isUnknown           = paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN
)

func euros(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }

// try calls a mutating method. The request id of authorize, capture and so on is given; the amount is that of a refund, 0 for the rest.
func (b *bundle) try(k kind, requestID, target string, amount int64) (*paymentsv1.Payment, error) {
	switch k {
	case authorize: // The target is the payment method.
		answer, err := b.AuthorizePayment(b.ctx, &paymentsv1.AuthorizePaymentRequest{
			RequestId: requestID, Reference: "ord_1", Amount: euros(amount), PaymentMethod: target,
		})
		return answer.GetPayment(), err
	case capture:
		answer, err := b.CapturePayment(b.ctx, &paymentsv1.CapturePaymentRequest{RequestId: requestID, Id: target})
		return answer.GetPayment(), err
	case void:
		answer, err := b.VoidPayment(b.ctx, &paymentsv1.VoidPaymentRequest{RequestId: requestID, Id: target})
		return answer.GetPayment(), err
	default:
		request := &paymentsv1.RefundPaymentRequest{RequestId: requestID, Id: target}
		if amount != 0 {
			request.Amount = euros(amount)
		}
		answer, err := b.RefundPayment(b.ctx, request)
		return answer.GetPayment(), err
	}
}

// must is try, of what has to end in a state.
func (b *bundle) must(t *testing.T, want paymentsv1.PaymentState, k kind, requestID, target string, amount int64) *paymentsv1.Payment {
	t.Helper()
	payment, err := b.try(k, requestID, target, amount)
	if err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	if payment.GetState() != want {
		t.Fatalf("after %s the payment is %s, not %s", k, payment.GetState(), want)
	}
	return payment
}

// get returns a payment.
func (b *bundle) get(t *testing.T, paymentID string) *paymentsv1.Payment {
	t.Helper()
	answer, err := b.GetPayment(b.ctx, &paymentsv1.GetPaymentRequest{Id: paymentID})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetPayment()
}

// count returns the number that a query yields. The query is the superuser's and names the tables of the provider, as a test may.
func (b *bundle) count(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	if err := b.admin.QueryRow(b.ctx, query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// exec changes something behind the module's back.
func (b *bundle) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(b.ctx, statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// done returns how many operations of a kind the provider's log holds that moved money.
func (b *bundle) done(t *testing.T, k kind) int64 {
	t.Helper()
	return b.count(t, "SELECT count(*) FROM payments.sandbox_operation WHERE kind = $1 AND outcome = 'succeeded'", string(k))
}

// sweep makes every attempt due that is not settled, and sweeps.
func (b *bundle) sweep(t *testing.T) {
	t.Helper()
	b.exec(t, "UPDATE payments.attempt SET next_time = now() WHERE next_time IS NOT NULL")
	if err := b.service.sweep(b.ctx); err != nil {
		t.Fatalf("sweep: %v", err)
	}
}

// wantError checks code and reason of an error.
func wantError(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	if connect.CodeOf(err) != code || rpc.Reason(err) != reason {
		t.Errorf("got %v (reason %q), want %s (reason %q)", err, rpc.Reason(err), code, reason)
	}
}

// ids returns n different request ids.
func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("request-%d", i)
	}
	return list
}
