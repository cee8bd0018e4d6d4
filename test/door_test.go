package test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/contract"
)

var doorScenarios = func() []scenario {
	list := []scenario{{"requests that are none of a protocol", connectJSON, rawRequests}}
	for _, p := range protocols {
		list = append(list,
			scenario{"internal methods over " + p.name, p, func(v *visit) { internalMethods(v, p) }},
			scenario{"headers that only the house may set over " + p.name, p, foreignHeaders},
			scenario{"correlation ids over " + p.name, p, correlationIDs})
	}
	return list
}()

// internalMethods holds that what is not public is not there, as is what nobody has ever heard of.
func internalMethods(v *visit, p protocol) {
	procedures := []string{"/cleave.orders.v1.OrderService/Nothing", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check"}
	public := 0
	for _, service := range contract.Services() {
		for _, method := range service.Methods {
			if method.Public {
				public++
			} else {
				procedures = append(procedures, method.Procedure)
			}
		}
	}
	if public == 0 || len(procedures) == 3 {
		v.Fatal("there are no public or no internal methods: the test looks at the wrong thing")
	}
	client := p.client(v, v.shop)
	for _, procedure := range procedures {
		_, err := connect.NewClient[emptypb.Empty, emptypb.Empty](client, v.Public()+procedure, p.options...).CallUnary(v.ctx, connect.NewRequest(&emptypb.Empty{}))
		v.refused(procedure, err, "unimplemented")
	}
}

// foreignHeaders holds that the public port decides who somebody is, and nobody else.
func foreignHeaders(v *visit) {
	somebody := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"usr_somebody","roles":["admin"]}`))
	sku := v.product(1990, 10)
	quote := v.quote(v.cart(item{sku, 1}))
	r := &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"}
	first, err := v.orders.PlaceOrder(v.ctx, r)
	v.must("place an order", err)
	for _, headers := range []http.Header{
		{"Cleave-Principal": {somebody}},
		{"Cleave-Principal": {"not a principal"}},
		{"Cleave-Principal": {""}},
		{"Cleave-Caller": {"orders"}, "Cleave-Request-Id": {"x"}, "Cleave-Correlation-Id": {"x"}},
	} {
		ctx, info := connect.NewClientContext(v.ctx)
		for name, values := range headers {
			info.RequestHeader()[name] = values
		}
		answer, err := v.orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: first.GetOrder().GetId()})
		v.must("get the order as somebody else", err)
		equal(v, "user", answer.GetOrder().GetUserId(), "usr_development")
		// The request id is the user's own: only the same user gets the same answer again.
		ctx, info = connect.NewClientContext(v.ctx)
		for name, values := range headers {
			info.RequestHeader()[name] = values
		}
		again, err := v.orders.PlaceOrder(ctx, r)
		v.must("place the order again as somebody else", err)
		v.same("the order", again, first)
		if id := info.ResponseHeader().Get("X-Correlation-Id"); id == "x" {
			v.Error("the correlation id of a foreign header came back")
		}
		for name := range info.ResponseHeader() {
			if strings.HasPrefix(name, "Cleave-") {
				v.Errorf("the answer has the header %s", name)
			}
		}
	}
}

// correlationIDs holds that every answer has one, the customer's own if it is a fair one.
func correlationIDs(v *visit) {
	call := func(given, orderID string) (string, error) {
		ctx, info := connect.NewClientContext(v.ctx)
		if given != "" {
			info.RequestHeader().Set("X-Correlation-Id", given)
		}
		_, err := v.orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: orderID})
		return info.ResponseHeader().Get("X-Correlation-Id"), err
	}
	order := v.buy("pm_card_visa", item{v.product(1990, 1), 1})
	for _, given := range []string{"support-4711", strings.Repeat("x", 128)} {
		got, err := call(given, order.GetId())
		v.must("get an order", err)
		equal(v, "correlation id", got, given)
	}
	for _, given := range []string{"", strings.Repeat("x", 129), "a b"} {
		got, err := call(given, order.GetId())
		v.must("get an order", err)
		if got == given || !ids.MatchString(got) {
			v.Errorf("for %q the correlation id is %q", given, got)
		}
	}
}

// rawRequests are what scanners, browsers and people with curl send.
func rawRequests(v *visit) {
	client := connectJSON.client(v, v.shop)
	for _, c := range []struct {
		method, path, contentType, body string
		status                          int
		says                            string
	}{
		{"GET", "/", "", "", 200, "/cleave.orders.v1.OrderService/PlaceOrder"},
		{"GET", "/cleave.orders.v1.OrderService/PlaceOrder", "", "", 405, ""}, // It has an effect.
		{"POST", "/cleave.orders.v1.OrderService/GetOrder", "application/json", `{"id":"x"}`, 404, `"code":"not_found"`},
		{"POST", "/cleave.orders.v1.OrderService/GetOrder", "application/json", `{"id":`, 400, `"code":"invalid_argument"`},
		{"POST", "/cleave.orders.v1.OrderService/GetOrder", "application/json", `{"nothing":1}`, 400, `id: must be`}, // Unknown fields are ignored.
		{"POST", "/cleave.orders.v1.OrderService/GetOrder", "text/plain", `x`, 415, ""},
		{"POST", "/cleave.orders.v1.OrderService/getOrder", "application/json", `{}`, 404, `"code":"unimplemented"`},
		{"POST", "/cleave.payments.v1.PaymentService/GetPayment", "application/json", `{"id":"x"}`, 404, `"code":"unimplemented"`},
		{"POST", "//cleave.payments.v1.PaymentService/GetPayment", "application/json", `{"id":"x"}`, 404, `"code":"unimplemented"`},
		{"POST", "/cleave.orders.v1.OrderService/../cleave.payments.v1.PaymentService/GetPayment", "application/json", `{"id":"x"}`, 404, `"code":"unimplemented"`},
		{"POST", "/cleave.payments.v1.PaymentService/GetPayment/", "application/json", `{"id":"x"}`, 404, `"code":"unimplemented"`},
		{"GET", "/metrics", "", "", 404, ""}, {"GET", "/readyz", "", "", 404, ""}, {"GET", "/debug/pprof/", "", "", 404, ""},
		{"GET", "/.env", "", "", 404, ""}, {"OPTIONS", "/", "", "", 404, ""},
		{"HEAD", "/docs", "", "", 200, ""}, {"HEAD", "/openapi.json", "", "", 200, ""}, {"GET", "/docs/page.css", "", "", 404, ""}, {"POST", "/docs", "", "", 404, ""},
	} {
		request, err := http.NewRequestWithContext(v.ctx, c.method, v.Public()+c.path, strings.NewReader(c.body))
		v.must("make a request", err)
		if c.contentType != "" {
			request.Header.Set("Content-Type", c.contentType)
		}
		response, err := client.Do(request)
		v.must(c.method+" "+c.path, err)
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		v.must(c.method+" "+c.path, err)
		if response.StatusCode != c.status || !strings.Contains(string(text), c.says) {
			v.Errorf("%s %s %s: got %d %q, want %d with %q", c.method, c.path, c.body, response.StatusCode, text, c.status, c.says)
		}
		if indiscreet.Match(text) {
			v.Errorf("%s %s tells too much: %q", c.method, c.path, text)
		}
		if response.Header.Get("X-Correlation-Id") == "" {
			v.Errorf("%s %s: the answer has no correlation id", c.method, c.path)
		}
		v.saw("%s %s %s: %d %s %s", c.method, c.path, c.body, response.StatusCode, response.Header.Get("Content-Type"), text)
	}
}
