// Package catalog owns what can be bought and for how much: products, their variants and prices.
//
// It does not own how many pieces there are (inventory) or what somebody has put into a cart (orders).
package catalog

import (
	"embed"

	"entgo.io/ent/dialect"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the catalog module.
var Module = module.Module{
	Name:       "catalog",
	Owner:      "cleave",
	Serves:     []*rpc.Service{catalogv1cleave.CatalogService, catalogv1cleave.ImportService},
	Migrations: migrations,
	Build:      build,
}

func build(host *module.Host) ([]rpc.Handler, error) {
	s := &service{
		store:  db.NewStore(host.DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }),
		events: host.Events,
		log:    host.Log,
	}
	s.nudgeImports = host.Jobs.Every("catalog.import", importEvery, s.workImports)
	host.Jobs.Every("catalog.forget_imports", forgetEvery, s.forgetImports)
	return []rpc.Handler{catalogv1cleave.NewCatalogServiceHandler(s), catalogv1cleave.NewImportServiceHandler(s)}, nil
}
