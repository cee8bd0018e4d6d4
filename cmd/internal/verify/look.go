package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
)

// look reads all facts once and checks them.
func (o Options) look(ctx context.Context) (*book, error) {
	b := newBook(o.Deadline)
	for _, step := range []struct {
		says  string
		enter func(context.Context, *book) error
	}{
		{"orders", o.House.orders},
		{"coupons", o.House.coupons},
		{"reservations", o.House.reservations},
		{"payments", o.House.payments},
		{"charges of the provider", o.House.charges},
		{"ledger", o.House.ledger},
		{"stock", o.House.stock},
		{"sagas", o.House.sagas},
		{"messages", o.House.messages},
		{"events", o.events},
		{"jobs", o.House.jobs},
	} {
		o.progress(step.says)
		if err := step.enter(ctx, b); err != nil {
			return nil, err
		}
	}
	b.close()
	b.acknowledged(o.Acknowledged)
	return b, nil
}

func (h House) orders(ctx context.Context, b *book) error {
	facts := ordersv1connect.NewFactServiceClient(client, h["orders"])
	return read(ctx, "orders", func(ctx context.Context) (*connect.ServerStreamForClient[ordersv1.StreamOrderFactsResponse], error) {
		return facts.StreamOrderFacts(ctx, &ordersv1.StreamOrderFactsRequest{})
	}, func(page *ordersv1.StreamOrderFactsResponse) bool {
		for _, fact := range page.GetFacts() {
			b.order(fact, page.GetTime().AsTime())
		}
		return true
	})
}

func (h House) coupons(ctx context.Context, b *book) error {
	facts := ordersv1connect.NewFactServiceClient(client, h["orders"])
	return read(ctx, "orders", func(ctx context.Context) (*connect.ServerStreamForClient[ordersv1.StreamCouponFactsResponse], error) {
		return facts.StreamCouponFacts(ctx, &ordersv1.StreamCouponFactsRequest{})
	}, all((*ordersv1.StreamCouponFactsResponse).GetFacts, b.coupon))
}

func (h House) reservations(ctx context.Context, b *book) error {
	facts := inventoryv1connect.NewFactServiceClient(client, h["inventory"])
	return read(ctx, "inventory", func(ctx context.Context) (*connect.ServerStreamForClient[inventoryv1.StreamReservationFactsResponse], error) {
		return facts.StreamReservationFacts(ctx, &inventoryv1.StreamReservationFactsRequest{})
	}, all((*inventoryv1.StreamReservationFactsResponse).GetFacts, b.reservation))
}

func (h House) stock(ctx context.Context, b *book) error {
	facts := inventoryv1connect.NewFactServiceClient(client, h["inventory"])
	return read(ctx, "inventory", func(ctx context.Context) (*connect.ServerStreamForClient[inventoryv1.StreamStockFactsResponse], error) {
		return facts.StreamStockFacts(ctx, &inventoryv1.StreamStockFactsRequest{})
	}, all((*inventoryv1.StreamStockFactsResponse).GetFacts, b.stock))
}

func (h House) payments(ctx context.Context, b *book) error {
	facts := paymentsv1connect.NewFactServiceClient(client, h["payments"])
	return read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamPaymentFactsResponse], error) {
		return facts.StreamPaymentFacts(ctx, &paymentsv1.StreamPaymentFactsRequest{})
	}, all((*paymentsv1.StreamPaymentFactsResponse).GetFacts, b.payment))
}

func (h House) charges(ctx context.Context, b *book) error {
	facts := paymentsv1connect.NewFactServiceClient(client, h["payments"])
	return read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamChargeFactsResponse], error) {
		return facts.StreamChargeFacts(ctx, &paymentsv1.StreamChargeFactsRequest{})
	}, all((*paymentsv1.StreamChargeFactsResponse).GetFacts, b.charge))
}

func (h House) ledger(ctx context.Context, b *book) error {
	facts := paymentsv1connect.NewFactServiceClient(client, h["payments"])
	if err := read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamLedgerFactsResponse], error) {
		return facts.StreamLedgerFacts(ctx, &paymentsv1.StreamLedgerFactsRequest{})
	}, all((*paymentsv1.StreamLedgerFactsResponse).GetFacts, b.ledger)); err != nil {
		return err
	}
	return read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamAccountFactsResponse], error) {
		return facts.StreamAccountFacts(ctx, &paymentsv1.StreamAccountFactsRequest{})
	}, all((*paymentsv1.StreamAccountFactsResponse).GetFacts, b.account))
}

// messages are looked at if the house has the module.
func (h House) messages(ctx context.Context, b *book) error {
	if h[notifications] == "" {
		return nil
	}
	facts := notificationsv1connect.NewFactServiceClient(client, h[notifications])
	return read(ctx, notifications, func(ctx context.Context) (*connect.ServerStreamForClient[notificationsv1.StreamMessageFactsResponse], error) {
		return facts.StreamMessageFacts(ctx, &notificationsv1.StreamMessageFactsRequest{})
	}, all((*notificationsv1.StreamMessageFactsResponse).GetFacts, b.message))
}

