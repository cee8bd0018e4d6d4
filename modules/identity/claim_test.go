package identity

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// guestOrders stands in for orders.
type guestOrders struct {
	claims chan *ordersv1.ClaimGuestOrdersRequest
	away   atomic.Int32 // How many more claims it does not answer.
	more   atomic.Int32 // After how many more there are no others.
}

func (g *guestOrders) module() module.Module {
	return module.Module{
		Name:   "orders",
		Serves: []*rpc.Service{ordersv1cleave.GuestService},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte(
			"-- +goose Up\nCREATE TABLE nothing (id text);\n-- +goose Down\nDROP TABLE nothing;\n")}},
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{ordersv1cleave.NewGuestServiceHandler(g)}, nil
		},
	}
}

func (*guestOrders) BatchGetContacts(context.Context, *ordersv1.BatchGetContactsRequest) (*ordersv1.BatchGetContactsResponse, error) {
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New("nobody asks"))
}

func (g *guestOrders) ClaimGuestOrders(_ context.Context, r *ordersv1.ClaimGuestOrdersRequest) (*ordersv1.ClaimGuestOrdersResponse, error) {
	if g.away.Add(-1) >= 0 {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("orders is away, and cannot claim those of "+r.GetEmail()))
	}
	select {
	case g.claims <- r:
	default: // No test looks at so many.
	}
	return &ordersv1.ClaimGuestOrdersResponse{Orders: 1, More: g.more.Add(-1) >= 0}, nil
}

// claimed returns what is claimed next.
func (g *guestOrders) claimed(t *testing.T) *ordersv1.ClaimGuestOrdersRequest {
	t.Helper()
	select {
	case r := <-g.claims:
		return r
	case <-time.After(moduletest.Patience):
		t.Fatal("nothing is claimed")
		return nil
	}
}

// Who has proven an address gets what was ordered with it: also when orders is away at first, and when there is more than it does at once. The
// job has nothing of the person but the id.
func TestGuestOrdersAreClaimed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.orders.away.Store(1)
	b.orders.more.Store(2)
	b.register(t, b.browser(t), " JANE@example.com")
	moduletest.Eventually(t, "orders was away", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.river_job WHERE kind = 'identity.claim_orders' AND state IN ('retryable', 'available') AND errors IS NOT NULL") == 1
	})
	b.Hurry(t, "identity", claimOrders{}.Kind())
	ids := map[string]bool{}
	for range 3 {
		r := b.orders.claimed(t)
		if r.GetUserId() != b.id(t) || r.GetEmail() != email {
			t.Errorf("it is claimed for %s with %s", r.GetUserId(), r.GetEmail())
		}
		ids[r.GetRequestId()] = true
	}
	if len(ids) != 3 {
		t.Errorf("the calls have %d ids, and orders answers the same with the same", len(ids))
	}
	moduletest.Eventually(t, "the job is done", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.river_job WHERE kind = 'identity.claim_orders' AND state = 'completed'") == 1
	})
	if jobs := strings.Join(moduletest.Query[string](t, b.House, "SELECT j::text FROM identity.river_job AS j"), " "); strings.Contains(strings.ToLower(jobs), "jane") {
		t.Errorf("a job has the address: %s", jobs)
	}
	// Who chooses another password proves it anew.
	b.browser(t).ask(t, resetPath, email)
	b.browser(t).choose(t, b.link(t), password)
	b.orders.claimed(t)
}
