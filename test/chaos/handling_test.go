package chaos

import (
	"context"
	"fmt"
	"slices"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/id"
)

// handle does with an order what is wished when it is paid: the shop ships it and takes it back, its customer cancels the rest. Who waits for
// that too long leaves it alone.
func (c *crowd) handle(ctx, shop context.Context, orderID string, w wish) error {
	waiting, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	if _, err := c.Await(waiting, orderID, ordersv1.OrderState_ORDER_STATE_CONFIRMED); err != nil {
		return nil
	}
	var all []*ordersv1.LineQuantity
	total := int64(0)
	for sku, quantity := range w.lines {
		all = append(all, &ordersv1.LineQuantity{Sku: sku, Quantity: quantity})
		total += quantity
	}
	slices.SortFunc(all, func(a, b *ordersv1.LineQuantity) int { return int(a.GetQuantity() - b.GetQuantity()) })
	one := []*ordersv1.LineQuantity{{Sku: all[0].GetSku(), Quantity: 1}}

	first := all
	switch w.handling {
	case sentInParts, begun, endedEarly:
		first = one
	}
	if err := c.ship(shop, orderID, first); err != nil {
		return err
	}
	switch {
	case w.handling == sentInParts && total > 1:
		return c.ship(shop, orderID, nil)
	case w.handling == endedEarly && total > 1:
		return c.drop(ctx, orderID)
	case w.handling == partlyBack:
		return c.bringBack(shop, orderID, one)
	case w.handling == allBack:
		return c.bringBack(shop, orderID, all)
	}
	return nil
}

// ship sends pieces of an order, or all that are left.
func (c *crowd) ship(ctx context.Context, orderID string, lines []*ordersv1.LineQuantity) error {
	answer, err := insist(ctx, c, c.Staff.Parcels.CreateFulfillment, &ordersv1.CreateFulfillmentRequest{RequestId: id.New("rq"), OrderId: orderID, Lines: lines})
	if err != nil {
		return fmt.Errorf("ship order %s: %w", orderID, err)
	}
	c.change(orderID, func(p *purchase) { add(p.shipped, answer.GetFulfillment().GetLines()) })
	return nil
}

// bringBack has pieces of an order come back.
func (c *crowd) bringBack(ctx context.Context, orderID string, lines []*ordersv1.LineQuantity) error {
	answer, err := insist(ctx, c, c.Staff.Parcels.ReturnLines, &ordersv1.ReturnLinesRequest{RequestId: id.New("rq"), OrderId: orderID, Lines: lines})
	if err != nil {
		return fmt.Errorf("return pieces of order %s: %w", orderID, err)
	}
	c.change(orderID, func(p *purchase) { add(p.back, answer.GetReversal().GetLines()) })
	return nil
}

// drop cancels what was not sent.
func (c *crowd) drop(ctx context.Context, orderID string) error {
	answer, err := insist(ctx, c, c.Staff.Parcels.CancelRest, &ordersv1.CancelRestRequest{RequestId: id.New("rq"), OrderId: orderID})
	if err != nil {
		return fmt.Errorf("cancel the rest of order %s: %w", orderID, err)
	}
	c.change(orderID, func(p *purchase) { add(p.dropped, answer.GetReversal().GetLines()) })
	return nil
}

func add(sums map[string]int64, lines []*ordersv1.LineQuantity) {
	for _, l := range lines {
		sums[l.GetSku()] += l.GetQuantity()
	}
}
