package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/internal/customer"
	"github.com/cleave-go/cleave/platform/id"
)

// flash is the sale of one SKU that everybody wants.
type flash struct {
	sku    string
	pieces int64

	mu   sync.Mutex
	sale Sale
	open []string // Orders of which nobody knows yet what became.
}

// Sale is what became of the SKU that everybody wanted. Each order was for one piece.
type Sale struct {
	SKU string `json:"sku"`
	// Pieces is how many there were, and Left how many there are still; -1 if the shop does not say.
	Pieces int64 `json:"pieces"`
	Left   int64 `json:"left"`
	// Asked is how many orders were to be placed. Confirmed, Refused and Open are what became of them; Unanswered are those of which
	// nobody knows whether they were placed.
	Asked      int64 `json:"asked"`
	Confirmed  int64 `json:"confirmed"`
	Refused    int64 `json:"refused"`
	Open       int64 `json:"open"`
	Unanswered int64 `json:"unanswered"`
}

// Problem says why the sale is not right, or proves nothing; "" if exactly as many pieces were sold as there were.
func (s *Sale) Problem() string {
	switch {
	case s.Confirmed > s.Pieces:
		return fmt.Sprintf("%d pieces were sold of %d", s.Confirmed, s.Pieces)
	case s.Confirmed+s.Left > s.Pieces:
		return fmt.Sprintf("%d pieces were sold and %d are left, of %d", s.Confirmed, s.Left, s.Pieces)
	case s.Open > 0 || s.Unanswered > 0:
		return fmt.Sprintf("of %d orders nobody knows what became, so nothing is proven: %d pieces were sold of %d", s.Open+s.Unanswered, s.Confirmed, s.Pieces)
	case s.Left < 0:
		return "the shop does not say how many pieces are left, so nothing is proven"
	case s.Asked < s.Pieces:
		return fmt.Sprintf("only %d customers came for %d pieces, so nothing is proven: raise --rate or --for, or lower --stock", s.Asked, s.Pieces)
	case s.Confirmed < s.Pieces:
		return fmt.Sprintf("%d pieces were sold of %d and %d are left, although %d customers wanted one", s.Confirmed, s.Pieces, s.Left, s.Asked)
	}
	return ""
}

// offer puts a product on sale of which there are so many pieces.
func (c *crowd) offer(ctx context.Context, pieces int64) (*flash, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	f := &flash{sku: id.New("flash"), pieces: pieces}
	if _, err := c.Catalog.BatchUpsertProducts(ctx, &catalogv1.BatchUpsertProductsRequest{
		RequestId: id.New("rq"), Products: []*catalogv1.UpsertProduct{{
			Title: "What everybody wants", Category: "load", State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
			Variants: []*catalogv1.UpsertVariant{{Sku: f.sku, Price: &typev1.Money{Amount: 4900, Currency: "EUR"}}},
		}},
	}); err != nil {
		return nil, fmt.Errorf("offer a product, for which one has to be staff with the scopes catalog:write and inventory:write: %w", err)
	}
	if _, err := c.Inventory.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{
		RequestId: id.New("rq"), Adjustments: []*inventoryv1.StockAdjustment{{Sku: f.sku, Delta: pieces, Reason: "load"}},
	}); err != nil {
		return nil, fmt.Errorf("fill the shelf, for which one has to be staff with the scope inventory:write: %w", err)
	}
	return f, nil
}

// rush buys a piece.
func (f *flash) rush(ctx context.Context, c *crowd, d *due) error {
	p, err := c.checkout(ctx, d, customer.Item{SKU: f.sku, Pieces: 1})
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.asked {
		f.sale.Asked++
	}
	switch {
	case !p.asked:
	case p.orderID == "":
		f.sale.Unanswered++
	case p.settled == nil || !f.sale.count(p.settled.GetState()):
		f.open = append(f.open, p.orderID)
	}
	return err
}

// count counts an order, and reports whether it has ended.
func (s *Sale) count(state ordersv1.OrderState) bool {
	switch state {
	case ordersv1.OrderState_ORDER_STATE_CONFIRMED:
		s.Confirmed++
	case ordersv1.OrderState_ORDER_STATE_REJECTED, ordersv1.OrderState_ORDER_STATE_EXPIRED, ordersv1.OrderState_ORDER_STATE_CANCELLED:
		s.Refused++
	default:
		return false
	}
	return true
}

// lookAgain is the pause between two looks at orders that are open.
const lookAgain = 250 * time.Millisecond

// end waits for a while until all orders have ended, and says what became of the sale.
func (f *flash) end(ctx context.Context, c *crowd) *Sale {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		f.open = slices.DeleteFunc(f.open, func(orderID string) bool {
			answer, err := c.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: orderID})
			return err == nil && f.sale.count(answer.GetOrder().GetState())
		})
		if len(f.open) == 0 {
			break
		}
		select {
		case <-time.After(lookAgain):
			continue
		case <-ctx.Done():
		}
		break
	}
	f.sale.SKU, f.sale.Pieces, f.sale.Open = f.sku, f.pieces, int64(len(f.open))
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	left, err := c.Available(looking, f.sku)
	if err != nil {
		left = -1
	}
	f.sale.Left = left
	return &f.sale
}
