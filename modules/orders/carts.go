package orders

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// quoteTTL is how long a quote can be ordered.
const quoteTTL = 15 * time.Minute

func (s *service) CreateCart(ctx context.Context, r *ordersv1.CreateCartRequest) (*ordersv1.CreateCartResponse, error) {
	userID, _ := rpc.Owner(ctx)
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CreateCartResponse, error) {
		row := &ent.Cart{ID: id.New("crt"), UserID: userID, State: string(active)}
		if err := insertCart(ctx, tx, row); err != nil {
			return nil, err
		}
		return &ordersv1.CreateCartResponse{Cart: cartMessage(row)}, nil
	})
}

func (s *service) GetCart(ctx context.Context, r *ordersv1.GetCartRequest) (*ordersv1.GetCartResponse, error) {
	userID, _ := rpc.Owner(ctx)
	row, _, err := s.loadCart(ctx, r.GetId(), userID)
	if err != nil {
		return nil, err
	}
	return &ordersv1.GetCartResponse{Cart: cartMessage(row)}, nil
}

func (s *service) SetCartItem(ctx context.Context, r *ordersv1.SetCartItemRequest) (*ordersv1.SetCartItemResponse, error) {
	userID, _ := rpc.Owner(ctx)
	if r.GetQuantity() > 0 {
		// A customer can fill the cart while nobody knows: what a quote would not find is told then.
		_, err := s.catalogOr.Ask(ctx, func(ctx context.Context) error { return s.checkForSale(ctx, r.GetSku()) })
		if err != nil {
			return idempotency.KeptOr[ordersv1.SetCartItemResponse](ctx, s.store.DB, r, err)
		}
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.SetCartItemResponse, error) {
		row, err := setItem(ctx, tx, r, userID)
		if err != nil {
			return nil, err
		}
		if len(row.Edges.Items) > maxItems {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "CART_FULL", "a cart holds %d different SKUs at the most", maxItems)
		}
		return &ordersv1.SetCartItemResponse{Cart: cartMessage(row)}, nil
	})
}

func (s *service) CreateQuote(ctx context.Context, r *ordersv1.CreateQuoteRequest) (*ordersv1.CreateQuoteResponse, error) {
	userID, _ := rpc.Owner(ctx)
	q, err := s.quote(ctx, r.GetCartId(), userID, r.GetCouponCode())
	if err != nil {
		return idempotency.KeptOr[ordersv1.CreateQuoteResponse](ctx, s.store.DB, r, err)
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CreateQuoteResponse, error) {
		insertQuote(tx, q)
		return &ordersv1.CreateQuoteResponse{Quote: quoteMessage(q)}, nil
	})
}

// quote returns a quote for a cart, with a coupon if a code is given, which nobody has written down yet.
func (s *service) quote(ctx context.Context, cartID, userID, couponCode string) (*ent.Quote, error) {
	row, now, err := s.loadCart(ctx, cartID, userID)
	if err != nil {
		return nil, err
	}
	if is := cartState(row.State); is != active {
		return nil, errCartState(row.ID, is)
	}
	lines, sum, err := s.priced(ctx, row.Edges.Items)
	if err != nil {
		return nil, err
	}
	var c *ent.Coupon
	if couponCode != "" {
		if c, err = s.couponFor(ctx, couponCode, userID, sum.currency); err != nil {
			return nil, err
		}
	}
	charges, total, err := s.charge(ctx, lines, sum, c)
	if err != nil {
		return nil, err
	}
	return &ent.Quote{
		ID: id.New("quo"), CartID: row.ID, UserID: userID, Lines: lines, Total: total, Currency: sum.currency, Charges: charges, ExpireTime: now.Add(quoteTTL),
	}, nil
}

// checkForSale says whether a SKU cannot be bought.
func (s *service) checkForSale(ctx context.Context, sku string) error {
	variants, err := s.variants(ctx, []string{sku})
	if err == nil && variants[sku] == nil {
		return rpc.NotFound("sku", sku)
	}
	return err
}

