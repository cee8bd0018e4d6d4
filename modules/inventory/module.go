// Package inventory owns stock: how many pieces of a SKU there are, how they came and went, and who has a claim on them.
//
// It does not own what a SKU is (catalog) or what becomes of an order (orders): it knows orders only as a reference that a
// reservation carries.
package inventory

import (
	"embed"

	"entgo.io/ent/dialect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the inventory module.
var Module = module.Module{
	Name:       "inventory",
	Owner:      "cleave",
	Serves:     []*rpc.Service{inventoryv1cleave.InventoryService, inventoryv1cleave.StockService, inventoryv1cleave.FactService},
	Migrations: migrations,
	Build:      build,
}

func build(host *module.Host) ([]rpc.Handler, error) {
	s := newService(host)
	host.Metrics.MustRegister(s.drifts, s.audited)
	host.Jobs.Every("inventory.expire_holds", sweepInterval, s.expireHolds)
	host.Jobs.Every("inventory.tell_low", tellInterval, s.tellLow)
	host.Jobs.Every("inventory.audit", auditInterval, s.audit)
	return s.handlers(), nil
}

func newService(host *module.Host) *service {
	return &service{
		store:  db.NewStore(host.DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }),
		events: host.Events,
		log:    host.Log,
		drifts: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cleave_stock_drifts", Help: "SKUs whose figures contradict their movements or reservations, as the last audit found them; at most 10,000.",
		}),
		audited: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cleave_stock_audit_timestamp_seconds", Help: "When the last pass of the audit of the stock began.",
		}),
	}
}

func (s *service) handlers() []rpc.Handler {
	return []rpc.Handler{
		inventoryv1cleave.NewInventoryServiceHandler(s), inventoryv1cleave.NewStockServiceHandler(s), inventoryv1cleave.NewFactServiceHandler(facts{s}),
	}
}
