package client

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/browsertest"
)

// pages serves the page of another app, at an origin of its own, and returns that: a gRPC-Web client of the well-known library, which
// reads the contracts at run time instead of being generated.
func pages(t *testing.T) string {
	t.Helper()
	contracts, err := proto.Marshal(contracts())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("testdata")))
	mux.Handle("/node_modules/", http.StripPrefix("/node_modules/", http.FileServer(http.Dir(browsertest.Packages(t)))))
	mux.HandleFunc("/contracts.binpb", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(contracts) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// contracts returns the contracts of orders, and everything that they import.
func contracts() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(ordersv1.File_cleave_orders_v1_carts_proto)
	add(ordersv1.File_cleave_orders_v1_orders_proto)
	return set
}

// web shops in a browser, from a page of another origin that may.
func web(t *testing.T, browser *browsertest.Browser, url, origin string) {
	page := enter(t, browser, origin)
	seen := browsertest.Evaluate[[]string](t, page, `shop("`+url+`")`)
	equal(t, "the page has seen", strings.Join(seen, "\n"), `
2 × MUG-OAK-SMALL: 2380 EUR
order placed
stock reserved
payment authorized
payment captured
not_found: order "ord_nothing" not found
failed_precondition: CART_STATE
`)
}

// stranger holds that a page of an origin that nobody has allowed gets no answer.
func stranger(t *testing.T, browser *browsertest.Browser, url, origin string) {
	page := enter(t, browser, origin)
	failure := browsertest.Evaluate[string](t, page, `shop("`+url+`").then((seen) => seen.join(), (error) => "" + error)`)
	if !strings.Contains(failure, "Failed to fetch") {
		t.Errorf("the page says %s", failure)
	}
	if complaints := strings.Join(page.Complaints(), "\n"); !strings.Contains(complaints, "blocked by CORS policy") {
		t.Errorf("the browser says %s", complaints)
	}
}

// enter opens the page of another app, and waits until it is ready.
func enter(t *testing.T, browser *browsertest.Browser, origin string) *browsertest.Page {
	t.Helper()
	page := browser.Open(t, origin)
	page.Do(t, chromedp.WaitVisible("#ready"))
	return page
}
