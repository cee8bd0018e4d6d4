package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/modules/catalog"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// storefront is the catalog behind a public port, where everybody may do everything.
func storefront(t *testing.T) string {
	t.Helper()
	house := moduletest.Start(t, catalog.Module)
	var services []*rpc.Service
	for _, s := range contract.Services() {
		if s.Module == catalog.Module.Name {
			services = append(services, s)
		}
	}
	door := edge.New(edge.Config{
		Services: services, Route: func(string) http.Handler { return house.Handler() },
		Authenticate: func(*http.Request) (rpc.Principal, error) { return rpc.Everything("usr_staff", services), nil },
	})
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	return server.URL
}

// work runs cleave products, and returns what it printed.
func work(t *testing.T, url string, args ...string) (out, errs string, err error) {
	t.Helper()
	c := command()
	var stdout, stderr bytes.Buffer
	c.SetOut(&stdout)
	c.SetErr(&stderr)
	c.SetArgs(append(append([]string{"products"}, args...), "--url", url))
	err = c.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// A day of somebody who keeps the shop, from a file to what is not for sale any more.
func TestProducts(t *testing.T) {
	t.Parallel()
	url := storefront(t)
	file := filepath.Join(t.TempDir(), "spring.CSV")
	if err := os.WriteFile(file, []byte("sku,title,category,price_amount,price_currency,state\nm1,Oak mug,kitchen,1190,EUR,\nb1,Oak bowl,kitchen,12.99,EUR,\nl1,Lantern,garden,990,EUR,draft\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := work(t, url, "import", file)
	if err == nil || !strings.Contains(err.Error(), "1 rows are wrong") || !strings.Contains(out, "3 rows, 1 of them wrong") || !strings.Contains(errs, `"12.99" is no number`) || strings.Contains(errs, "\r") {
		t.Errorf("import: %v\n%s\n%s", err, out, errs)
	}
	out, errs, err = work(t, url, "search", "oak", "mgu")
	if err != nil || !strings.Contains(out, "Oak mug") || !strings.Contains(out, "1190 EUR") || !strings.Contains(errs, "Also looked for: oak mug") {
		t.Errorf("search: %v\n%s\n%s", err, out, errs)
	}
	out, _, err = work(t, url, "list", "--state", "draft", "--json")
	var draft struct {
		ID, State string
		Variants  []struct{ SKU string }
	}
	if err != nil || json.Unmarshal([]byte(out), &draft) != nil || draft.State != "PRODUCT_STATE_DRAFT" || draft.Variants[0].SKU != "l1" {
		t.Fatalf("list: %v\n%s", err, out)
	}
	if out, _, err = work(t, url, "get", draft.ID); err != nil || !strings.Contains(out, "Lantern is draft") || !strings.Contains(out, "l1") {
		t.Errorf("get: %v\n%s", err, out)
	}
	if out, _, err = work(t, url, "publish", draft.ID); err != nil || !strings.Contains(out, "Lantern is published") {
		t.Errorf("publish: %v\n%s", err, out)
	}
	if out, _, err = work(t, url, "list", "--category", "garden"); err != nil || !strings.Contains(out, draft.ID) || strings.Contains(out, "mug") {
		t.Errorf("list: %v\n%s", err, out)
	}
	if out, _, err = work(t, url, "archive", "prd_unknown", draft.ID); err == nil || !strings.Contains(err.Error(), "prd_unknown") || !strings.Contains(out, "Lantern is archived") {
		t.Errorf("archive: %v\n%s", err, out)
	}
	if out, errs, err = work(t, url, "list", "--category", "garden"); err != nil || out != "" || !strings.Contains(errs, "no such product") {
		t.Errorf("list: %v\n%s\n%s", err, out, errs)
	}
	for _, args := range [][]string{{"get", "prd_unknown"}, {"list", "--state", "sold"}, {"list", "--limit", "0"}, {"import", "spring.txt"}, {"import", "missing.csv"}, {"list", "--state", "draft", "--category", "x"}} {
		if _, _, err := work(t, url, args...); err == nil {
			t.Errorf("%q is no error", args)
		}
	}
	if names, err := (&products{desk{publicPort: publicPort{url: url}}}).categories(t.Context()); err != nil || strings.Join(names, " ") != "kitchen" {
		t.Errorf("categories are completed with %q, %v", names, err)
	}
}

func TestBarShowsHowFar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := &bar{out: &out}
	b.show("handed over", 2_500_000, 0, 0)
	b.show("imported", 50, 100, 7)
	b.end()
	if got := out.String(); !strings.Contains(got, "handed over 2.5 MB") || !strings.Contains(got, "[###############...............]  50 % 7 rows imported") || !strings.HasSuffix(got, "\n") {
		t.Errorf("%q", got)
	}
}
