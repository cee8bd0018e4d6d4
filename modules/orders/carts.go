package orders

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/cart"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/cartitem"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// quoteTTL is how long a quote can be ordered.
const quoteTTL = 15 * time.Minute

func (s *service) CreateCart(ctx context.Context, r *ordersv1.CreateCartRequest) (answer *ordersv1.CreateCartResponse, err error) {
	userID, err := user(ctx)
	if err != nil {
		return nil, err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*ordersv1.CreateCartResponse, error) {
			row, err := tx.Ent.Cart.Create().SetID(id.New("crt")).SetUserID(userID).SetState(string(active)).Save(ctx)
			if err != nil {
				return nil, err
			}
			return &ordersv1.CreateCartResponse{Cart: cartMessage(row)}, nil
		})
		return err
	})
	return answer, err
}

func (s *service) GetCart(ctx context.Context, r *ordersv1.GetCartRequest) (*ordersv1.GetCartResponse, error) {
	userID, err := user(ctx)
	if err != nil {
		return nil, err
	}
	row, err := s.store.Ent.Cart.Query().Where(cart.ID(r.GetId()), cart.UserID(userID)).WithItems().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("cart", r.GetId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &ordersv1.GetCartResponse{Cart: cartMessage(row)}, nil
}

func (s *service) SetCartItem(ctx context.Context, r *ordersv1.SetCartItemRequest) (*ordersv1.SetCartItemResponse, error) {
	userID, err := user(ctx)
	if err != nil {
		return nil, err
	}
	if kept, err := idempotency.Kept[ordersv1.SetCartItemResponse](ctx, s.store.Pool(), r); kept != nil || err != nil {
		return kept, err
	}
	if r.GetQuantity() > 0 {
		variants, err := s.variants(ctx, []string{r.GetSku()})
		if err != nil {
			return nil, err
		}
		if variants[r.GetSku()] == nil {
			return nil, rpc.NotFound("sku", r.GetSku())
		}
	}
	var answer *ordersv1.SetCartItemResponse
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*ordersv1.SetCartItemResponse, error) {
			row, err := setItem(ctx, tx, r, userID)
			if err != nil {
				return nil, err
			}
			return &ordersv1.SetCartItemResponse{Cart: cartMessage(row)}, nil
		})
		return err
	})
	return answer, err
}

func setItem(ctx context.Context, tx tx, r *ordersv1.SetCartItemRequest, userID string) (*ent.Cart, error) {
	row, err := lockCart(ctx, tx, r.GetCartId(), userID)
	if err != nil {
		return nil, err
	}
	if cartState(row.State) != active {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "CART_STATE", "cart %s is %s", row.ID, row.State)
	}
	if r.GetQuantity() == 0 {
		_, err = tx.Ent.CartItem.Delete().Where(cartitem.CartID(row.ID), cartitem.Sku(r.GetSku())).Exec(ctx)
	} else {
		err = tx.Ent.CartItem.Create().SetCartID(row.ID).SetSku(r.GetSku()).SetQuantity(r.GetQuantity()).
			OnConflictColumns(cartitem.FieldCartID, cartitem.FieldSku).UpdateQuantity().Exec(ctx)
	}
	if err != nil {
		return nil, err
	}
	if row, err = tx.Ent.Cart.UpdateOneID(row.ID).Save(ctx); err != nil { // Sets update_time.
		return nil, err
	}
	if row.Edges.Items, err = row.QueryItems().All(ctx); err != nil {
		return nil, err
	}
	if len(row.Edges.Items) > maxItems {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "CART_FULL", "a cart holds %d different SKUs at the most", maxItems)
	}
	return row, nil
}

// lockCart locks a cart of the user's.
func lockCart(ctx context.Context, tx tx, cartID, userID string) (*ent.Cart, error) {
	row, err := tx.Ent.Cart.Query().Where(cart.ID(cartID), cart.UserID(userID)).ForUpdate().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("cart", cartID)
	}
	return row, err
}

func (s *service) CreateQuote(ctx context.Context, r *ordersv1.CreateQuoteRequest) (*ordersv1.CreateQuoteResponse, error) {
	userID, err := user(ctx)
	if err != nil {
		return nil, err
	}
	if kept, err := idempotency.Kept[ordersv1.CreateQuoteResponse](ctx, s.store.Pool(), r); kept != nil || err != nil {
		return kept, err
	}
	row, err := s.store.Ent.Cart.Query().Where(cart.ID(r.GetCartId()), cart.UserID(userID)).WithItems().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("cart", r.GetCartId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	if cartState(row.State) != active {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "CART_STATE", "cart %s is %s", row.ID, row.State)
	}
	lines, sum, err := s.priced(ctx, row.Edges.Items)
	if err != nil {
		return nil, err
	}
	var answer *ordersv1.CreateQuoteResponse
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*ordersv1.CreateQuoteResponse, error) {
			q := &ent.Quote{ID: id.New("quo"), CartID: row.ID, UserID: userID, Lines: lines, Total: sum.amount, Currency: sum.currency}
			// The time is the database's: all replicas agree on it.
			if err := tx.QueryRow(ctx, `INSERT INTO quote (id, cart_id, user_id, lines, total, currency, expire_time)
				VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval) RETURNING expire_time`,
				q.ID, q.CartID, q.UserID, q.Lines, q.Total, q.Currency, quoteTTL).Scan(&q.ExpireTime); err != nil {
				return nil, fmt.Errorf("write quote: %w", err)
			}
			return &ordersv1.CreateQuoteResponse{Quote: quoteMessage(q)}, nil
		})
		return err
	})
	return answer, err
}

// priced returns the items with the prices of this moment, and their total.
func (s *service) priced(ctx context.Context, items []*ent.CartItem) ([]schema.Line, price, error) {
	if len(items) == 0 {
		return nil, price{}, rpc.Errorf(connect.CodeFailedPrecondition, "CART_EMPTY", "the cart is empty")
	}
	sort.Slice(items, func(i, j int) bool { return items[i].Sku < items[j].Sku })
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
			SKU: item.Sku, Title: title, Quantity: item.Quantity, UnitAmount: v.GetPrice().GetAmount(), PriceVersion: v.GetPriceVersion(),
		})
		currencies = append(currencies, v.GetPrice().GetCurrency())
	}
	sum, err := total(lines, currencies)
	switch {
	case errors.Is(err, errMixedCurrencies):
		return nil, price{}, rpc.Errorf(connect.CodeFailedPrecondition, "MIXED_CURRENCIES", "%s", err)
	case err != nil:
		return nil, price{}, rpc.Errorf(connect.CodeFailedPrecondition, "TOTAL_TOO_LARGE", "%s", err)
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

// cartMessage maps a cart and its items.
func cartMessage(row *ent.Cart) *ordersv1.Cart {
	m := &ordersv1.Cart{
		Id: row.ID, State: cartStates[cartState(row.State)], CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
	for _, item := range row.Edges.Items {
		m.Items = append(m.Items, &ordersv1.CartItem{Sku: item.Sku, Quantity: item.Quantity})
	}
	sort.Slice(m.Items, func(i, j int) bool { return m.Items[i].Sku < m.Items[j].Sku })
	return m
}

// quoteMessage maps a quote.
func quoteMessage(row *ent.Quote) *ordersv1.Quote {
	return &ordersv1.Quote{
		Id: row.ID, CartId: row.CartID, Lines: lineMessages(row.Lines, row.Currency),
		Total: &typev1.Money{Amount: row.Total, Currency: row.Currency}, ExpireTime: timestamppb.New(row.ExpireTime),
	}
}
