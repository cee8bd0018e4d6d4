package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
)

var restScenarios = []scenario{
	{"an order over REST", connectJSON, orderOverREST},
	{"what REST refuses", connectJSON, refusedOverREST},
	{"the small contract", connectJSON, smallContract},
	{"the OpenAPI document", connectJSON, openAPIDocument},
}

// answer is what a plain request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a plain request, with a body if it is not empty, and headers like "Name: value".
func (v *visit) ask(verb, path, body string, headers ...string) answer {
	v.Helper()
	r, err := http.NewRequestWithContext(v.ctx, verb, v.Public()+path, strings.NewReader(body))
	v.must("make a request", err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := connectJSON.client(v, v.shop).Do(r)
	v.must(verb+" "+path, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	v.must(verb+" "+path, err)
	if indiscreet.Match(text) && path != "/openapi.json" { // Which is full of paths.
		v.Errorf("%s %s tells too much: %q", verb, path, text)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// got makes a plain request that goes well, and returns a value of the answer: one word a step down.
func (v *visit) got(status int, verb, path, body string, headers ...string) func(steps ...any) any {
	v.Helper()
	a := v.ask(verb, path, body, headers...)
	var whole any
	if err := json.Unmarshal([]byte(a.body), &whole); err != nil || a.status != status {
		v.Fatalf("%s %s: got %d %s, want %d", verb, path, a.status, a.body, status)
	}
	v.saw("%s %s: %d, location %s", verb, path, a.status, a.header.Get("Location"))
	return func(steps ...any) any {
		value := whole
		for _, step := range steps {
			switch step := step.(type) {
			case string:
				value, _ = value.(map[string]any)[step]
			case int:
				value = value.([]any)[step]
			}
		}
		return value
	}
}

func key() string { return "Idempotency-Key: " + request() }

// orderOverREST is the way of an order, as a program without any library goes it.
func orderOverREST(v *visit) {
	sku := v.product(1190, 10)
	equal[any](v, "in stock", v.got(200, "GET", "/v1/availabilities:batchGet?skus="+sku+"&skus=none", "")("availabilities", 0, "available"), "10")
	product := v.got(200, "GET", "/v1/variants:batchGet?skus="+sku, "")("variants", 0, "productId").(string)
	equal[any](v, "state", v.got(200, "GET", "/v1/products/"+product, "")("product", "state"), "PRODUCT_STATE_PUBLISHED")
	if page := v.got(200, "GET", "/v1/products?pageSize=2&category=garden", ""); len(page("products").([]any)) != 2 || page("nextPageToken") == "" {
		v.Error("the first page is not one")
	}

	created := v.ask("POST", "/v1/carts", "", key())
	location := created.header.Get("Location")
	equal(v, "status", created.status, 201)
	cart := v.got(200, "GET", location, "")("cart", "id").(string)
	equal(v, "location", location, "/v1/carts/"+cart)
	equal[any](v, "quantity", v.got(200, "PUT", "/v1/carts/"+cart+"/items/"+sku, `{"quantity":2}`, key())("cart", "items", 0, "quantity"), "2")
	quote := v.got(201, "POST", "/v1/carts/"+cart+"/quotes", `{"requestId":"`+request()+`"}`)
	equal[any](v, "total", quote("quote", "total", "amount"), "2380")

	wish := `{"quoteId":"` + quote("quote", "id").(string) + `","paymentMethod":"pm_card_visa"}`
	once := key()
	placed := v.ask("POST", "/v1/orders", wish, once)
	order := strings.TrimPrefix(placed.header.Get("Location"), "/v1/orders/")
	equal(v, "status", placed.status, 201)
	if again := v.ask("POST", "/v1/orders", wish, once); again.status != 201 || again.body != placed.body || again.header.Get("Location") != placed.header.Get("Location") {
		v.Errorf("the same key got %d %s, at first it got %s", again.status, again.body, placed.body)
	}
	// The body says more than the header.
	v.restRefused("POST", "/v1/orders", strings.Replace(wish, "{", `{"requestId":"`+request()+`",`, 1), 400, "failed_precondition", "QUOTE_USED", "", once)
	v.restRefused("POST", "/v1/orders", strings.Replace(wish, "visa", "other", 1), 409, "already_exists", "REQUEST_ID_REUSED", "", once)

	var states []string
	lines := bufio.NewScanner(strings.NewReader(v.ask("GET", "/v1/orders/"+order+":watch", "").body))
	for lines.Scan() {
		var line struct {
			Transition struct{ State string }
			Order      struct{ ID string }
		}
		v.must("read a line", json.Unmarshal(lines.Bytes(), &line))
		equal(v, "order", line.Order.ID, order)
		states = append(states, line.Transition.State)
	}
	equal(v, "states", strings.Join(states, " "), "ORDER_STATE_PENDING ORDER_STATE_RESERVED ORDER_STATE_PAYING ORDER_STATE_CONFIRMED")
	events := v.ask("GET", "/v1/orders/"+order+":watch?afterSequence=3", "", "Accept: text/event-stream")
	if kind := events.header.Get("Content-Type"); kind != "text/event-stream" || !strings.HasPrefix(events.body, "data: {") || !strings.HasSuffix(events.body, "}\n\n") {
		v.Errorf("the events are %s %q", kind, events.body)
	}
	equal[any](v, "state", v.got(200, "GET", "/v1/orders/"+order, "")("order", "state"), "ORDER_STATE_CONFIRMED")
	equal[any](v, "first event", v.got(200, "GET", "/v1/orders/"+order+"/events?page_size=1", "")("events", 0, "state"), "ORDER_STATE_PENDING")
	equal[any](v, "state", v.got(200, "POST", "/v1/orders/"+order+":cancel", "", key())("order", "state"), "ORDER_STATE_CANCEL_PENDING")
	v.got(200, "GET", "/v1/orders?pageSize=1", "")
	v.got(200, "GET", "/v1/messages", "")
}

// restRefused makes a plain request that is refused, and requires what is told.
func (v *visit) restRefused(verb, path, body string, status int, code, reason, field string, headers ...string) {
	v.Helper()
	a := v.ask(verb, path, body, headers...)
	var told struct {
		Error struct {
			Code, Message, Reason, CorrelationID string
			Fields                               []struct{ Field, Message string }
		}
	}
	v.must("read the error", json.Unmarshal([]byte(a.body), &told))
	e := told.Error
	if a.status != status || e.Code != code || e.Reason != reason || e.Message == "" || e.CorrelationID != a.header.Get("X-Correlation-Id") ||
		field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != field) {
		v.Errorf("%s %s %s: got %d %s", verb, path, body, a.status, a.body)
	}
	v.saw("%s %s %s: %d %s %s %s %v", verb, path, body, a.status, e.Code, e.Reason, e.Message, e.Fields)
}

// refusedOverREST is what people with curl get wrong.
func refusedOverREST(v *visit) {
	cart := v.cart()
	v.restRefused("GET", "/v1/orders/none", "", 404, "not_found", "", "")
	v.restRefused("GET", "/v1/orders/none:watch", "", 404, "not_found", "", "")
	v.restRefused("GET", "/v1/nothing", "", 404, "not_found", "NO_SUCH_ROUTE", "")
	v.restRefused("GET", "/v1/orders/", "", 404, "not_found", "NO_SUCH_ROUTE", "")
	v.restRefused("DELETE", "/v1/orders/none", "", 405, "unimplemented", "METHOD_NOT_ALLOWED", "")
	v.restRefused("GET", "/v1/orders/none:cancel", "", 405, "unimplemented", "METHOD_NOT_ALLOWED", "")
	v.restRefused("POST", "/v1/carts", "", 400, "invalid_argument", "", "requestId")
	v.restRefused("POST", "/v1/carts", "a=b", 415, "invalid_argument", "CONTENT_TYPE", "", "Content-Type: application/x-www-form-urlencoded")
	v.restRefused("POST", "/v1/carts", `{"requestId":`, 400, "invalid_argument", "", "")
	v.restRefused("PUT", "/v1/carts/"+cart+"/items/MUG-OAK-SMALL", `{"quantity":10001}`, 400, "invalid_argument", "", "quantity", key())
	v.restRefused("PUT", "/v1/carts/"+cart+"/items/none", `{"quantity":1}`, 404, "not_found", "", "", key())
	v.restRefused("PUT", "/v1/carts/"+cart+"/items/MUG-OAK-SMALL", `{"quantity":1,"cartId":"crt_other"}`, 400, "invalid_argument", "", "", key())
	v.restRefused("POST", "/v1/carts/"+cart+"/quotes", "", 400, "failed_precondition", "CART_EMPTY", "", key())
	v.restRefused("GET", "/v1/orders?pageSize=-1", "", 400, "invalid_argument", "", "pageSize")
	v.restRefused("GET", "/v1/orders?pageToken=nonsense", "", 400, "invalid_argument", "", "")
	v.restRefused("GET", "/v1/availabilities:batchGet", "", 400, "invalid_argument", "", "skus")
}

// smallContract is what programs have been written against, byte for byte.
func smallContract(v *visit) {
	sku := id.New("sku")
	v.price(sku, 1190)
	v.stock(sku, 10)
	product := v.got(200, "GET", "/v1/variants:batchGet?skus="+sku, "")("variants", 0, "productId").(string)
	exactly := func(got answer, status int, body string) {
		v.Helper()
		if kind := got.header.Get("Content-Type"); got.status != status || got.body != body || kind != "application/json" {
			v.Errorf("got %d %s %q, want %d %q", got.status, kind, got.body, status, body)
		}
		v.saw("%d %s", got.status, strings.ReplaceAll(got.body, sku, "…"))
	}
	wish := `{"user_id": "usr_development", "product_id": "` + product + `", "quantity": 2}`
	placed := v.ask("POST", "/orders", wish)
	var told struct {
		OrderID string `json:"order_id"`
	}
	v.must("read the answer", json.Unmarshal([]byte(placed.body), &told))
	exactly(placed, 201, `{"order_id":"`+told.OrderID+`","status":"created"}`)
	exactly(v.ask("GET", "/orders/"+told.OrderID, ""), 200, `{"id":"`+told.OrderID+`","user_id":"usr_development","product_id":"`+product+`","quantity":2}`)
	exactly(v.ask("GET", "/orders/ord_none", ""), 404, `{"error":"Order not found"}`)
	exactly(v.ask("GET", "/orders/"+strings.Repeat("9", 100), ""), 404, `{"error":"Order not found"}`)
	// It is an order like every other, which is seen through.
	v.settled(told.OrderID, confirmed, "")
	equal(v, "in stock", v.available(sku), 8)

	once := key()
	first, again := v.ask("POST", "/orders", wish, once), v.ask("POST", "/orders", wish, once)
	if first.status != 201 || first.body == placed.body || again.body != first.body {
		v.Errorf("with a key it got %s, and again %s; without one %s", first.body, again.body, placed.body)
	}
	exactly(v.ask("POST", "/orders", strings.Replace(wish, "2}", "3}", 1), once), 409, `{"error":"request_id \"`+strings.TrimPrefix(once, "Idempotency-Key: ")+`\" was used for another request: choose a new one"}`)

	exactly(v.ask("POST", "/orders", strings.Replace(wish, "development", "somebody", 1)), 403, `{"error":"user_id must be your own"}`)
	exactly(v.ask("POST", "/orders", strings.Replace(wish, product, "prd_none", 1)), 404, `{"error":"product \"prd_none\" not found"}`)
	exactly(v.ask("POST", "/orders", strings.Replace(wish, "2}", "0}", 1)), 400, `{"error":"validation error: quantity: must be greater than or equal to 1 and less than or equal to 10000"}`)
	exactly(v.ask("POST", "/orders", `{"user_id":`), 400, `{"error":"the body is no JSON object: unexpected end of JSON input"}`)
	exactly(v.ask("POST", "/orders", "a=b", "Content-Type: text/plain"), 415, `{"error":"the body is not declared as JSON: send Content-Type: application/json"}`)
	exactly(v.ask("GET", "/orders", ""), 405, `{"error":"this path takes POST"}`)
	exactly(v.ask("GET", "/orders/a/b", ""), 404, `{"error":"there is nothing at this path: GET /openapi.json lists what there is"}`)

	two := v.buy("pm_card_visa", item{sku, 1}, item{"MUG-OAK-SMALL", 1})
	exactly(v.ask("GET", "/orders/"+two.GetId(), ""), 400, `{"error":"order `+two.GetId()+` has several products: get it at /v1/orders/`+two.GetId()+`"}`)
	many := id.New("sku")
	upserted, err := v.catalog.BatchUpsertProducts(v.ctx, &catalogv1.BatchUpsertProductsRequest{RequestId: request(), Products: []*catalogv1.UpsertProduct{{
		Title: "Shirt", State: published, Variants: []*catalogv1.UpsertVariant{
			{Sku: many, Title: "S", Price: &typev1.Money{Amount: 1, Currency: "EUR"}}, {Sku: many + "-M", Title: "M", Price: &typev1.Money{Amount: 1, Currency: "EUR"}},
		},
	}}})
	v.must("offer a product of two variants", err)
	shirt := upserted.GetProductIds()[0]
	exactly(v.ask("POST", "/orders", strings.Replace(wish, product, shirt, 1)), 400,
		`{"error":"product `+shirt+` is sold in 2 variants: put the SKU that you want into a cart, see POST /v1/carts"}`)
}

// openAPIDocument holds that the document is there, and is not sent to whom has it.
func openAPIDocument(v *visit) {
	first := v.ask("GET", "/openapi.json", "")
	if first.status != 200 || first.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(first.body)) || !bytes.Contains([]byte(first.body), []byte(`"openapi": "3.1.0"`)) {
		v.Fatalf("got %d %s", first.status, first.header)
	}
	again := v.ask("GET", "/openapi.json", "", "If-None-Match: "+first.header.Get("Etag"))
	if again.status != 304 || again.body != "" {
		v.Errorf("whoever has it got %d and %d bytes", again.status, len(again.body))
	}
	v.saw("%s", first.header.Get("Etag"))
}
