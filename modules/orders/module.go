// Package orders owns what customers do with the shop: carts, quotes, orders, and the checkout that sees an order through.
//
// It does not own prices (catalog), stock (inventory) or money (payments): it keeps the ids of what they did for an order.
package orders

import (
	"embed"

	"entgo.io/ent/dialect"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the orders module.
var Module = module.Module{
	Name:  "orders",
	Owner: "cleave",
	Serves: []*rpc.Service{
		ordersv1cleave.CartService, ordersv1cleave.OrderService, ordersv1cleave.FulfillmentService, ordersv1cleave.CouponService,
		ordersv1cleave.QuickOrderService, ordersv1cleave.GuestService, ordersv1cleave.FactService,
	},
	Calls: []*rpc.Service{catalogv1cleave.CatalogService, inventoryv1cleave.InventoryService, paymentsv1cleave.PaymentService},
	Fallbacks: []module.Fallback{{
		Service: catalogv1cleave.CatalogService, Does: "a cart takes any SKU: its quote looks whether it is for sale",
	}},
	Settings: []config.Setting{{
		Name: savedMethod, Default: "pm_card_visa",
		Help: "payment method of POST /orders, until customers can save one of their own; none refuses such orders",
	}, {
		Name: taxPercent, Default: "0", Help: "tax on each line of an order, in a hundred, see docs/guides/charges.md", Check: checked(parseTax),
	}, {
		Name: shippingFees, Help: `what shipping an order costs, in minor units by currency, such as "490 EUR, 550 USD"; nothing without it`, Check: checked(parseFees),
	}},
	Listens: []module.Subscription{{
		Publisher: "identity", Events: []proto.Message{(*identityv1.UserErased)(nil)}, From: event.Beginning,
	}},
	Holds:      holdings,
	Migrations: migrations,
	Build:      build,
}

func build(host *module.Host) ([]rpc.Handler, error) {
	rates, err := flatRates(host.Config)
	if err != nil {
		return nil, err
	}
	s := &service{
		store:     db.NewStore(host.DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }),
		catalog:   catalogv1cleave.NewCatalogServiceClient(host.Calls),
		catalogOr: host.Fallbacks.For(catalogv1cleave.CatalogService),
		changes:   newChanges(),
		events:    host.Events,
		people:    host.People,
		saved:     host.Config.String(savedMethod),

		calculator: rates,
	}
	c := &checkout{
		inventory: inventoryv1cleave.NewInventoryServiceClient(host.Calls),
		payments:  paymentsv1cleave.NewPaymentServiceClient(host.Calls),
		coupons:   coupons{host.DB},
		changes:   s.changes,
		events:    host.Events,
	}
	s.sagas, s.couponSagas = saga.Register(host.Sagas, c.definition()), saga.Register(host.Sagas, c.withCoupon())
	a := &aftermath{inventory: c.inventory, payments: c.payments, events: host.Events}
	s.parcels, s.reversals = saga.Register(host.Sagas, a.fulfillment()), saga.Register(host.Sagas, a.reversal())
	event.Handle(host.Events, s.forget)
	host.Jobs.Every("orders.tidy", tidyEvery, s.tidy)
	return []rpc.Handler{
		ordersv1cleave.NewCartServiceHandler(s), ordersv1cleave.NewOrderServiceHandler(s), ordersv1cleave.NewFulfillmentServiceHandler(s),
		ordersv1cleave.NewCouponServiceHandler(s), ordersv1cleave.NewQuickOrderServiceHandler(s), ordersv1cleave.NewGuestServiceHandler(s),
		ordersv1cleave.NewFactServiceHandler(facts{s}),
	}, nil
}
