package load

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/internal/customer"
)

// TestLatencyCountsFromArrival holds that a customer who is let in late has waited, for the first of his calls and for all of the visit.
// The second call is his own pace.
func TestLatencyCountsFromArrival(t *testing.T) {
	t.Parallel()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/proto") // An empty message is one of any type.
	}))
	t.Cleanup(shop.Close)
	const late = time.Hour
	r := newRecord()
	c := &crowd{
		Customer: customer.New(http.DefaultClient, shop.URL, connect.WithInterceptors(measure{r})), record: r, skus: []string{"MUG"}, carts: make(chan cart, 1),
	}
	c.visit(t.Context(), add, time.Now().Add(-late), rand.New(rand.NewPCG(1, 1)))
	report := r.report(Options{}, time.Second, time.Second)
	if len(report.Methods) != 2 || report.Failed != 0 {
		t.Fatalf("%+v", report)
	}
	first, second, all := report.Methods[0], report.Methods[1], report.Visits[1]
	if time.Duration(first.Max) < late || time.Duration(all.Max) < late || time.Duration(second.Max) >= late {
		t.Errorf("who was let in %v late waited %v for %s, %v for %s, and %v in all", late,
			time.Duration(first.Max), first.Name, time.Duration(second.Max), second.Name, time.Duration(all.Max))
	}
}
