package orders_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

const published = catalogv1.ProductState_PRODUCT_STATE_PUBLISHED

// content returns what is in a cart.
func content(cart *ordersv1.Cart) (list string) {
	for _, item := range cart.GetItems() {
		list += fmt.Sprintf("%s×%d ", item.GetSku(), item.GetQuantity())
	}
	return list
}

func TestCartHoldsWhatWasPutIntoIt(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	for _, sku := range []string{"b", "a"} {
		c.offer(t, sku, euros(100), published)
	}
	opened, err := c.carts.CreateCart(c.ctx, &ordersv1.CreateCartRequest{RequestId: "1"})
	if err != nil {
		t.Fatal(err)
	}
	id := opened.GetCart().GetId()
	if kept, err := c.carts.GetCart(c.ctx, &ordersv1.GetCartRequest{Id: id}); err != nil || !proto.Equal(kept.GetCart(), opened.GetCart()) {
		t.Errorf("%v, %v, want what was answered when it was made: %v", kept, err, opened)
	}
	for _, step := range []struct {
		sku      string
		quantity int64
		want     string
	}{
		{"b", 2, "b×2 "},
		{"a", 10_000, "a×10000 b×2 "},
		{"b", 1, "a×10000 b×1 "}, // How many there are, not how many more.
		{"a", 0, "b×1 "},
		{"a", 0, "b×1 "},
		{"never there", 0, "b×1 "},
	} {
		cart, err := c.set(id, step.sku, step.quantity)
		if err != nil || content(cart) != step.want {
			t.Errorf("%d of %s: %q, %v, want %q", step.quantity, step.sku, content(cart), err, step.want)
		}
	}
	answer, err := c.carts.GetCart(c.ctx, &ordersv1.GetCartRequest{Id: id})
	if err != nil || content(answer.GetCart()) != "b×1 " || answer.GetCart().GetState() != ordersv1.CartState_CART_STATE_ACTIVE {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestCartHasLimits(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.cart()
	for _, quantity := range []int64{-1, 10_001, math.MaxInt64, math.MinInt64} {
		_, err := c.set(id, c.sku, quantity)
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%d pieces: %v, want an invalid argument", quantity, err)
		}
	}
	_, err := c.set(id, "unknown", 1)
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown SKU: %v, want not found", err)
	}
	c.offer(t, "draft", euros(100), catalogv1.ProductState_PRODUCT_STATE_DRAFT)
	if _, err := c.set(id, "draft", 1); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a SKU that is not for sale: %v, want not found", err)
	}
	c.Exec(t, "INSERT INTO orders.cart_item (cart_id, sku, quantity) SELECT $1, 'filler ' || n, 1 FROM generate_series(1, 198) n", id)
	c.offer(t, "the last", euros(100), published)
	c.offer(t, "one too many", euros(100), published)
	if _, err := c.set(id, "the last", 1); err != nil {
		t.Errorf("the 200th SKU: %v", err)
	}
	_, err = c.set(id, "one too many", 1)
	refused(t, err, connect.CodeFailedPrecondition, "CART_FULL")
	if cart, err := c.set(id, "the last", 2); err != nil || len(cart.GetItems()) != 200 {
		t.Errorf("another number of pieces in a full cart: %d items, %v", len(cart.GetItems()), err)
	}
}

func TestQuoteFreezesPrices(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.offer(t, "a gift", euros(0), published)
	cart := c.cart()
	if _, err := c.set(cart, "a gift", 1); err != nil {
		t.Fatal(err)
	}
	got, err := c.quote(cart)
	if err != nil {
		t.Fatal(err)
	}
	want := &ordersv1.Quote{Id: got.GetId(), CartId: cart, Total: euros(quantity * unitPrice), Subtotal: euros(quantity * unitPrice), ExpireTime: got.GetExpireTime(), Lines: []*ordersv1.OrderLine{
		{Sku: "a gift", Title: "Mug, blue", Quantity: 1, UnitPrice: euros(0), PriceVersion: 1, Total: euros(0)},
		{Sku: c.sku, Title: "Mug, blue", Quantity: quantity, UnitPrice: euros(unitPrice), PriceVersion: 1, Total: euros(quantity * unitPrice)},
	}}
	if !proto.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if lasts := time.Until(got.GetExpireTime().AsTime()); lasts > 15*time.Minute || lasts < 14*time.Minute {
		t.Errorf("it lasts for %v, want 15 minutes", lasts)
	}
}

func TestQuoteIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for reason, prepare := range map[string]func(c *customer) (cart string){
		"CART_EMPTY": func(c *customer) string {
			id := c.cart()
			if _, err := c.set(id, c.sku, 0); err != nil {
				c.t.Fatal(err)
			}
			return id
		},
		"ITEM_UNAVAILABLE": func(c *customer) string {
			id := c.cart()
			c.offer(c.t, c.sku, euros(unitPrice), catalogv1.ProductState_PRODUCT_STATE_ARCHIVED)
			return id
		},
		"MIXED_CURRENCIES": func(c *customer) string {
			id, dollars := c.cart(), c.next("dollars ")
			c.offer(c.t, dollars, &typev1.Money{Amount: 1, Currency: "USD"}, published)
			if _, err := c.set(id, dollars, 1); err != nil {
				c.t.Fatal(err)
			}
			return id
		},
		"TOTAL_TOO_LARGE": func(c *customer) string {
			id := c.cart()
			c.offer(c.t, c.sku, euros(math.MaxInt64/2), published)
			return id
		},
		"CART_STATE": func(c *customer) string {
			id := c.cart()
			quote, err := c.quote(id)
			if err != nil {
				c.t.Fatal(err)
			}
			if _, err := c.place(quote.GetId(), good); err != nil {
				c.t.Fatal(err)
			}
			_, err = c.set(id, c.sku, 1)
			refused(c.t, err, connect.CodeFailedPrecondition, "CART_STATE")
			return id
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			c := s.customer(t)
			_, err := c.quote(prepare(c))
			refused(t, err, connect.CodeFailedPrecondition, reason)
		})
	}
}

// The catalog being away does not take away the answers that were given.
func TestRepeatedCartCallsAreAnsweredWithoutCatalog(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	cart := c.cart()
	set := &ordersv1.SetCartItemRequest{RequestId: "set", CartId: cart, Sku: c.sku, Quantity: 2}
	quote := &ordersv1.CreateQuoteRequest{RequestId: "quote", CartId: cart}
	firstSet, err := c.carts.SetCartItem(c.ctx, set)
	if err != nil {
		t.Fatal(err)
	}
	firstQuote, err := c.carts.CreateQuote(c.ctx, quote)
	if err != nil {
		t.Fatal(err)
	}
	place := &ordersv1.PlaceOrderRequest{RequestId: "place", QuoteId: firstQuote.GetQuote().GetId(), PaymentMethod: good}
	firstOrder, err := c.orders.PlaceOrder(c.ctx, place)
	if err != nil {
		t.Fatal(err)
	}
	c.faults.forever(c.user, "BatchGetVariants", fault{before: errDown})
	if again, err := c.carts.SetCartItem(c.ctx, set); err != nil || !proto.Equal(again, firstSet) {
		t.Errorf("%v, %v, want %v", again, err, firstSet)
	}
	if again, err := c.carts.CreateQuote(c.ctx, quote); err != nil || !proto.Equal(again, firstQuote) {
		t.Errorf("%v, %v, want %v", again, err, firstQuote)
	}
	if again, err := c.orders.PlaceOrder(c.ctx, place); err != nil || !proto.Equal(again, firstOrder) {
		t.Errorf("%v, %v, want %v", again, err, firstOrder)
	}
	set.RequestId = "another"
	_, err = c.carts.SetCartItem(c.ctx, set)
	refused(t, err, connect.CodeFailedPrecondition, "CART_STATE")
	if n := moduletest.Value[int64](t, c.House, `SELECT count(*) FROM orders."order"`); n != 1 {
		t.Errorf("there are %d orders, want one", n)
	}
}

// A customer goes on filling the cart while the catalog is away; the quote, when it is back, looks at what there is.
func TestCartIsFilledWithoutCatalog(t *testing.T) {
	t.Parallel()
	for _, away := range []error{
		errDown, rpc.Errorf(connect.CodeDeadlineExceeded, "", "too slow"), rpc.Errorf(connect.CodeResourceExhausted, "", "too much"),
	} {
		t.Run(connect.CodeOf(away).String(), func(t *testing.T) {
			t.Parallel()
			c := setup(t).customer(t)
			cart := c.cart()
			c.faults.forever(c.user, "BatchGetVariants", fault{before: away})
			if got, err := c.set(cart, c.sku, 2); err != nil || got.GetItems()[0].GetQuantity() != 2 {
				t.Errorf("%v, %v, want 2 pieces", got, err)
			}
			if _, err := c.set(cart, "never heard of", 1); err != nil {
				t.Errorf("a SKU that nobody can look up: %v", err)
			}
			_, err := c.quote(cart)
			refused(t, err, connect.CodeOf(away), "")
			c.faults.forever(c.user, "BatchGetVariants", fault{})
			_, err = c.quote(cart)
			refused(t, err, connect.CodeFailedPrecondition, "ITEM_UNAVAILABLE")
			_, err = c.set(cart, "never heard of either", 1)
			refused(t, err, connect.CodeNotFound, "")
		})
	}
	t.Run("and not for what the catalog says", func(t *testing.T) {
		t.Parallel()
		c := setup(t).customer(t)
		cart := c.cart()
		c.faults.forever(c.user, "BatchGetVariants", fault{before: rpc.Errorf(connect.CodePermissionDenied, "", "no")})
		_, err := c.set(cart, c.sku, 2)
		refused(t, err, connect.CodePermissionDenied, "")
	})
}

