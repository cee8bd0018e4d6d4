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
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the payments module.
var Module = module.Module{
	Name:   "payments",
	Owner:  "cleave",
	Serves: []*rpc.Service{paymentsv1cleave.PaymentService, paymentsv1cleave.FactService},
	Settings: []config.Setting{{
		Name: sandboxURL, Help: "the sandbox provider as a process of its own, see docs/guides/sandbox.md; without it, it runs in this one",
		Check: config.IsURL("http", "https"),
	}},
	Migrations: migrations,
	Build:      build,
}

func build(host *module.Host) ([]rpc.Handler, error) {
	_, handlers := buildWith(host, newSandbox(host.Config.String(sandboxURL), host.DB.Pool()))
	return handlers, nil
}

func buildWith(host *module.Host, p provider) (*service, []rpc.Handler) {
	s := &service{store: db.NewStore(host.DB, newEnt), provider: p, log: host.Log, repeating: make(chan struct{}, maxRepeated)}
	host.Jobs.Every("payments.ask_again", sweepEvery, s.sweep)
	return s, []rpc.Handler{paymentsv1cleave.NewPaymentServiceHandler(s), paymentsv1cleave.NewFactServiceHandler(facts{s})}
}

func newEnt(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }
