package verify

import (
	"context"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
)

// look reads all facts once and checks them.
func (o Options) look(ctx context.Context) (*book, error) {
	b := newBook(o.Deadline)
	for _, step := range []struct {
		says string
		read func(context.Context, *book) error
	}{
		{"orders", o.House.orders},
		{"reservations", o.House.reservations},
		{"payments", o.House.payments},
		{"charges of the provider", o.House.charges},
		{"stock", o.House.stock},
	} {
		o.progress(step.says)
		if err := step.read(ctx, b); err != nil {
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
	}, func(page *ordersv1.StreamOrderFactsResponse) {
		for _, fact := range page.GetFacts() {
			b.order(fact, page.GetTime().AsTime())
		}
	})
}

func (h House) reservations(ctx context.Context, b *book) error {
	facts := inventoryv1connect.NewFactServiceClient(client, h["inventory"])
	return read(ctx, "inventory", func(ctx context.Context) (*connect.ServerStreamForClient[inventoryv1.StreamReservationFactsResponse], error) {
		return facts.StreamReservationFacts(ctx, &inventoryv1.StreamReservationFactsRequest{})
	}, func(page *inventoryv1.StreamReservationFactsResponse) {
		for _, fact := range page.GetFacts() {
			b.reservation(fact)
		}
	})
}

func (h House) stock(ctx context.Context, b *book) error {
	facts := inventoryv1connect.NewFactServiceClient(client, h["inventory"])
	return read(ctx, "inventory", func(ctx context.Context) (*connect.ServerStreamForClient[inventoryv1.StreamStockFactsResponse], error) {
		return facts.StreamStockFacts(ctx, &inventoryv1.StreamStockFactsRequest{})
	}, func(page *inventoryv1.StreamStockFactsResponse) {
		for _, fact := range page.GetFacts() {
			b.stock(fact)
		}
	})
}

func (h House) payments(ctx context.Context, b *book) error {
	facts := paymentsv1connect.NewFactServiceClient(client, h["payments"])
	return read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamPaymentFactsResponse], error) {
		return facts.StreamPaymentFacts(ctx, &paymentsv1.StreamPaymentFactsRequest{})
	}, func(page *paymentsv1.StreamPaymentFactsResponse) {
		for _, fact := range page.GetFacts() {
			b.payment(fact)
		}
	})
}

func (h House) charges(ctx context.Context, b *book) error {
	facts := paymentsv1connect.NewFactServiceClient(client, h["payments"])
	return read(ctx, "payments", func(ctx context.Context) (*connect.ServerStreamForClient[paymentsv1.StreamChargeFactsResponse], error) {
		return facts.StreamChargeFacts(ctx, &paymentsv1.StreamChargeFactsRequest{})
	}, func(page *paymentsv1.StreamChargeFactsResponse) {
		for _, fact := range page.GetFacts() {
			b.charge(fact)
		}
	})
}
