package orders_test

import (
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// product returns the id of the product that the customer wants.
func (c *customer) product() string {
	c.t.Helper()
	answer, err := c.catalog.BatchGetVariants(c.ctx, &catalogv1.BatchGetVariantsRequest{Skus: []string{c.sku}})
	if err != nil || len(answer.GetVariants()) != 1 {
		c.t.Fatalf("the SKU is not for sale: %v, %v", answer, err)
	}
	return answer.GetVariants()[0].GetProductId()
}

// A quick order is an order like every other, paid with what is saved.
func TestQuickOrder(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	r := &ordersv1.CreateQuickOrderRequest{UserId: c.user, ProductId: c.product(), Quantity: quantity, RequestId: "quick"}
	placed, err := c.quick.CreateQuickOrder(c.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(placed.GetOrderId(), confirmed, "")
	if order := c.get(placed.GetOrderId()); order.GetTotal().GetAmount() != quantity*unitPrice || len(order.GetLines()) != 1 || order.GetLines()[0].GetSku() != c.sku {
		t.Errorf("the order is %v", order)
	}
	got, err := c.quick.GetQuickOrder(c.ctx, &ordersv1.GetQuickOrderRequest{Id: placed.GetOrderId()})
	if want := (&ordersv1.GetQuickOrderResponse{Id: placed.GetOrderId(), UserId: c.user, ProductId: r.GetProductId(), Quantity: quantity}); err != nil || !proto.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}

	// The same request again gets the same order, also when the price has changed.
	c.offer(t, c.sku, euros(1), catalogv1.ProductState_PRODUCT_STATE_PUBLISHED)
	again, err := c.quick.CreateQuickOrder(c.ctx, r)
	if err != nil || !proto.Equal(again, placed) {
		t.Errorf("again: %v, %v, want %v", again, err, placed)
	}

	// Without a request id every request is an order.
	named := r.GetRequestId()
	r.RequestId = ""
	first, err := c.quick.CreateQuickOrder(c.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.quick.CreateQuickOrder(c.ctx, r)
	if err != nil || first.GetOrderId() == second.GetOrderId() || first.GetOrderId() == placed.GetOrderId() {
		t.Errorf("got %v and %v, %v", first, second, err)
	}

	// What is archived stays so.
	c.offer(t, c.sku, euros(1), catalogv1.ProductState_PRODUCT_STATE_ARCHIVED)
	r.RequestId = named
	if again, err = c.quick.CreateQuickOrder(c.ctx, r); err != nil || !proto.Equal(again, placed) {
		t.Errorf("again, from the archive: %v, %v, want %v", again, err, placed)
	}
}

func TestQuickOrderRefused(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	shirts, err := c.catalog.BatchUpsertProducts(moduletest.As(t, "usr_staff", "staff"), &catalogv1.BatchUpsertProductsRequest{
		RequestId: c.next("offer "), Products: []*catalogv1.UpsertProduct{{Title: "Shirt", Variants: []*catalogv1.UpsertVariant{
			{Sku: c.next("shirt "), Title: "S", Price: euros(1)}, {Sku: c.next("shirt "), Title: "M", Price: euros(1)},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	dear := c.next("sku ")
	c.offer(t, dear, &typev1.Money{Amount: 1 << 60, Currency: "EUR"}, catalogv1.ProductState_PRODUCT_STATE_PUBLISHED)
	costly := &customer{shop: c.shop, t: t, ctx: c.ctx, sku: dear}
	for name, r := range map[string]struct {
		user, product string
		code          connect.Code
		reason        string
	}{
		"for another":            {user: "usr_other", product: c.product(), code: connect.CodePermissionDenied, reason: "NOT_YOURS"},
		"of nothing":             {user: c.user, product: "prd_none", code: connect.CodeNotFound},
		"of which there are":     {user: c.user, product: shirts.GetProductIds()[0], code: connect.CodeFailedPrecondition, reason: "SEVERAL_VARIANTS"},
		"for more than there is": {user: c.user, product: costly.product(), code: connect.CodeFailedPrecondition, reason: "TOTAL_TOO_LARGE"},
	} {
		_, err := c.quick.CreateQuickOrder(c.ctx, &ordersv1.CreateQuickOrderRequest{UserId: r.user, ProductId: r.product, Quantity: 1000})
		if connect.CodeOf(err) != r.code || rpc.Reason(err) != r.reason {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if listed, err := c.orders.ListOrders(c.ctx, &ordersv1.ListOrdersRequest{}); err != nil || len(listed.GetOrders()) > 0 {
		t.Errorf("there are orders: %v, %v", listed, err)
	}
}
