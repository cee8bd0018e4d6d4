package observability

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// absent are metrics that a shop like that of this test does not have, and why.
var absent = map[string]string{
	"cleave_oidc_keys_age_seconds":    "everybody is the development user: there is no issuer of tokens",
	"cleave_oidc_keys_failures_total": "the same",
}

// empty are what dashboards show where all is well as nothing, by title, and why.
var empty = map[string]string{
	"Alerts":            "no alert fires",
	"annotation Starts": "no process is started again",
}

var metric = regexp.MustCompile(`\b(?:(?:cleave|rpc|db|go|process|scrape)_\w+|(?:service|method):[\w:]+|up\b|ALERTS\b)`)

// selectors are what is written like a metric in a query, and is not: labels, and what is in braces and quotes.
var selectors = regexp.MustCompile(`\{[^}]*\}|\b(?:by|on|group_left)\s*\([^)]*\)|"[^"]*"`)

// metrics returns the names of the metrics that a query needs.
func metrics(query string) []string {
	if parts := labelValues.FindStringSubmatch(query); parts != nil {
		query = parts[1]
	}
	found := metric.FindAllString(selectors.ReplaceAllString(query, " "), -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// needs reports whether a query needs one of the metrics.
func needs(query string, names []string) bool {
	return slices.ContainsFunc(metrics(query), func(name string) bool { return slices.Contains(names, name) })
}

// TestQueries runs every query of every dashboard, and looks for every metric of every rule, in a Prometheus that has scraped a shop in two
// units which has traded.
func TestQueries(t *testing.T) {
	t.Parallel()
	h := open(t, topology.NewBinaries(t))
	p := startPrometheus(t, "127.0.0.1:1", h)
	customer := (&house.House{House: h}).Customer(t)
	sku := trade(t, customer)

	t.Run("metrics", func(t *testing.T) {
		wanted := map[string]string{}
		for _, rule := range p.rules(t) {
			if rule.Health != "ok" {
				t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			for _, name := range metrics(rule.Query) {
				wanted[name] = rule.Name
			}
		}
		for _, q := range queries(t) {
			for _, name := range metrics(q.query) {
				wanted[name] = q.file
			}
		}
		left := map[string]string{}
		for name := range wanted {
			if absent[name] == "" {
				left[name] = fmt.Sprintf("{__name__=%q}", name)
			}
		}
		p.awaitAll(t, left, func(context.Context) error { return nil })
		for name := range absent { // Not before: until the shop has been scraped there is nothing.
			if found, err := p.ask(t.Context(), fmt.Sprintf("{__name__=%q}", name)); err != nil || found > 0 {
				t.Errorf("there is %s: take it off the list (%v)", name, err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(absent)) {
			if wanted[name] == "" {
				t.Errorf("nothing needs %s: take it off the list", name)
			}
		}
	})

	t.Run("dashboards", func(t *testing.T) {
		missing := slices.Collect(maps.Keys(absent))
		asks := queries(t)
		for title := range empty {
			if !slices.ContainsFunc(asks, func(q asked) bool { return q.title == title }) {
				t.Errorf("no dashboard has %s: take it off the list", title)
			}
		}
		left := map[string]string{}
		for i, q := range asks {
			if empty[q.title] == "" && !needs(q.query, missing) {
				left[fmt.Sprintf("%s, %s (%d)", q.file, q.title, i)] = q.query
			} else if _, err := p.ask(t.Context(), q.query); err != nil {
				t.Errorf("%s, %s: %v", q.file, q.title, err)
			}
		}
		// Rates want a shop that goes on.
		p.awaitAll(t, left, func(ctx context.Context) error {
			_, err := customer.Quote(ctx, sku, 1)
			return err
		})
	})
}

// awaitAll waits until each query has found something, after something was done.
func (p *prometheus) awaitAll(t testing.TB, left map[string]string, do func(context.Context) error) {
	t.Helper()
	await(t, func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		var missing []error
		for _, what := range slices.Sorted(maps.Keys(left)) {
			found, err := p.ask(ctx, left[what])
			if err == nil && found > 0 {
				delete(left, what)
				continue
			}
			missing = append(missing, fmt.Errorf("%s: %s finds nothing (%v)", what, left[what], err))
		}
		return errors.Join(missing...)
	})
}

// open opens a shop in two units that show each other certificates.
func open(t testing.TB, binaries *topology.Binaries) *topology.House {
	t.Helper()
	authority := mtlstest.New(t)
	database := postgrestest.Database(t)
	var units []topology.Unit
	for _, modules := range [][]string{{"catalog", "inventory", "notifications"}, {"orders", "payments", "edge"}} {
		name := strings.Join(modules, "-")
		f := mtlstest.NewFolder(t, authority.Unit(name), authority)
		unit := topology.Unit{Name: name, Binary: binaries.Build(t, "cmd/svc", modules...), Modules: modules, Env: map[string]string{
			"DATABASE_URL": database, "CLEAVE_TLS_CERT_FILE": f.Cert, "CLEAVE_TLS_KEY_FILE": f.Key, "CLEAVE_TLS_CA_FILE": f.CA,
		}}
		if i := slices.Index(modules, "edge"); i >= 0 {
			unit.Modules, unit.Edge = modules[:i], true
		}
		units = append(units, unit)
	}
	return topology.Start(t, units...)
}

// trade has customers buy, and be refused, and leaves one who waits because the payment provider does not answer. It returns what they buy.
func trade(t testing.TB, customer *house.Customer) (sku string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sku, err := customer.Product(ctx, 1999, 100)
	if err != nil {
		t.Fatal(err)
	}
	for method, state := range map[string]ordersv1.OrderState{
		"pm_card_visa": ordersv1.OrderState_ORDER_STATE_CONFIRMED, "pm_card_declined": ordersv1.OrderState_ORDER_STATE_REJECTED,
	} {
		order, err := customer.Buy(ctx, method, sku, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := customer.Await(ctx, order.GetId(), state); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := customer.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: "ord_01a1fdad074278e680c5e4fa22541122"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Fatalf("an order that is not there: %v", err)
	}
	if _, err := customer.Buy(ctx, "pm_provider_down", sku, 1); err != nil {
		t.Fatal(err)
	}
	return sku
}
