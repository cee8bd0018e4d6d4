package moduletest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// fake is a service without a database.
type fake struct {
	parityv1connect.UnimplementedParityServiceHandler
}

func (fake) Call(ctx context.Context, r *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	m := rpc.MetadataOf(ctx)
	return &parityv1.CallResponse{Seen: map[string]string{"case": r.GetCase(), "caller": m.Caller, "principal": m.Principal.Subject}}, nil
}

func parity() module.Module {
	return module.Module{Name: "parity", Serves: []*rpc.Service{parityv1cleave.ParityService}, Build: func(host *module.Host) ([]rpc.Handler, error) {
		if host.DB != nil || host.Jobs != nil {
			return nil, errors.New("a module without migrations has a database")
		}
		return []rpc.Handler{parityv1cleave.NewParityServiceHandler(fake{})}, nil
	}}
}

// chore is a job that asks the fake and keeps the answer.
type chore struct{}

func (chore) Kind() string { return "asker.chore" }

func asker(table string) module.Module {
	return module.Module{
		Name: "asker", Calls: []*rpc.Service{parityv1cleave.ParityService},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte("-- +goose Up\nCREATE TABLE " + table + " (text text NOT NULL);\n")}},
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			client := parityv1cleave.NewParityServiceClient(host.Calls)
			job.Handle(host.Jobs, func(ctx context.Context, _ chore) error {
				answer, err := client.Call(ctx, &parityv1.CallRequest{Case: "job"})
				if err != nil {
					return err
				}
				_, err = host.DB.Pool().Exec(ctx, "INSERT INTO "+table+" VALUES ($1)", fmt.Sprint(answer.GetSeen()))
				return err
			})
			return nil, nil
		},
	}
}

func TestClientsCallAsTheyAreTold(t *testing.T) {
	t.Parallel()
	h := moduletest.Start(t, parity())
	client := parityv1cleave.NewParityServiceClient(h.Caller("edge", parityv1cleave.ParityService))
	for _, subject := range []string{"usr_a", ""} {
		answer, err := client.Call(moduletest.As(t, subject), &parityv1.CallRequest{Case: "x"})
		if seen := answer.GetSeen(); err != nil || seen["caller"] != "edge" || seen["principal"] != subject {
			t.Errorf("as %q: %v, %v", subject, seen, err)
		}
	}
}

func TestJobsWorkAndModulesCallEachOther(t *testing.T) {
	t.Parallel()
	h := moduletest.Start(t, asker("answer"), parity())
	host := h.Hosts["asker"]
	tx, err := host.DB.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(host.Jobs.Insert(t.Context(), tx, chore{}, time.Now().Add(time.Hour)), tx.Commit(t.Context())); err != nil {
		t.Fatal(err)
	}
	h.Hurry(t, "asker", "asker.chore")
	moduletest.Eventually(t, "the answer is there", func() bool { return len(moduletest.Query[string](t, h, "SELECT text FROM asker.answer")) == 1 })
	if got := moduletest.Value[string](t, h, "SELECT text FROM asker.answer"); got != "map[caller:asker case:job principal:]" {
		t.Errorf("the answer is %s", got)
	}
}

// Each test has rows of its own, and modules of the same name with other migrations have tables of their own.
func TestHousesDoNotMeet(t *testing.T) {
	t.Parallel()
	one, two, other := moduletest.Start(t, asker("answer"), parity()), moduletest.Start(t, asker("answer"), parity()), moduletest.Start(t, asker("reply"), parity())
	one.Exec(t, "INSERT INTO asker.answer VALUES ('one')")
	if n := moduletest.Value[int64](t, two, "SELECT count(*) FROM asker.answer"); n != 0 {
		t.Errorf("one test sees %d rows of another", n)
	}
	if n := moduletest.Value[int64](t, other, "SELECT count(*) FROM asker.reply"); n != 0 {
		t.Errorf("one test sees %d rows of another", n)
	}
}

func TestInterceptorsAreAroundEveryCall(t *testing.T) {
	t.Parallel()
	refuse := func(method *rpc.Method, _ rpc.Next) rpc.Next {
		return func(context.Context, proto.Message) (proto.Message, error) {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New(method.Name))
		}
	}
	h := moduletest.StartWith(t, []rpc.Interceptor{refuse}, parity())
	client := parityv1cleave.NewParityServiceClient(h.Caller("edge", parityv1cleave.ParityService))
	if _, err := client.Call(moduletest.As(t, ""), &parityv1.CallRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%v, want what the interceptor says", err)
	}
}