// priced returns the items, in their order, with the prices of this moment, and their total.
func (s *service) priced(ctx context.Context, items []*ent.CartItem) ([]schema.Line, price, error) {
	if len(items) == 0 {
		return nil, price{}, rpc.Errorf(connect.CodeFailedPrecondition, "CART_EMPTY", "the cart is empty")
	}
	skus := make([]string, 0, len(items))
	for _, item := range items {
		skus = append(skus, item.Sku)
	}
	variants, err := s.variants(ctx, skus)
	if err != nil {
		return nil, price{}, err
	}
	lines := make([]schema.Line, 0, len(items))
	currencies := make([]string, 0, len(items))
	for _, item := range items {
		v := variants[item.Sku]
		if v == nil {
			return nil, price{}, rpc.Errorf(connect.CodeFailedPrecondition, "ITEM_UNAVAILABLE", "%s is not for sale any more: take it out of the cart", item.Sku)
		}
		title := v.GetProductTitle()
		if v.GetTitle() != "" {
			title += ", " + v.GetTitle()
		}
		lines = append(lines, schema.Line{
			SKU: item.Sku, ProductID: v.GetProductId(), Title: title, Quantity: item.Quantity, UnitAmount: v.GetPrice().GetAmount(), PriceVersion: v.GetPriceVersion(),
		})
		currencies = append(currencies, v.GetPrice().GetCurrency())
	}
	sum, err := total(lines, currencies)
	if err != nil {
		return nil, price{}, errTotal(err)
	}
	return lines, sum, nil
}

// variants returns what is for sale of the SKUs.
func (s *service) variants(ctx context.Context, skus []string) (map[string]*catalogv1.Variant, error) {
	answer, err := s.catalog.BatchGetVariants(ctx, &catalogv1.BatchGetVariantsRequest{Skus: skus})
	if err != nil {
		return nil, err
	}
	variants := make(map[string]*catalogv1.Variant, len(skus))
	for _, v := range answer.GetVariants() {
		variants[v.GetSku()] = v
	}
	return variants, nil
}

// checkPrices says whether a quoted price is not the price any more.
func (s *service) checkPrices(ctx context.Context, lines []schema.Line, currency string) error {
	skus := make([]string, 0, len(lines))
	for _, l := range lines {
		skus = append(skus, l.SKU)
	}
	variants, err := s.variants(ctx, skus)
	if err != nil {
		return err
	}
	for _, l := range lines {
		// The version alone does not tell, because a SKU that was taken out of the catalog and put back counts from 1 again.
		if v := variants[l.SKU]; v == nil || v.GetPriceVersion() != l.PriceVersion ||
			v.GetPrice().GetAmount() != l.UnitAmount || v.GetPrice().GetCurrency() != currency {
			return rpc.Errorf(connect.CodeFailedPrecondition, "PRICE_CHANGED", "%s has another price now, or is not for sale any more: ask for a new quote", l.SKU)
		}
	}
	return nil
}

// cartMessage maps a cart and its items, which are in the order of their SKUs.
func cartMessage(row *ent.Cart) *ordersv1.Cart {
	m := &ordersv1.Cart{
		Id: row.ID, State: cartStates[cartState(row.State)], CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
	for _, item := range row.Edges.Items {
		m.Items = append(m.Items, &ordersv1.CartItem{Sku: item.Sku, Quantity: item.Quantity})
	}
	return m
}

// quoteMessage maps a quote.
func quoteMessage(row *ent.Quote) *ordersv1.Quote {
	return &ordersv1.Quote{
		Id: row.ID, CartId: row.CartID, Lines: lineMessages(row.Lines, row.Currency),
		Total: &typev1.Money{Amount: row.Total, Currency: row.Currency}, ExpireTime: timestamppb.New(row.ExpireTime),
		Subtotal: &typev1.Money{Amount: subtotalOf(row.Total, row.Charges), Currency: row.Currency}, Discount: some(row.Charges.Discount, row.Currency),
		Tax: some(row.Charges.Tax, row.Currency), Shipping: some(row.Charges.Shipping, row.Currency), CouponCode: row.Charges.CouponCode,
	}
}
