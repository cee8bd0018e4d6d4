// Command all is the whole of Cleave in one process: every module, called directly, and the edge in front of them.
package main

import (
	"github.com/cleave-go/cleave/cmd/internal/demo"
	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/gen/openapi"
	"github.com/cleave-go/cleave/modules/catalog"
	"github.com/cleave-go/cleave/modules/identity"
	"github.com/cleave-go/cleave/modules/inventory"
	"github.com/cleave-go/cleave/modules/notifications"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/modules/payments"
	"github.com/cleave-go/cleave/platform/app"
	"github.com/cleave-go/cleave/platform/module"
)

func main() {
	app.Main(app.Program{
		Name: "all",
		Modules: []module.Module{
			catalog.Module,
			identity.Module,
			inventory.Module,
			notifications.Module,
			orders.Module,
			payments.Module,
		},
		Edge:            contract.Services(),
		OpenAPI:         openapi.Document,
		Map:             house.Map,
		PrivateDatabase: true,
		Seed:            demo.SeedDirectly,
	})
}
