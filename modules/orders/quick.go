package orders

import (
	"context"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// savedMethod is the setting that stands in for what customers save.
	savedMethod = "CLEAVE_ORDERS_SAVED_PAYMENT_METHOD"
	// noMethod is its value where nothing stands in.
	noMethod = "none"
)

func (s *service) CreateQuickOrder(ctx context.Context, r *ordersv1.CreateQuickOrderRequest) (*ordersv1.CreateQuickOrderResponse, error) {
	userID, _ := rpc.Owner(ctx)
	if r.GetUserId() != userID {
		return nil, rpc.Errorf(connect.CodePermissionDenied, "NOT_YOURS", "user_id must be your own")
	}
	if r.GetRequestId() == "" { // Nobody can repeat it then.
		r.RequestId = id.New("req")
	}
	q, err := s.quickQuote(ctx, r, userID)
	if err != nil {
		return idempotency.KeptOr[ordersv1.CreateQuickOrderResponse](ctx, s.store.DB, r, err)
	}
	var answer *ordersv1.CreateQuickOrderResponse
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CreateQuickOrderResponse, error) {
		cart := &ent.Cart{ID: q.CartID, UserID: userID, State: string(active)}
		if err := insertCart(ctx, tx, cart); err != nil {
			return nil, err
		}
		q.ExpireTime = cart.CreateTime.Add(quoteTTL)
		insertQuote(tx, q)
		placed, err := s.place(ctx, tx, q, cart.CreateTime, s.saved)
		return &ordersv1.CreateQuickOrderResponse{OrderId: placed.GetId(), Status: "created"}, err
	})
	if err != nil {
		return nil, err
	}
	fault.Point("orders/place/committed")
	return answer, nil
}

// quickQuote returns a quote for a product that is sold in one variant, for a cart that nobody has written down yet.
func (s *service) quickQuote(ctx context.Context, r *ordersv1.CreateQuickOrderRequest, userID string) (*ent.Quote, error) {
	if s.saved == noMethod {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "NO_PAYMENT_METHOD", "no payment method is saved: name one in POST /v1/orders")
	}
	answer, err := s.catalog.GetProduct(ctx, &catalogv1.GetProductRequest{Id: r.GetProductId()})
	if err != nil {
		return nil, err
	}
	variants := answer.GetProduct().GetVariants()
	if len(variants) != 1 {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "SEVERAL_VARIANTS",
			"product %s is sold in %d variants: put the SKU that you want into a cart, see POST /v1/carts", r.GetProductId(), len(variants))
	}
	lines, sum, err := s.priced(ctx, []*ent.CartItem{{Sku: variants[0].GetSku(), Quantity: int64(r.GetQuantity())}})
	if err != nil {
		return nil, err
	}
	charges, total, err := s.charge(ctx, lines, sum, nil)
	if err != nil {
		return nil, err
	}
	return &ent.Quote{ID: id.New("quo"), CartID: id.New("crt"), UserID: userID, Lines: lines, Total: total, Currency: sum.currency, Charges: charges}, nil
}

func (s *service) GetQuickOrder(ctx context.Context, r *ordersv1.GetQuickOrderRequest) (*ordersv1.GetQuickOrderResponse, error) {
	row, err := s.ownOrder(ctx, r.GetId())
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil, rpc.Errorf(connect.CodeNotFound, "", "Order not found") // In these words since long ago.
	}
	if err != nil {
		return nil, err
	}
	if len(row.Lines) != 1 {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "SEVERAL_PRODUCTS", "order %s has several products: get it at /v1/orders/%s", row.ID, row.ID)
	}
	line := row.Lines[0]
	return &ordersv1.GetQuickOrderResponse{Id: row.ID, UserId: row.UserID, ProductId: line.ProductID, Quantity: int32(line.Quantity)}, nil
}
