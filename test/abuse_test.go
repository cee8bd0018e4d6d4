package test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

var abuseScenarios = []scenario{
	{"bodies that are made to hurt", connectJSON, badBodies},
	{"more than there is", connectRPC, tooMuch},
	{"fields that are not the customer's to set", connectJSON, foreignFields},
	{"pages elsewhere", connectJSON, pagesElsewhere},
	{"stock that nobody pays for", connectRPC, hoard},
}

// raw sends a request as curl does and returns the answer.
func (v *visit) raw(method, path string, header http.Header, body []byte) (*http.Response, string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.ctx, method, v.Public()+path, bytes.NewReader(body))
	v.must("make a request", err)
	for name, values := range header {
		r.Header[name] = values
	}
	if body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := connectJSON.client(v, v.shop).Do(r)
	v.must(method+" "+path, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	v.must(method+" "+path, err)
	return response, string(text)
}

// rejected requires that a request is refused with a status and a code, in few words, and that the shop still stands.
func (v *visit) rejected(what, method, path string, header http.Header, body []byte, status int, code string) {
	v.Helper()
	response, text := v.raw(method, path, header, body)
	if response.StatusCode != status || !strings.Contains(text, `"code":"`+code+`"`) || len(text) > 1000 || indiscreet.MatchString(text) {
		v.Errorf("%s: got %d %.1000s, want %d %s", what, response.StatusCode, text, status, code)
	}
	if response.Header.Get("X-Correlation-Id") == "" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
		v.Errorf("%s: the answer has the headers %v", what, response.Header)
	}
	v.saw("%s: %d %s", what, response.StatusCode, code)
}

const (
	createCart = "/cleave.orders.v1.CartService/CreateCart"
	placeOrder = "/cleave.orders.v1.OrderService/PlaceOrder"
	getOrder   = "/cleave.orders.v1.OrderService/GetOrder"
)

// badBodies are bombs, towers and floods.
func badBodies(v *visit) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 64 {
		_, err := w.Write(make([]byte, 1<<20))
		v.must("make a bomb", err)
	}
	v.must("make a bomb", w.Close())
	const depth = 100_000
	tower := func(open, close string) []byte {
		return []byte(`{"id":"x","nothing":` + strings.Repeat(open, depth) + "1" + strings.Repeat(close, depth) + "}")
	}
	v.rejected("a bomb", "POST", getOrder, http.Header{"Content-Encoding": {"gzip"}}, bomb.Bytes(), 429, "resource_exhausted")
	v.rejected("a tower of objects", "POST", getOrder, nil, tower(`{"a":`, "}"), 400, "invalid_argument")
	v.rejected("a tower of lists", "POST", getOrder, nil, tower("[", "]"), 400, "invalid_argument")
	v.rejected("five megabytes", "POST", getOrder, nil, make([]byte, 5<<20), 413, "resource_exhausted")
	v.rejected("a large header", "POST", getOrder, http.Header{"X-Large": {strings.Repeat("x", 20<<10)}}, []byte("{}"), 431, "resource_exhausted")
	v.rejected("many headers", "POST", getOrder, http.Header{"X-Many": strings.Split(strings.Repeat("x", 200), "")}, []byte("{}"), 431, "resource_exhausted")
	v.rejected("a tower in REST", "POST", "/v1/orders", nil, tower(`{"a":`, "}"), 400, "invalid_argument")
	v.rejected("five megabytes in REST", "POST", "/v1/orders", nil, make([]byte, 5<<20), 413, "resource_exhausted")
	v.rejected("many headers in REST", "GET", "/v1/orders", http.Header{"X-Many": strings.Split(strings.Repeat("x", 200), "")}, nil, 431, "resource_exhausted")
	v.cart() // The next request is none the worse for it.
}

