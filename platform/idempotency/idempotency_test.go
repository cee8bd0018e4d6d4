package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// The requests of the parity service have no request_id, so their case is taken for it.
type (
	callRequest struct{ *parityv1.CallRequest }
	lookRequest struct{ *parityv1.LookRequest }
)

func (r callRequest) GetRequestId() string { return r.GetCase() }
func (r lookRequest) GetRequestId() string { return r.GetCase() }

// bundle is a module whose public method Call and internal method Look count how often they are carried out.
type bundle struct {
	parityv1connect.UnimplementedParityServiceHandler
	*moduletest.House
	store *db.Store[dialect.Driver]
	// early is why Look fails before it has asked the database for anything.
	early error
	// before runs before an effect and can make it fail.
	before func(ctx context.Context) error
	// outside stands for the call of another module before the transaction, if there is one.
	outside func() error
	// defers says that an effect is written with the commit, so that the answer is known when the request is claimed.
	defers bool
	runs   atomic.Int64
}

func setup(t *testing.T) *bundle {
	b := &bundle{before: func(context.Context) error { return nil }}
	b.House = moduletest.Start(t, module.Module{
		Name: "parity", Serves: []*rpc.Service{parityv1cleave.ParityService},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte("-- +goose Up\nCREATE TABLE effect (number bigint NOT NULL);\n")}},
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			b.store = db.NewStore(host.DB, func(d dialect.Driver) dialect.Driver { return d })
			return []rpc.Handler{parityv1cleave.NewParityServiceHandler(b)}, nil
		},
	})
	return b
}

// effect is what may happen once.
func (b *bundle) effect(ctx context.Context, tx db.Tx[dialect.Driver]) (int64, error) {
	number := b.runs.Add(1)
	if b.defers {
		tx.Defer("INSERT INTO effect (number) VALUES ($1)", number)
		return number, b.before(ctx)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO effect (number) VALUES ($1)", number); err != nil {
		return 0, err
	}
	return number, b.before(ctx)
}

func (b *bundle) Call(ctx context.Context, r *parityv1.CallRequest) (answer *parityv1.CallResponse, err error) {
	if b.outside != nil {
		if err := b.outside(); err != nil {
			return idempotency.KeptOr[parityv1.CallResponse](ctx, b.store.DB, callRequest{r}, err)
		}
	}
	err = b.store.Tx(ctx, func(ctx context.Context, tx db.Tx[dialect.Driver]) (err error) {
		answer, err = idempotency.Once(ctx, tx, callRequest{r}, func() (*parityv1.CallResponse, error) {
			number, err := b.effect(ctx, tx)
			return &parityv1.CallResponse{Payload: &parityv1.Payload{Text: fmt.Sprint(number), Counts: map[string]int64{"a": 1, "b": 2}}}, err
		})
		return err
	})
	return answer, err
}

func (b *bundle) Look(ctx context.Context, r *parityv1.LookRequest) (answer *parityv1.LookResponse, err error) {
	err = b.store.Tx(ctx, func(ctx context.Context, tx db.Tx[dialect.Driver]) (err error) {
		answer, err = idempotency.Once(ctx, tx, lookRequest{r}, func() (*parityv1.LookResponse, error) {
			if b.early != nil {
				return nil, b.early
			}
			number, err := b.effect(ctx, tx)
			return &parityv1.LookResponse{Text: fmt.Sprint(number)}, err
		})
		return err
	})
	return answer, err
}

// client returns a client that calls as a module.
func (b *bundle) client(module string) parityv1connect.ParityServiceClient {
	return parityv1cleave.NewParityServiceClient(b.Caller(module, parityv1cleave.ParityService))
}

// effects returns how many effects are there.
func (b *bundle) effects(t *testing.T) int64 {
	t.Helper()
	return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM parity.effect")
}

// request returns a request with a body that has many encodings.
func request(id, body string) *parityv1.CallRequest {
	return &parityv1.CallRequest{Case: id, Payload: &parityv1.Payload{Text: body, Counts: map[string]int64{"a": 1, "b": 2, "c": 3, "d": 4}}}
}

func TestRepetitionGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	for _, defers := range []bool{false, true} {
		t.Run(fmt.Sprint("defers ", defers), func(t *testing.T) { t.Parallel(); repetitionGetsTheFirstAnswer(t, defers) })
	}
}

func repetitionGetsTheFirstAnswer(t *testing.T, defers bool) {
	b := setup(t)
	b.defers = defers
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	first, err := client.Call(ctx, request("1", "body"))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := client.Call(ctx, request("1", "body"))
		if err != nil || !proto.Equal(again, first) {
			t.Fatalf("%v, %v, want %v", again, err, first)
		}
	}
	if n := b.effects(t); n != 1 {
		t.Errorf("%d effects, want one", n)
	}
}

func TestAnotherRequestUnderTheSameIDIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	if _, err := client.Call(ctx, request("1", "body")); err != nil {
		t.Fatal(err)
	}
	_, err := client.Call(ctx, request("1", "another body"))
	if connect.CodeOf(err) != connect.CodeAlreadyExists || rpc.Reason(err) != "REQUEST_ID_REUSED" {
		t.Errorf("%v, want already exists with a reason", err)
	}
	if n := b.effects(t); n != 1 {
		t.Errorf("%d effects, want one", n)
	}
}

func TestConcurrentRepetitionsHappenOnce(t *testing.T) {
	t.Parallel()
	for _, defers := range []bool{false, true} {
		t.Run(fmt.Sprint("defers ", defers), func(t *testing.T) { t.Parallel(); concurrentRepetitionsHappenOnce(t, defers) })
	}
}

func concurrentRepetitionsHappenOnce(t *testing.T, defers bool) {
	b := setup(t)
	b.defers = defers
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	var answers sync.Map
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() {
			answer, err := client.Call(ctx, request("1", "body"))
			if err != nil {
				t.Error(err)
				return
			}
			answers.Store(answer.GetPayload().GetText(), true)
		})
	}
	waiting.Wait()
	different := 0
	answers.Range(func(any, any) bool { different++; return true })
	if n := b.effects(t); n != 1 || different != 1 {
		t.Errorf("%d effects of %d runs and %d different answers, want one effect and one answer", n, b.runs.Load(), different)
	}
}

// Those who wait for the first are not told that it failed: one of them does it.
func TestRepetitionThatWaitedTakesOverFromFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	began, fail := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.before = func(context.Context) (err error) {
		once.Do(func() {
			close(began)
			<-fail
			err = errors.New("as the test wants it")
		})
		return err
	}
	failed := make(chan error, 1)
	go func() {
		_, err := client.Call(ctx, request("1", "body"))
		failed <- err
	}()
	<-began
	var answers sync.Map
	var waiting sync.WaitGroup
	for range 5 {
		waiting.Go(func() {
			answer, err := client.Call(ctx, request("1", "body"))
			if err != nil {
				t.Errorf("%v, want the answer of another run", err)
			}
			answers.Store(answer.GetPayload().GetText(), true)
		})
	}
	moduletest.Eventually(t, "the others wait", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 5
	})
	close(fail)
	if err := <-failed; connect.CodeOf(err) != connect.CodeInternal {
		t.Errorf("the first: %v, want its failure", err)
	}
	waiting.Wait()
	different := 0
	answers.Range(func(any, any) bool { different++; return true })
	if n := b.effects(t); n != 1 || different != 1 {
		t.Errorf("%d effects and %d different answers, want one of each", n, different)
	}
}

// Also a method that fails before it has asked the database for anything finds out first whether it was carried out already.
func TestRepetitionThatWouldFailGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx, request := b.client("orders"), moduletest.As(t, "usr_a"), &parityv1.LookRequest{Case: "1"}
	b.early = rpc.Errorf(connect.CodeFailedPrecondition, "NOT_YET", "not yet")
	if _, err := client.Look(ctx, request); rpc.Reason(err) != "NOT_YET" {
		t.Errorf("%v, want the failure itself", err)
	}
	b.early = nil
	first, err := client.Look(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	b.early = rpc.Errorf(connect.CodeFailedPrecondition, "NO_MORE", "no more")
	if again, err := client.Look(ctx, request); err != nil || again.GetText() != first.GetText() {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
}

func TestFailureKeepsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	b.before = func(context.Context) error { return rpc.Errorf(connect.CodeFailedPrecondition, "NOT_YET", "not yet") }
	for range 2 {
		if _, err := client.Call(ctx, request("1", "body")); rpc.Reason(err) != "NOT_YET" {
			t.Errorf("%v, want the failure itself", err)
		}
	}
	if n := b.effects(t); n != 0 {
		t.Errorf("%d effects of failures", n)
	}
	b.before = func(context.Context) error { return nil }
	// As nothing is kept, the id is free for another request too.
	if answer, err := client.Call(ctx, request("1", "another body")); err != nil || answer.GetPayload().GetText() != "3" {
		t.Errorf("%v, %v, want the answer of the third run", answer, err)
	}
}