// platform returns where the services of the platform are that every module has.
func (h House) platform(module string) string { return h[module] + "/modules/" + module }

// events looks at each publisher and those who listen to it. Without one of them it could not tell what that has applied.
func (o Options) events(ctx context.Context, b *book) error {
	h := o.House
	for _, publisher := range slices.Sorted(maps.Keys(h)) {
		log := eventv1connect.NewEventServiceClient(client, h.platform(publisher))
		list, err := ask(ctx, publisher, func(ctx context.Context) (*eventv1.ListSubscribersResponse, error) {
			return log.ListSubscribers(ctx, &eventv1.ListSubscribersRequest{})
		})
		if err != nil {
			return err
		}
		for _, m := range o.Map.Modules {
			for _, s := range m.Listens {
				if s.Publisher == publisher && h[m.Name] != "" {
					b.subscribed(publisher, m.Name, s.Events, list.GetSubscribers())
				}
			}
		}
		for _, s := range list.GetSubscribers() {
			if h[s.GetName()] == "" {
				return fmt.Errorf("%s listens to %s, and no process that was named holds it: name that with --admin or CLEAVE_ADMIN_URLS, or, if it is gone for good, run cleave events remove %s %s",
					s.GetName(), publisher, publisher, s.GetName())
			}
			b.subscriber(publisher, s)
			if err := h.deliveries(ctx, b, publisher, s.GetName()); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliveries reads a publisher's log and a subscriber's inbox side by side: the log first, so that what counts as delivered is there.
func (h House) deliveries(ctx context.Context, b *book, publisher, subscriber string) error {
	log := eventv1connect.NewEventServiceClient(client, h.platform(publisher))
	inbox := eventv1connect.NewEventServiceClient(client, h.platform(subscriber))
	published, endPublished := pull(ctx, publisher, func(ctx context.Context) (*connect.ServerStreamForClient[eventv1.StreamDeliveryFactsResponse], error) {
		return log.StreamDeliveryFacts(ctx, &eventv1.StreamDeliveryFactsRequest{Subscriber: subscriber})
	}, (*eventv1.StreamDeliveryFactsResponse).GetFacts)
	applied, endApplied := pull(ctx, subscriber, func(ctx context.Context) (*connect.ServerStreamForClient[eventv1.StreamAppliedFactsResponse], error) {
		return inbox.StreamAppliedFacts(ctx, &eventv1.StreamAppliedFactsRequest{Publisher: publisher})
	}, (*eventv1.StreamAppliedFactsResponse).GetEventIds)
	b.merge(publisher, subscriber, published, applied)
	err := endPublished()
	if other := endApplied(); err == nil {
		err = other
	}
	return err
}

// maxPages bounds how many pages of open sagas are asked for.
const maxPages = 10_000

// sagas looks at those of each module that are open.
func (h House) sagas(ctx context.Context, b *book) error {
	for _, module := range slices.Sorted(maps.Keys(h)) {
		sagas := sagav1connect.NewSagaServiceClient(client, h.platform(module))
		request := &sagav1.ListSagasRequest{PageSize: 200}
		for range maxPages {
			page, err := ask(ctx, module, func(ctx context.Context) (*sagav1.ListSagasResponse, error) { return sagas.ListSagas(ctx, request) })
			if err != nil {
				return err
			}
			for _, s := range page.GetSagas() {
				b.saga(module, s)
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				break
			}
		}
	}
	return nil
}

// maxJobs bounds the page of the jobs of a process, in bytes.
const maxJobs = 8 << 20

// jobs looks at what the modules owe themselves. A process answers for all modules in it.
func (h House) jobs(ctx context.Context, b *book) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	pages := map[string][]overview{}
	for _, module := range slices.Sorted(maps.Keys(h)) {
		page, known := pages[h[module]]
		if !known {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, h[module]+"/jobs.json", nil)
			if err != nil {
				return unable(ctx, module, err)
			}
			response, err := client.Do(request)
			if err != nil {
				return unable(ctx, module, err)
			}
			err = json.NewDecoder(io.LimitReader(response.Body, maxJobs)).Decode(&page)
			response.Body.Close()
			if err != nil {
				return unable(ctx, module, fmt.Errorf("read %s/jobs.json: %s, %w", h[module], response.Status, err))
			}
			pages[h[module]] = page
		}
		i := slices.IndexFunc(page, func(o overview) bool { return o.Module == module })
		switch {
		case i < 0:
			return unable(ctx, module, fmt.Errorf("%s/jobs.json does not tell of it", h[module]))
		case page[i].Problem != "":
			return unable(ctx, module, fmt.Errorf("%s/jobs.json: %s", h[module], page[i].Problem))
		}
		b.jobs(&page[i])
	}
	return nil
}