// tooMuch asks for more than one gets.
func tooMuch(v *visit) {
	orders, err := v.orders.ListOrders(v.ctx, &ordersv1.ListOrdersRequest{PageSize: 1_000_000_000})
	v.must("list 1,000,000,000 orders", err)
	products, err := v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{PageSize: 1_000_000_000})
	v.must("list 1,000,000,000 products", err)
	if len(orders.GetOrders()) > 200 || len(products.GetProducts()) > 200 {
		v.Errorf("a page has %d orders, and %d products", len(orders.GetOrders()), len(products.GetProducts()))
	}
	skus := make([]string, 10_000)
	for i := range skus {
		skus[i] = fmt.Sprint("sku_", i)
	}
	_, err = v.catalog.BatchGetVariants(v.ctx, &catalogv1.BatchGetVariantsRequest{Skus: skus})
	v.refused("ask for 10,000 SKUs", err, "invalid_argument skus")
	lines := make([]*ordersv1.LineQuantity, 10_000)
	for i := range lines {
		lines[i] = &ordersv1.LineQuantity{Sku: skus[i], Quantity: 1}
	}
	_, err = v.parcels.ReturnLines(v.ctx, &ordersv1.ReturnLinesRequest{RequestId: request(), OrderId: "ord_x", Lines: lines})
	v.refused("return 10,000 lines", err, "invalid_argument lines")
	body, err := json.Marshal(map[string]any{"requestId": request(), "items": skus, "lines": skus})
	v.must("make a cart of 10,000 lines", err)
	response, text := v.raw("POST", createCart, nil, body)
	if response.StatusCode != http.StatusOK || strings.Contains(text, "sku_") {
		v.Errorf("a cart with 10,000 lines: %d %.200s", response.StatusCode, text)
	}
}

// hoard holds that somebody who orders over and over, and whose payments are never answered, cannot hold all that there is.
func hoard(v *visit) {
	shop, sku := v.ctx, v.product(1990, 100)
	v.ctx, v.email = bearing(shop, newGuest()), "hoarder@example.org"
	for range 20 {
		v.buy("pm_provider_down", item{sku, 1})
	}
	quote := v.quote(v.cart(item{sku, 1}))
	order := func() error {
		_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa", Email: v.email})
		return err
	}
	v.refused("order once more", order(), "failed_precondition TOO_MANY_OPEN")
	v.refused("and again", order(), "failed_precondition TOO_MANY_OPEN")
	v.ctx = bearing(shop, newGuest())
	v.settled(v.buy("pm_card_visa", item{sku, 80}).GetId(), confirmed, "") // What is left is there for others.
}

// foreignFields holds that what a customer says of prices, states and owners has no effect: fields that the contract does not have are
// ignored, so that an older shop understands a newer app, and what the shop decides is in no request.
func foreignFields(v *visit) {
	const greed = `"price":{"amount":1,"currency":"EUR"},"unitPrice":{"amount":"1","currency":"EUR"},"total":{"amount":"1","currency":"EUR"},"discount":100,
		"userId":"usr_somebody","user_id":"usr_somebody","owner":"usr_somebody","role":"admin","roles":["admin"],"sub":"usr_somebody",
		"state":"ORDER_STATE_CONFIRMED","status":"paid","paid":true,"id_":"ord_mine"`
	post := func(path, fields string, into any) {
		v.Helper()
		response, text := v.raw("POST", path, nil, []byte("{"+fields+","+greed+"}"))
		if response.StatusCode/100 != 2 {
			v.Fatalf("%s: %d %s", path, response.StatusCode, text)
		}
		v.must("read "+path, json.Unmarshal([]byte(text), into))
	}
	sku := v.product(1990, 10)
	var cart struct{ Cart struct{ ID string } }
	post(createCart, fmt.Sprintf(`"requestId":%q`, request()), &cart)
	post("/cleave.orders.v1.CartService/SetCartItem", fmt.Sprintf(`"requestId":%q,"cartId":%q,"sku":%q,"quantity":"2"`, request(), cart.Cart.ID, sku), &cart)
	var quote struct{ Quote struct{ ID string } }
	post("/cleave.orders.v1.CartService/CreateQuote", fmt.Sprintf(`"requestId":%q,"cartId":%q`, request(), cart.Cart.ID), &quote)
	for _, path := range []string{placeOrder, "/v1/orders"} {
		var placed struct {
			Order struct{ ID string }
		}
		if path == "/v1/orders" { // Of another cart: one is ordered once.
			quote.Quote.ID = v.quote(v.cart(item{sku, 2})).GetId()
		}
		post(path, fmt.Sprintf(`"requestId":%q,"quoteId":%q,"paymentMethod":"pm_provider_down"`, request(), quote.Quote.ID), &placed)
		order := v.order(placed.Order.ID)
		equal(v, "the price", order.GetTotal().GetAmount(), 3980)
		equal(v, "the user", order.GetUserId(), "usr_development")
		if order.GetState() == confirmed {
			v.Error("the order is confirmed, and nobody has paid")
		}
	}
	// What somebody takes for a place to write his card down is not where it is kept, or told.
	const card = "4242424242424242"
	v.rejected("a card", "POST", placeOrder, nil, []byte(`{"requestId":"x","quoteId":"x","card":"`+card+`","paymentMethod":"`+strings.Repeat(card, 9)+`"}`), 400, "invalid_argument")
	if strings.Contains(v.Logs(), card) {
		v.Error("the log has the number of a card")
	}
}