// A request id is chosen by somebody, for a method: two who choose the same do not meet.
func TestScope(t *testing.T) {
	t.Parallel()
	type call struct{ method, module, principal string }
	for _, c := range []struct {
		name     string
		one, two call
		same     bool
	}{
		{"public: another principal", call{"Call", "edge", "usr_a"}, call{"Call", "edge", "usr_b"}, false},
		{"public: another way in", call{"Call", "edge", "usr_a"}, call{"Call", "orders", "usr_a"}, true},
		{"internal: another module", call{"Look", "orders", "usr_a"}, call{"Look", "payments", "usr_a"}, false},
		{"internal: from a job, which has no principal", call{"Look", "orders", "usr_a"}, call{"Look", "orders", ""}, true},
		{"another method", call{"Call", "orders", "orders"}, call{"Look", "orders", "orders"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, one := range []call{c.one, c.two} {
				var err error
				if ctx, client := moduletest.As(t, one.principal), b.client(one.module); one.method == "Call" {
					_, err = client.Call(ctx, &parityv1.CallRequest{Case: "1"})
				} else {
					_, err = client.Look(ctx, &parityv1.LookRequest{Case: "1"})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if n := b.effects(t); (n == 1) != c.same {
				t.Errorf("%d effects, want one: %v", n, c.same)
			}
		})
	}
}

// A method that calls other modules before its transaction answers a repetition whatever has become of them.
func TestKeptAnswerNeedsNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	b.outside = func() error { return nil }
	first, err := client.Call(ctx, request("1", "body"))
	if err != nil {
		t.Fatal(err)
	}
	b.outside = func() error { return rpc.Errorf(connect.CodeUnavailable, "DOWN", "down") }
	if again, err := client.Call(ctx, request("1", "body")); err != nil || !proto.Equal(again, first) {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
	if _, err := client.Call(ctx, request("1", "another body")); rpc.Reason(err) != "REQUEST_ID_REUSED" {
		t.Errorf("%v, want that the id is taken", err)
	}
	if answer, err := client.Call(ctx, request("2", "body")); rpc.Reason(err) != "DOWN" {
		t.Errorf("another id: %v, %v, want that nothing is kept", answer, err)
	}
	if answer, err := client.Call(moduletest.As(t, "usr_b"), request("1", "body")); rpc.Reason(err) != "DOWN" {
		t.Errorf("another principal: %v, %v, want that nothing is kept", answer, err)
	}
	b.outside = func() error { return nil }
	if answer, err := client.Call(ctx, request("2", "another body")); err != nil || answer.GetPayload().GetText() != "2" {
		t.Errorf("after the failure: %v, %v, want that the id can be used", answer, err)
	}
}

// Who is refused by others while the first is being carried out gets the answer of the first, and is refused only if the first fails.
func TestKeptAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  error
		want string
	}{
		{"the first succeeds", nil, ""},
		{"the first fails", errors.New("as the test wants it"), "PRICE_CHANGED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
			began, goOn := make(chan struct{}), make(chan struct{})
			b.before = func(context.Context) error {
				close(began)
				<-goOn
				return c.end
			}
			type outcome struct {
				answer *parityv1.CallResponse
				err    error
			}
			first, second := make(chan outcome, 1), make(chan outcome, 1)
			call := func(to chan outcome) {
				answer, err := client.Call(ctx, request("1", "body"))
				to <- outcome{answer, err}
			}
			go call(first)
			<-began
			b.outside = func() error { return rpc.Errorf(connect.CodeFailedPrecondition, "PRICE_CHANGED", "dearer now") }
			go call(second)
			moduletest.Eventually(t, "the second waits", func() bool {
				return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
			})
			close(goOn)
			one, two := <-first, <-second
			if (one.err == nil) != (c.end == nil) {
				t.Errorf("the first: %v", one.err)
			}
			if rpc.Reason(two.err) != c.want || !proto.Equal(two.answer, one.answer) {
				t.Errorf("the second: %v, %v, want %q and %v", two.answer, two.err, c.want, one.answer)
			}
		})
	}
}

func TestPurgeForgetsWhatIsOldInSmallSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.client("edge"), moduletest.As(t, "usr_a")
	for i := range 7 {
		if _, err := client.Call(ctx, request(fmt.Sprint(i), "body")); err != nil {
			t.Fatal(err)
		}
	}
	b.Exec(t, "UPDATE parity.cleave_request SET create_time = now() - interval '7 days 1 minute' WHERE request_id < '5'")
	b.Exec(t, "UPDATE parity.cleave_request SET create_time = now() - interval '6 days 23 hours' WHERE request_id = '5'")
	for _, want := range []int64{3, 2, 0} {
		if n, err := idempotency.Purge(ctx, b.store.Pool(), 3); err != nil || n != want {
			t.Fatalf("%d were removed (%v), want %d", n, err, want)
		}
	}
	for i := range 7 {
		if _, err := client.Call(ctx, request(fmt.Sprint(i), "body")); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.effects(t); n != 7+5 {
		t.Errorf("%d effects, want that the five old ones happened again", n)
	}
}
