package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	"github.com/cleave-go/cleave/platform/mtls/authority"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestMutualTLS plays in a house whose parts are all apart and show each other certificates.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	s := house.AllApart.Open(t, topology.NewBinaries(t), house.Options{TLS: true})
	t.Run("strangers", func(t *testing.T) { strangers(t, s) })
	t.Run("rotation", func(t *testing.T) { rotation(t, s) })
}

// strangers call payments at its internal port, with and without a right to.
func strangers(t *testing.T, s *shop) {
	const (
		getPayment = paymentsv1connect.PaymentServiceGetPaymentProcedure
		getOrder   = ordersv1connect.OrderServiceGetOrderProcedure
		deliver    = "/modules/payments" + eventv1connect.DeliveryServiceDeliverProcedure
	)
	unit := s.Authority.Unit
	uris := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, text := range texts {
				uri, _ := url.Parse(text)
				c.URIs = append(c.URIs, uri)
			}
		}
	}
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }
	for _, c := range []struct {
		name              string
		shows             authority.Pair
		caller, procedure string
		want              string
	}{
		{"orders", unit("orders"), "orders", getPayment, "invalid_argument id"}, // It is let in.
		{"orders, in a unit of several modules", unit("catalog-orders"), "orders", getPayment, "invalid_argument id"},
		{"nobody", authority.Pair{}, "orders", getPayment, "no answer"},
		{"somebody of another authority", mtlstest.New(t).Unit("orders"), "orders", getPayment, "no answer"},
		{"somebody whose certificate has expired", unit("orders", expired), "orders", getPayment, "no answer"},
		{"somebody without a SPIFFE id", unit("orders", uris()), "orders", getPayment, "no answer"},
		{"somebody with two", unit("orders", uris("spiffe://cleave/orders", "spiffe://cleave/catalog")), "orders", getPayment, "no answer"},
		{"somebody of another trust domain", unit("orders", uris("spiffe://elsewhere/orders")), "orders", getPayment, "no answer"},
		{"a public port", s.Authority.Public(), "orders", getPayment, "no answer"},
		{"catalog, in the name of orders", unit("catalog"), "orders", getPayment, "permission_denied"},
		{"orders, in the name of catalog", unit("orders"), "catalog", getPayment, "permission_denied"},
		{"orders, in nobody's name", unit("orders"), "", getPayment, "unauthenticated"},
		{"catalog, which does not declare the call", unit("catalog"), "catalog", getPayment, "permission_denied"},
		{"the edge, at an internal method", unit("edge"), "edge", getPayment, "permission_denied"},
		{"orders, at a service that payments does not serve", unit("orders"), "orders", getOrder, "permission_denied"},
		{"orders, with an event, which payments does not listen to", unit("orders"), "orders", deliver, "permission_denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := connect.NewRequest(&emptypb.Empty{})
			if c.caller != "" {
				request.Header().Set("Cleave-Caller", c.caller)
			}
			_, err := connect.NewClient[emptypb.Empty, emptypb.Empty](mtlstest.Client(t, c.shows), s.Internal("payments")+c.procedure).CallUnary(t.Context(), request)
			got := code(err)
			if err != nil && !connect.IsWireError(err) {
				got = "no answer"
			}
			if got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
	if says := s.Unit("payments").Process().Stderr(); strings.Count(says, `"msg":"refused a call at the internal port"`) != 7 {
		t.Errorf("the log does not tell of every call that was refused:\n%s", says)
	}
}

// rotation replaces every certificate, and then the authority, while customers shop: nobody is refused, and nobody who watches is cut off.
func rotation(t *testing.T, s *shop) {
	v := enter(t, s, connectRPC)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	v.ctx = ctx
	sku := v.product(1990, 1_000_000)
	open := v.buy("pm_provider_down", item{sku, 1})
	watched := make(chan error, 1)
	watching, leave := context.WithCancel(ctx)
	go func() {
		watcher := enter(t, s, grpc)
		watcher.ctx = watching
		watched <- watcher.follow(open.GetId(), 0, func(*ordersv1.WatchOrderResponse) bool { return true })
	}()

	l := &load{}
	var customers sync.WaitGroup
	shopping, close := context.WithCancel(ctx)
	for _, p := range protocols {
		customers.Go(func() {
			c := p.clients(t, s, func(string) string { return s.Public() })
			for shopping.Err() == nil {
				_, err := c.catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 1})
				l.count(err)
				l.count(order(ctx, c, sku))
			}
		})
	}
	// read waits until every unit has read what has changed, and some customers have been served since.
	changes, ofPublic := 0, 0
	read := func(what string) {
		t.Helper()
		changes++
		for _, unit := range s.Units() {
			want := changes
			if unit.Edge {
				want += ofPublic
			}
			for strings.Count(unit.Process().Stderr(), "certificates were read again") < want {
				if ctx.Err() != nil {
					t.Fatalf("%s: %s has not read it:\n%s", what, unit.Name, unit.Process().Stderr())
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
		l.more(t, ctx, 8)
		if failures := l.failures(); len(failures) > 0 {
			t.Fatalf("%s: %d of %d requests failed: %v", what, len(failures), l.served(), failures[0])
		}
		for _, trouble := range []string{"peer did not answer", "module did not answer"} {
			if strings.Contains(s.Logs(), `"msg":"`+trouble) {
				t.Fatalf("%s: the log says %q", what, trouble)
			}
		}
	}
	home, next := s.Authority, mtlstest.New(t)
	units := map[string]*mtlstest.Folder{}
	for _, unit := range s.Units() {
		units[unit.Name] = s.Certificates[unit.Name]
	}
	l.more(t, ctx, 8)
	for name, folder := range units {
		folder.Put(home.Unit(name))
	}
	read("new certificates of the same authority")
	for _, folder := range units {
		folder.Trust(home, next)
	}
	read("a second authority")
	for name, folder := range units {
		folder.Put(next.Unit(name))
	}
	s.Certificates["public"].Put(next.Public())
	ofPublic++
	read("certificates of the second authority")
	for _, folder := range units {
		folder.Trust(next)
	}
	read("the first authority is trusted no more")
	if _, err := (&tls.Dialer{Config: &tls.Config{RootCAs: next.Pool()}}).DialContext(ctx, "tcp", strings.TrimPrefix(s.Public(), "https://")); err != nil {
		t.Errorf("the public port does not show its new certificate: %v", err)
	}
	select {
	case err := <-watched:
		t.Errorf("who watched an order was cut off: %v", err)
	default:
	}
	leave()
	<-watched

	request := connect.NewRequest(&emptypb.Empty{})
	request.Header().Set("Cleave-Caller", "orders")
	_, err := connect.NewClient[emptypb.Empty, emptypb.Empty](mtlstest.Client(t, home.Unit("orders")), s.Internal("payments")+paymentsv1connect.PaymentServiceGetPaymentProcedure).CallUnary(ctx, request)
	if err == nil || connect.IsWireError(err) {
		t.Errorf("who has a certificate of the first authority still gets an answer: %v", err)
	}
	// What all this would look like if it went wrong: one unit no longer trusts those who call it, on however old a connection.
	units["catalog"].Trust(mtlstest.New(t))
	for len(l.failures()) == 0 {
		if ctx.Err() != nil {
			t.Fatal("catalog trusts nobody, and no customer has noticed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	close()
	customers.Wait()
	t.Logf("%d requests were served", l.served())
}

// load is what customers have met.
type load struct {
	mu     sync.Mutex
	errors []error
	calls  int
}

func (l *load) count(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if err != nil {
		l.errors = append(l.errors, err)
	}
}

func (l *load) served() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

func (l *load) failures() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errors
}

// more waits until so many more requests were answered.
func (l *load) more(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	for want := l.served() + n; l.served() < want; time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the customers are not served")
		}
	}
}

// order buys a piece, and returns what went wrong. Nothing is repeated.
func order(ctx context.Context, c clients, sku string) error {
	cart, err := c.carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: request()})
	if err != nil {
		return fmt.Errorf("create a cart: %w", err)
	}
	if _, err = c.carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cart.GetCart().GetId(), Sku: sku, Quantity: 1}); err != nil {
		return fmt.Errorf("fill a cart: %w", err)
	}
	quote, err := c.carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cart.GetCart().GetId()})
	if err != nil {
		return fmt.Errorf("ask for a quote: %w", err)
	}
	if _, err = c.orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_card_visa"}); err != nil {
		return fmt.Errorf("place an order: %w", err)
	}
	return nil
}