// A cart that nobody has touched for long cannot be changed any more, and a quote that expired long ago is forgotten; an order keeps what it
// has of both.
func TestWhatWasLeftBehindIsTidiedUp(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	age := func(what, id, time string, days int) {
		c.Exec(t, "UPDATE orders."+what+" SET "+time+" = now() - make_interval(days => $2) WHERE id = $1", id, days)
	}
	left, touched, young := c.cart(), c.cart(), c.cart()
	quoted, tooLate := c.cart(), c.cart()
	live, err := c.quote(quoted)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := c.quote(tooLate)
	if err != nil {
		t.Fatal(err)
	}
	age("quote", dead.GetId(), "expire_time", 1)
	for _, cart := range []string{left, touched, quoted, tooLate} {
		age("cart", cart, "create_time", 100)
		age("cart", cart, "update_time", 31)
	}
	age("cart", touched, "update_time", 29)
	quote, err := c.quote(c.cart())
	if err != nil {
		t.Fatal(err)
	}
	order, err := c.place(quote.GetId(), good)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(order.GetId(), confirmed, "")
	before := c.get(order.GetId())
	age("cart", quote.GetCartId(), "create_time", 100)
	age("cart", quote.GetCartId(), "update_time", 100)
	expired, forgotten := c.quoted(), c.quoted()
	age("quote", quote.GetId(), "expire_time", 8)
	age("quote", expired, "expire_time", 6)
	age("quote", forgotten, "expire_time", 8)
	c.Exec(t, `INSERT INTO orders.quote (id, cart_id, user_id, lines, total, currency, expire_time)
		SELECT 'quo_' || n, 'crt_1', 'usr_1', '[]', 0, 'EUR', now() - interval '8 days' FROM generate_series(1, 2500) AS n`)

	if err := orders.Tidy(c.ctx, c.Hosts["orders"].DB); err != nil {
		t.Fatal(err)
	}
	for cart, want := range map[string]ordersv1.CartState{
		left: ordersv1.CartState_CART_STATE_ABANDONED, touched: ordersv1.CartState_CART_STATE_ACTIVE, young: ordersv1.CartState_CART_STATE_ACTIVE,
		quote.GetCartId(): ordersv1.CartState_CART_STATE_CONVERTED,
		quoted:            ordersv1.CartState_CART_STATE_ACTIVE, tooLate: ordersv1.CartState_CART_STATE_ABANDONED,
	} {
		answer, err := c.carts.GetCart(c.ctx, &ordersv1.GetCartRequest{Id: cart})
		if err != nil || answer.GetCart().GetState() != want || len(answer.GetCart().GetItems()) != 1 {
			t.Errorf("%v, %v, want it %s with its item", answer, err, want)
		}
	}
	if _, err := c.place(live.GetId(), good); err != nil {
		t.Errorf("what was quoted before its cart was 30 days old: %v", err)
	}
	_, err = c.set(left, c.sku, 1)
	refused(t, err, connect.CodeFailedPrecondition, "CART_STATE")
	_, err = c.place(dead.GetId(), good)
	refused(t, err, connect.CodeFailedPrecondition, "CART_STATE")
	_, err = c.place(expired, good)
	refused(t, err, connect.CodeFailedPrecondition, "QUOTE_EXPIRED")
	_, err = c.place(forgotten, good)
	refused(t, err, connect.CodeNotFound, "")
	if n := moduletest.Value[int64](t, c.House, "SELECT count(*) FROM orders.quote"); n != 3 {
		t.Errorf("%d quotes are left, want the one that can be ordered and the two that have just expired", n)
	}
	if after := c.get(order.GetId()); !proto.Equal(after, before) {
		t.Errorf("the order is %v, want still %v", after, before)
	}
}
