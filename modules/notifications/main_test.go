package notifications

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// orders stands in for the module of that name: it publishes what a test wants, and knows where the guests of a test are written to.
func orders(guests *guests) module.Module {
	return module.Module{
		Name: "orders", Serves: []*rpc.Service{ordersv1cleave.GuestService},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte(
			"-- +goose Up\nCREATE TABLE \"order\" (id text);\n-- +goose Down\nDROP TABLE \"order\";\n")}},
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{ordersv1cleave.NewGuestServiceHandler(guests)}, nil
		},
	}
}

// guests are addresses by order. While it is down it does not tell them.
type guests struct {
	ordersv1connect.UnimplementedGuestServiceHandler
	addresses map[string]string
	down      atomic.Bool
	asked     atomic.Int64
}

func (g *guests) BatchGetContacts(_ context.Context, r *ordersv1.BatchGetContactsRequest) (*ordersv1.BatchGetContactsResponse, error) {
	g.asked.Add(1)
	if g.down.Load() {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("orders is down"))
	}
	answer := &ordersv1.BatchGetContactsResponse{}
	for _, orderID := range r.GetOrderIds() {
		if email := g.addresses[orderID]; email != "" {
			answer.Contacts = append(answer.Contacts, &ordersv1.Contact{OrderId: orderID, Email: email})
		}
	}
	return answer, nil
}

// bundle is the module at work, with events to listen to.
type bundle struct {
	*moduletest.House
	client notificationsv1connect.NotificationServiceClient
	facts  notificationsv1connect.FactServiceClient
	guests *guests
}

// setup starts the module, and waits until it listens.
func setup(t *testing.T, m module.Module) *bundle {
	t.Helper()
	g := &guests{addresses: map[string]string{"ord_1": "ada@example.org", "ord_2": "bob@example.org"}}
	h := moduletest.Start(t, m, orders(g))
	caller := h.Caller("edge", m.Serves...)
	moduletest.Eventually(t, "it listens", func() bool {
		return moduletest.Value[int64](t, h, "SELECT count(*) FROM orders.cleave_subscriber WHERE name = 'notifications'") == 1
	})
	return &bundle{House: h, client: notificationsv1cleave.NewNotificationServiceClient(caller), facts: notificationsv1cleave.NewFactServiceClient(caller), guests: g}
}

// publish publishes events of an order.
func (b *bundle) publish(t *testing.T, events ...proto.Message) {
	t.Helper()
	b.publishOf(t, "ord_1", events...)
}

func (b *bundle) publishOf(t *testing.T, orderID string, events ...proto.Message) {
	t.Helper()
	host := b.Hosts["orders"]
	must(t, host.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		for i, e := range events {
			if err := host.Events.Publish(ctx, tx, orderID, int64(i+1), e); err != nil {
				return err
			}
		}
		return nil
	}))
}

// replay delivers every event again, and returns how many were delivered.
func (b *bundle) replay(t *testing.T, force bool) (delivered int64) {
	t.Helper()
	operator := eventv1cleave.NewEventServiceClient(b.Caller("operator", eventv1cleave.EventService.Of("orders")).At("orders"))
	stream, err := operator.Replay(moduletest.As(t, ""), &eventv1.ReplayRequest{Subscriber: "notifications", Force: force})
	must(t, err)
	defer stream.Close()
	for stream.Receive() {
		delivered = stream.Msg().GetDelivered()
	}
	must(t, stream.Err())
	return delivered
}

// list returns the messages of a user.
func (b *bundle) list(t *testing.T, user string) []*notificationsv1.Message {
	t.Helper()
	answer, err := b.client.ListMessages(moduletest.As(t, user), &notificationsv1.ListMessagesRequest{})
	must(t, err)
	return answer.GetMessages()
}

// settled waits until a user has so many messages and all of them are in a state, and returns them.
func (b *bundle) settled(t *testing.T, user string, count int, want notificationsv1.MessageState) (messages []*notificationsv1.Message) {
	t.Helper()
	moduletest.Eventually(t, "the messages are "+want.String(), func() bool {
		messages = b.list(t, user)
		for _, m := range messages {
			if m.GetState() != want {
				return false
			}
		}
		return len(messages) == count
	})
	return messages
}

// hurried makes the one message of usr_1 due again and again until it is in a state, and returns it.
func (b *bundle) hurried(t *testing.T, want notificationsv1.MessageState) (m *notificationsv1.Message) {
	t.Helper()
	moduletest.Eventually(t, "the message is "+want.String(), func() bool {
		b.Exec(t, "UPDATE notifications.message SET next_time = now() WHERE state = 'sending'")
		if messages := b.list(t, "usr_1"); len(messages) == 1 {
			m = messages[0]
		}
		return m.GetState() == want
	})
	return m
}

// mails returns the ids of the messages in the mailbox, in the order in which they came.
func (b *bundle) mails(t *testing.T) []string {
	t.Helper()
	return moduletest.Query[string](t, b.House, "SELECT message_id FROM notifications.mail ORDER BY id")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// moody is a channel that answers with its errors, one after the other, and then takes every mail.
type moody struct {
	mu     sync.Mutex
	errors []error
	seen   []string // the ids of the messages
	calls  int
}

func (c *moody) send(_ context.Context, mails []mail) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	answers := make([]error, len(mails))
	for i, m := range mails {
		c.seen = append(c.seen, m.messageID)
		if len(c.errors) > 0 {
			answers[i], c.errors = c.errors[0], c.errors[1:]
		}
	}
	return answers
}

// attempts returns the ids of the messages that it was given, also those that it did not take, and in how many calls.
func (c *moody) attempts() (ids []string, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.seen...), c.calls
}

// through is the module with another channel.
func through(channel sender) module.Module {
	m := Module
	m.Build = func(host *module.Host) ([]rpc.Handler, error) { return build(host, channel) }
	return m
}
