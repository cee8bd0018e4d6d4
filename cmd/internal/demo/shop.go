package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/internal/customer"
	"github.com/cleave-go/cleave/platform/id"
)

// Shopper is a customer who shops through the public port of a shop that has the demo catalogue.
type Shopper struct {
	*customer.Customer
	// Out gets the timeline.
	Out io.Writer
}

// NewShopper returns a customer at the door with the given URL.
func NewShopper(client *http.Client, url string, out io.Writer, options ...connect.ClientOption) *Shopper {
	return &Shopper{Customer: customer.New(client, url, options...), Out: out}
}

// Shop plays every scene. It fails if one does not end as it should.
func (s *Shopper) Shop(ctx context.Context) error {
	skus, err := s.browse(ctx)
	if err != nil {
		return fmt.Errorf("browse: %w", err)
	}
	for _, scene := range []struct {
		title, method, sku, reason string
		cancel                     bool
		end                        ordersv1.OrderState
	}{
		{title: "An order that goes well", method: "pm_card_visa", sku: skus[0], end: ordersv1.OrderState_ORDER_STATE_CONFIRMED},
		{title: "A card that is declined", method: "pm_card_declined", sku: skus[1], end: ordersv1.OrderState_ORDER_STATE_REJECTED, reason: "CARD_DECLINED"},
		{title: "Something that is out of stock", method: "pm_card_visa", sku: SoldOut, end: ordersv1.OrderState_ORDER_STATE_REJECTED, reason: "OUT_OF_STOCK"},
		{title: "A change of mind: cancel and refund", method: "pm_card_visa", sku: skus[2], cancel: true, end: ordersv1.OrderState_ORDER_STATE_CANCELLED, reason: "CANCELLED_BY_CUSTOMER"},
	} {
		s.say("\n%s\n", scene.title)
		before, err := s.Available(ctx, scene.sku)
		if err != nil {
			return err
		}
		order, err := s.Buy(ctx, scene.method, map[string]int64{scene.sku: 2})
		if err == nil && scene.cancel {
			order, err = s.Cancel(ctx, order.GetId())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
		if order.GetState() != scene.end || order.GetReason() != scene.reason {
			return fmt.Errorf("%s: order %s ended %s %s, not %s %s", scene.title, order.GetId(), order.GetState(), order.GetReason(), scene.end, scene.reason)
		}
		after, err := s.Available(ctx, scene.sku)
		if err != nil {
			return err
		}
		s.say("  stock of %s: %d before, %d after\n", scene.sku, before, after)
	}
	return nil
}

// browse pages through the catalogue and returns three SKUs that can be had.
func (s *Shopper) browse(ctx context.Context) ([]string, error) {
	var skus []string
	products, variants, token := 0, 0, ""
	for {
		page, err := s.Catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 100, PageToken: token})
		if err != nil {
			return nil, err
		}
		for _, p := range page.GetProducts() {
			products++
			variants += len(p.GetVariants())
			if len(skus) < 3 {
				skus = append(skus, p.GetVariants()[0].GetSku())
			}
			if products <= 3 {
				s.say("  %s  %s, from %s\n", p.GetId(), p.GetTitle(), Amount(p.GetVariants()[0].GetPrice()))
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(skus) < 3 {
		return nil, fmt.Errorf("there are only %d products: this shop does not have the demo catalogue", products)
	}
	s.say("  … %d products, %d variants\n", products, variants)
	return skus, nil
}

// Buy fills a cart, asks for a quote, places the order and watches it until it settles.
func (s *Shopper) Buy(ctx context.Context, paymentMethod string, items map[string]int64) (*ordersv1.Order, error) {
	var wanted []customer.Item
	for sku, pieces := range items {
		wanted = append(wanted, customer.Item{SKU: sku, Pieces: pieces})
	}
	cartID, err := s.Fill(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	quote, err := s.Quote(ctx, cartID)
	if err != nil {
		return nil, err
	}
	for _, l := range quote.GetLines() {
		s.say("  %d × %s (%s) at %s\n", l.GetQuantity(), l.GetTitle(), l.GetSku(), Amount(l.GetUnitPrice()))
	}
	s.say("  total %s, paid with %s\n", Amount(quote.GetTotal()), paymentMethod)
	order, err := s.Place(ctx, quote.GetId(), paymentMethod)
	if err != nil {
		return nil, err
	}
	s.say("  order %s\n", order.GetId())
	return s.Watch(ctx, order.GetId(), 0)
}

// Cancel cancels an order and watches it until it settles.
func (s *Shopper) Cancel(ctx context.Context, orderID string) (*ordersv1.Order, error) {
	before, err := s.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: orderID})
	if err != nil {
		return nil, err
	}
	if _, err := s.Orders.CancelOrder(ctx, &ordersv1.CancelOrderRequest{RequestId: id.New("rq"), Id: orderID}); err != nil {
		return nil, fmt.Errorf("cancel order: %w", err)
	}
	return s.Watch(ctx, orderID, before.GetOrder().GetSequence())
}

// Watch prints what happens to an order until it settles, and returns the order.
func (s *Shopper) Watch(ctx context.Context, orderID string, after int64) (*ordersv1.Order, error) {
	var began time.Time
	if _, err := s.Customer.Watch(ctx, orderID, after, func(t *ordersv1.OrderTransition) {
		if began.IsZero() {
			began = t.GetTime().AsTime()
		}
		s.say("  %+6d ms  %-16s %s\n", t.GetTime().AsTime().Sub(began).Milliseconds(), StateName(t.GetState()), t.GetNote())
	}); err != nil {
		return nil, err
	}
	answer, err := s.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: orderID})
	if err != nil {
		return nil, err
	}
	if reason := answer.GetOrder().GetReason(); reason != "" {
		s.say("             %s\n", reason)
	}
	return answer.GetOrder(), nil
}

func (s *Shopper) say(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

// StateName returns the name of a state without its prefix, in small letters.
func StateName(state ordersv1.OrderState) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "ORDER_STATE_"))
}

// Amount returns an amount as one reads it, for currencies with two digits.
func Amount(m *typev1.Money) string {
	return fmt.Sprintf("%d.%02d %s", m.GetAmount()/100, m.GetAmount()%100, m.GetCurrency())
}
