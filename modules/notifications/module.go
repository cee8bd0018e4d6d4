// Package notifications tells customers what has become of what they did: it listens to what other modules publish, writes a message
// for each event that a customer wants to know of, and sends it.
//
// It does not own what has happened, or who a customer is: it knows a recipient as the id of a user, and asks orders where a guest is
// written to each time that it writes. What is mailed about an account identity writes, when it is sent. Every message goes to the
// development mailbox, which is a table.
package notifications

import (
	"context"
	"embed"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1cleave"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/modules/notifications/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the notifications module. What happened to orders before it was there is no news any more.
var Module = module.Module{
	Name:   "notifications",
	Owner:  "cleave",
	Serves: []*rpc.Service{notificationsv1cleave.NotificationService, notificationsv1cleave.FactService, notificationsv1cleave.MailboxService},
	Calls:  []*rpc.Service{identityv1cleave.MailService, ordersv1cleave.GuestService},
	Listens: []module.Subscription{{
		Publisher: "orders",
		Events: []proto.Message{
			(*ordersv1.OrderConfirmed)(nil), (*ordersv1.OrderRejected)(nil), (*ordersv1.OrderCancelled)(nil), (*ordersv1.OrderExpired)(nil),
			(*ordersv1.OrderPartiallyFulfilled)(nil), (*ordersv1.OrderFulfilled)(nil), (*ordersv1.OrderReturned)(nil), (*ordersv1.OrderRefunded)(nil),
			(*ordersv1.ContactsErased)(nil),
		},
		From: event.Now,
	}, {
		Publisher: "identity",
		Events:    []proto.Message{(*identityv1.MailOwed)(nil), (*identityv1.UserErased)(nil)},
		From:      event.Beginning, // Identity knows which are too old to be sent.
	}},
	Holds:      holdings,
	Migrations: migrations,
	Build: func(host *module.Host) ([]rpc.Handler, error) {
		return build(host, mailbox{host.DB.Pool()})
	},
}

func build(host *module.Host, sender sender) ([]rpc.Handler, error) {
	s := &service{
		store:  db.NewStore(host.DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }),
		log:    host.Log,
		sender: sender,
		guests: ordersv1cleave.NewGuestServiceClient(host.Calls),
		mails:  identityv1cleave.NewMailServiceClient(host.Calls),
	}
	s.nudge = host.Jobs.Every(sendSweep, sweepEvery, s.sweep)
	job.Handle(host.Jobs, func(context.Context, sendMessage) error { return nil })
	host.Jobs.Every("notifications.purge", purgeEvery, s.purge)
	listen(s, host.Events, confirmed)
	listen(s, host.Events, rejected)
	listen(s, host.Events, cancelled)
	listen(s, host.Events, expired)
	listen(s, host.Events, partlyShipped)
	listen(s, host.Events, shipped)
	listen(s, host.Events, returned)
	listen(s, host.Events, refunded)
	listen(s, host.Events, owed)
	event.Handle(host.Events, func(ctx context.Context, tx pgx.Tx, _ event.Event, m *identityv1.UserErased) error {
		return host.People.Erase(ctx, tx, m.GetUserId())
	})
	event.Handle(host.Events, func(ctx context.Context, tx pgx.Tx, _ event.Event, m *ordersv1.ContactsErased) error {
		return host.People.EraseLater(ctx, tx, m.GetUserId(), m.GetOrderIds())
	})
	return []rpc.Handler{
		notificationsv1cleave.NewNotificationServiceHandler(s), notificationsv1cleave.NewFactServiceHandler(facts{s}),
		notificationsv1cleave.NewMailboxServiceHandler(mailbox{host.DB.Pool()}),
	}, nil
}