// pagesElsewhere holds that a web page elsewhere cannot make a browser shop.
func pagesElsewhere(v *visit) {
	body := []byte(fmt.Sprintf(`{"requestId":%q}`, request()))
	for _, header := range []http.Header{
		{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}, "Content-Type": {"text/plain"}},
	} {
		v.rejected("a page elsewhere", "POST", createCart, header, body, 403, "permission_denied")
		v.rejected("a page elsewhere, in REST", "POST", "/v1/carts", header, body, 403, "permission_denied")
	}
	v.rejected("a picture", "GET", "/v1/orders", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}}, nil, 403, "permission_denied")
	if response, text := v.raw("GET", "/v1/orders", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}, nil); response.StatusCode != http.StatusOK {
		v.Errorf("a link: %d %s", response.StatusCode, text)
	}
}

// TestGreed holds that one client who wants all streams, or asks without end, is refused in time, and nobody else is the worse for it.
func TestGreed(t *testing.T) {
	t.Parallel()
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			shop := layout.Open(t, binaries, house.Options{Env: map[string]string{"CLEAVE_ANONYMOUS_RATE_LIMIT": "5"}})
			t.Run("streams", func(t *testing.T) { manyStreams(t, shop) })
			t.Run("requests", func(t *testing.T) { manyRequests(t, shop) })
		})
	}
}

// manyStreams opens a thousand.
func manyStreams(t *testing.T, s *shop) {
	v := enter(t, s, grpc)
	const asked, most = 1000, 100
	orderID := v.buy("pm_provider_down", item{v.product(1990, 1), 1}).GetId() // It is open for long.
	var watched, refused atomic.Int64
	var watching, settled sync.WaitGroup
	leave := make(chan struct{})
	for range asked {
		settled.Add(1)
		watching.Go(func() {
			stream, err := v.orders.WatchOrder(v.ctx, &ordersv1.WatchOrderRequest{Id: orderID})
			if err != nil {
				t.Error(err)
				settled.Done()
				return
			}
			defer stream.Close()
			if stream.Receive() {
				watched.Add(1)
				settled.Done()
				<-leave
				return
			}
			if connect.CodeOf(stream.Err()) != connect.CodeResourceExhausted {
				t.Errorf("a stream ended with %v", stream.Err())
			}
			refused.Add(1)
			settled.Done()
		})
	}
	settled.Wait()
	if watched.Load() != most || refused.Load() != asked-most {
		t.Errorf("%d were let in and %d refused, want %d and %d", watched.Load(), refused.Load(), most, asked-most)
	}
	v.order(v.buy("pm_card_visa", item{v.product(1990, 1), 1}).GetId()) // For which no stream is needed.
	close(leave)
	watching.Wait()
}

// manyRequests asks as somebody who is nobody, and not from this machine as far as anybody knows.
func manyRequests(t *testing.T, s *shop) {
	for _, p := range protocols {
		v := enter(t, s, p)
		ask := func() error {
			ctx, info := connect.NewClientContext(v.ctx)
			info.RequestHeader().Set("X-Forwarded-For", "192.0.2.1")
			_, err := v.catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 1})
			if err != nil && info.ResponseHeader().Get("Retry-After") == "" {
				t.Errorf("%s: %v does not say when to ask again", p.name, err)
			}
			return err
		}
		var err error
		for range 1000 {
			if err = ask(); err != nil {
				break
			}
		}
		v.refused("too many requests", err, "resource_exhausted")
		var connectErr *connect.Error
		var delay *errdetails.RetryInfo
		if errors.As(err, &connectErr) && len(connectErr.Details()) == 1 {
			detail, _ := connectErr.Details()[0].Value()
			delay, _ = detail.(*errdetails.RetryInfo)
		}
		if delay.GetRetryDelay().AsDuration() <= 0 {
			t.Errorf("%s: a program is not told when to ask again", p.name)
		}
		v.cart() // Somebody else.
	}
}
