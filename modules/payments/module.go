// Package payments owns money that comes in and goes back: what was authorized, taken, given free and returned, and what a payment
// provider was asked to do for it.
//
// It does not own what is paid for (orders): it knows that only as the reference that a payment carries. Nor does it know a card: a
// payment method is the provider's token.
package payments

import (
	"embed"

	"entgo.io/ent/dialect"

	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the payments module.
var Module = module.Module{
	Name:       "payments",
	Serves:     []*rpc.Service{paymentsv1cleave.PaymentService},
	Migrations: migrations,
	Build:      build,
}

func build(host *module.Host) ([]rpc.Handler, error) {
	return buildWith(host, newSandbox(host.DB))
}

func buildWith(host *module.Host, p provider) ([]rpc.Handler, error) {
	s := &service{store: db.NewStore(host.DB, newEnt), jobs: host.Jobs, provider: p, log: host.Log}
	job.Handle(host.Jobs, s.resolve)
	return []rpc.Handler{paymentsv1cleave.NewPaymentServiceHandler(s)}, nil
}

func newEnt(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }
