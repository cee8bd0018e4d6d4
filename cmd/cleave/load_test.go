package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

// stall is a shop that sells whatever it is asked for, and can be told to answer nothing for a while, or to refuse.
type stall struct {
	catalogv1connect.UnimplementedCatalogServiceHandler
	inventoryv1connect.UnimplementedInventoryServiceHandler
	ordersv1connect.UnimplementedCartServiceHandler
	ordersv1connect.UnimplementedOrderServiceHandler

	url      string
	visitors atomic.Int64 // Calls for products.
	answers  sync.RWMutex // Held while nothing is answered.
	refusal  error        // Of orders.
}

// openStall opens a shop whose operator's port is the same.
func openStall(t *testing.T) *stall {
	t.Helper()
	s := &stall{}
	mux := http.NewServeMux()
	mux.Handle(catalogv1connect.NewCatalogServiceHandler(s))
	mux.Handle(inventoryv1connect.NewInventoryServiceHandler(s))
	mux.Handle(ordersv1connect.NewCartServiceHandler(s))
	mux.Handle(ordersv1connect.NewOrderServiceHandler(s))
	var seconds atomic.Int64
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %d\n", seconds.Add(2))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *stall) wait() {
	s.answers.RLock()
	defer s.answers.RUnlock()
}

func (s *stall) ListProducts(context.Context, *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	s.wait()
	return &catalogv1.ListProductsResponse{Products: []*catalogv1.Product{{Id: "prd_1", Variants: []*catalogv1.Variant{{Sku: "MUG"}, {Sku: "GONE"}}}}}, nil
}

func (s *stall) GetProduct(context.Context, *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	s.visitors.Add(1)
	s.wait()
	return &catalogv1.GetProductResponse{}, nil
}

func (s *stall) BatchUpsertProducts(context.Context, *catalogv1.BatchUpsertProductsRequest) (*catalogv1.BatchUpsertProductsResponse, error) {
	return &catalogv1.BatchUpsertProductsResponse{}, nil
}

func (s *stall) BatchGetAvailability(_ context.Context, r *inventoryv1.BatchGetAvailabilityRequest) (*inventoryv1.BatchGetAvailabilityResponse, error) {
	answer := &inventoryv1.BatchGetAvailabilityResponse{}
	for _, sku := range r.GetSkus() {
		a := &inventoryv1.Availability{Sku: sku}
		if sku == "MUG" {
			a.Available = 1000
		}
		answer.Availabilities = append(answer.Availabilities, a)
	}
	return answer, nil
}

func (s *stall) AdjustStock(context.Context, *inventoryv1.AdjustStockRequest) (*inventoryv1.AdjustStockResponse, error) {
	return &inventoryv1.AdjustStockResponse{}, nil
}

func (s *stall) CreateCart(context.Context, *ordersv1.CreateCartRequest) (*ordersv1.CreateCartResponse, error) {
	s.wait()
	return &ordersv1.CreateCartResponse{Cart: &ordersv1.Cart{Id: "crt_1"}}, nil
}

func (s *stall) GetCart(context.Context, *ordersv1.GetCartRequest) (*ordersv1.GetCartResponse, error) {
	s.wait()
	return &ordersv1.GetCartResponse{}, nil
}

func (s *stall) SetCartItem(_ context.Context, r *ordersv1.SetCartItemRequest) (*ordersv1.SetCartItemResponse, error) {
	s.wait()
	if r.GetSku() == "GONE" {
		return nil, connect.NewError(connect.CodeInternal, nil)
	}
	return &ordersv1.SetCartItemResponse{}, nil
}

func (s *stall) CreateQuote(context.Context, *ordersv1.CreateQuoteRequest) (*ordersv1.CreateQuoteResponse, error) {
	s.wait()
	return &ordersv1.CreateQuoteResponse{Quote: &ordersv1.Quote{Id: "quo_1"}}, nil
}

func (s *stall) PlaceOrder(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	s.wait()
	return &ordersv1.PlaceOrderResponse{Order: &ordersv1.Order{Id: "ord_1"}}, s.refusal
}

func (s *stall) WatchOrder(_ context.Context, _ *ordersv1.WatchOrderRequest, stream *connect.ServerStream[ordersv1.WatchOrderResponse]) error {
	return stream.Send(&ordersv1.WatchOrderResponse{Order: &ordersv1.Order{State: ordersv1.OrderState_ORDER_STATE_CONFIRMED}})
}

// loaded runs the load against a shop and returns its report and how it ended.
func (s *stall) loaded(t *testing.T, args ...string) (report loadReport, err error) {
	t.Helper()
	return s.loadedUntil(t, t.Context(), args...)
}

func (s *stall) loadedUntil(t *testing.T, ctx context.Context, args ...string) (report loadReport, err error) {
	t.Helper()
	var out bytes.Buffer
	c := command()
	c.SetArgs(append([]string{"load", "--json", "--url", s.url, "--admin", s.url}, args...))
	c.SetOut(&out)
	c.SetErr(&bytes.Buffer{})
	err = c.ExecuteContext(ctx)
	if jsonErr := json.Unmarshal(out.Bytes(), &report); jsonErr != nil {
		t.Fatalf("%v, and it printed %q: %v", err, out.String(), jsonErr)
	}
	return report, err
}

// loadReport is what the tests look at.
type loadReport struct {
	Interrupted               bool
	Arrivals, Dropped, Failed int64
	Visits, Methods           []loadLine
	Orders                    map[string]int64
	Requests                  int64
	ProcessorSeconds          float64 `json:"processor_seconds"`
	ProcessorPerThousand      float64 `json:"processor_seconds_per_1000_requests"`
	Sale                      *struct{ Pieces, Asked, Confirmed int64 }
}

type loadLine struct {
	Name   string
	Count  int64
	P95    float64 `json:"p95_ms"`
	Errors map[string]int64
}

// TestLoad lets customers come to a shop in which everything goes well.
func TestLoad(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"browse", "shop", "order"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			r, err := openStall(t).loaded(t, "--profile", profile, "--rate", "500", "--for", "1s", "--max-errors", "0", "--max-in-flight", "1000")
			if err != nil || r.Failed != 0 || r.Visits[0].Count != r.Arrivals {
				t.Fatalf("%v: %+v", err, r)
			}
			// A Poisson process of 500 is between 300 and 700 but for once in 10^18 times.
			if r.Arrivals < 300 || r.Arrivals > 700 {
				t.Errorf("%d came", r.Arrivals)
			}
			names := map[string]int64{}
			for _, l := range append(r.Visits, r.Methods...) {
				names[l.Name] = l.Count
			}
			if names["checkout"] == 0 || names["checkout"] != names["OrderService/PlaceOrder"] || names["checkout"] != r.Orders["confirmed"] {
				t.Errorf("orders do not add up: %v, %v", names, r.Orders)
			}
			if profile == "browse" && (names["add"] == 0 || names["view"] == 0 || names["browse"] < names["checkout"]) {
				t.Errorf("they came for %v", names)
			}
			if r.ProcessorSeconds != 2 || r.ProcessorPerThousand != 2000/float64(r.Requests) {
				t.Errorf("the shop used 2 s for %d requests, and the report says %v s, %v for 1000", r.Requests, r.ProcessorSeconds, r.ProcessorPerThousand)
			}
		})
	}
}

// TestLoadOfASlowShop holds that nobody waits for a shop that stands still before they come: those who came meanwhile have waited, and those
// for whom there was no room are counted.
func TestLoadOfASlowShop(t *testing.T) {
	t.Parallel()
	const standstill = time.Second
	for _, c := range []struct {
		name    string
		room    string
		dropped bool
	}{{"room for all", "1000", false}, {"room for a few", "5", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openStall(t)
			go func() { // It stands still as soon as somebody comes.
				for s.visitors.Load() == 0 && t.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				s.answers.Lock()
				time.AfterFunc(standstill, s.answers.Unlock)
			}()
			r, err := s.loaded(t, "--profile", "browse", "--rate", "100", "--for", "2s", "--max-in-flight", c.room, "--max-errors", "1")
			if (err != nil) != c.dropped || (r.Dropped > 0) != c.dropped || r.Failed != 0 {
				t.Fatalf("%v: %+v", err, r)
			}
			if r.Visits[0].Count+r.Dropped != r.Arrivals || r.Arrivals < 100 {
				t.Errorf("%d came, %d were served and %d dropped", r.Arrivals, r.Visits[0].Count, r.Dropped)
			}
			// Half of all came while it stood still, and so half of these waited for more than half of the time.
			if late := r.Visits[0].P95; !c.dropped && late < 500 {
				t.Errorf("p95 is %v ms, although nothing was answered for %v", late, standstill)
			}
		})
	}
}

// TestLoadEnds holds that a load that is told to end says what it has seen.
func TestLoadEnds(t *testing.T) {
	t.Parallel()
	s := openStall(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.visitors.Load() < 5 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r, err := s.loadedUntil(t, ctx, "--profile", "browse", "--rate", "100", "--for", "1h", "--max-errors", "0")
	if err != nil || !r.Interrupted || r.Visits[0].Count < 5 || r.Failed != 0 {
		t.Errorf("%v: %+v", err, r)
	}
}

// TestLoadFinds holds that failures, refusals and an oversold shelf are told, and that the program ends with 1.
func TestLoadFinds(t *testing.T) {
	t.Parallel()
	oversold := openStall(t)
	r, err := oversold.loaded(t, "--profile", "flash", "--rate", "200", "--for", "500ms", "--stock", "5")
	if err == nil || !strings.Contains(err.Error(), "pieces were sold of 5") || r.Sale.Confirmed <= 5 {
		t.Errorf("an oversold shelf: %v, %+v", err, r.Sale)
	}
	if _, err := oversold.loaded(t, "--profile", "flash", "--rate", "10", "--for", "300ms", "--stock", "500"); err == nil || !strings.Contains(err.Error(), "so nothing is proven") {
		t.Errorf("a shelf that nobody empties: %v", err)
	}
	refusing := openStall(t)
	refusing.refusal = connect.NewError(connect.CodeResourceExhausted, nil)
	r, err = refusing.loaded(t, "--profile", "order", "--rate", "200", "--for", "500ms", "--max-errors", "10")
	if err == nil || !strings.Contains(err.Error(), "CLEAVE_RATE_LIMIT=0") || !strings.Contains(err.Error(), "CLEAVE_BUSY_AT") || r.Failed == 0 || r.Failed == r.Arrivals {
		t.Errorf("refusals: %v, %+v", err, r)
	}
	url := nobody(t)
	for args, want := range map[string]string{
		"--url " + url:              "nobody answers at " + url,
		"--profile rush":            `--profile "rush" is none of browse, flash, order, shop`,
		"--rate 0":                  "--rate is more than 0",
		"--rate NaN":                "--rate is more than 0",
		"--for -1s":                 "--for is a duration",
		"--max-in-flight 0":         "--max-in-flight is a number from 1",
		"--profile flash --stock 0": "--stock is a number from 1",
		"--max-errors few --for 1h": "--max-errors",
		"browse":                    "unknown command",
	} {
		if _, err := run(t, append([]string{"load"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load %s: %v, want %s", args, err, want)
		}
	}
}
