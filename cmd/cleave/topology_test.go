package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/cmd/internal/chart"
)

// standing is an operator's port that says the same whenever it is asked. An empty answer is none.
func standing(t *testing.T, modules, unready, peers string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(modules)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if unready != "" {
			http.Error(w, unready, http.StatusServiceUnavailable)
		}
	})
	if peers != "" {
		mux.HandleFunc("GET /peers", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(peers)) })
	}
	port := httptest.NewServer(mux)
	t.Cleanup(port.Close)
	return port.URL
}

// TestTopologyIsGenerated holds that the page of the documentation shows the map that the program carries.
func TestTopologyIsGenerated(t *testing.T) {
	t.Parallel()
	drawn, err := run(t, "topology", "--markdown")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../../docs/topology.md")
	if err != nil || string(committed) != drawn {
		t.Errorf("docs/topology.md is not what the map says (%v): run make generate", err)
	}
}

// TestTopology draws a house of which nobody is asked, and one whose units answer in every way.
func TestTopology(t *testing.T) {
	t.Parallel()
	sales := standing(t, `["orders","payments"]`, "", `[
		{"module":"orders","target":"catalog","service":"cleave.catalog.v1.CatalogService","breaker":"open","in_flight":3,"policy":{"timeout":"7s","attempts":3,"calls_at_once":256},"addresses":[{"url":"http://a:9080","up":true},{"url":"http://b:9080","up":false}]},
		{"module":"orders","target":"inventory","service":"cleave.inventory.v1.InventoryService","breaker":"closed","in_flight":0,"addresses":[{"url":"http://c:9080","up":false}]}]`)
	catalog, edge := standing(t, `["catalog"]`, "catalog: the database does not answer", ""), standing(t, `[]`, "", "")
	others := standing(t, `["inventory","notifications","catalog","identity"]`, "", "[]")
	gone, other := nobody(t), httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for _, c := range []struct {
		name     string
		args     []string
		want     []string // Of each, its words in their order on one line.
		problems []string
	}{
		{"nobody asked", nil, []string{
			"MODULE OWNER SERVICE", "orders cleave CartService 4 - -", "payments cleave PaymentService - 6 -", "orders payments PaymentService",
			"orders notifications orders.v1.OrderCancelled",
		}, nil},
		{"all is well", []string{"--admin", edge + "," + others + "," + standing(t, `["orders","payments"]`, "", "")}, []string{
			"edge catalog CatalogService " + edge + " ? ? ? ? ?", others + " inventory notifications catalog identity yes", "orders payments PaymentService http:// - - - - in process",
		}, nil},
		{"not well", []string{"--admin", strings.Join([]string{sales, catalog, edge, gone, other.URL}, ",")}, []string{
			"orders catalog CatalogService " + sales + " 7s 3 open 3 of 256 http://a:9080 http://b:9080 (down)", "orders payments PaymentService " + sales + " - - - - in process",
			catalog + " catalog no: catalog: the database does not answer", edge + " edge yes", gone + " ? no: nobody answers",
			other.URL + " ? no: there is no operator's port of Cleave",
		}, []string{
			catalog + ": catalog: the database does not answer", "orders calls CatalogService of catalog no more", "orders reaches InventoryService of inventory at none of its addresses",
			"no unit that was asked and is ready holds catalog, identity, inventory, notifications",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			printed, err := run(t, append([]string{"topology"}, c.args...)...)
			if (err != nil) != (len(c.problems) > 0) {
				t.Fatalf("%v\n%s", err, printed)
			}
			for _, want := range c.want {
				if !hasLine(printed, strings.Fields(want)) {
					t.Errorf("no line has the words %s:\n%s", want, printed)
				}
			}
			for _, want := range c.problems {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it fails with %v and not for %s", err, want)
				}
			}
			again, _ := run(t, append([]string{"topology", "--json"}, c.args...)...)
			var drawn chart.Chart
			if err := json.Unmarshal([]byte(again), &drawn); err != nil || len(drawn.Modules) != 6 || len(drawn.Calls) == 0 || len(drawn.Events) == 0 {
				t.Errorf("JSON: %v\n%s", err, again)
			}
		})
	}
}

// hasLine reports whether a line of a text has all words, in their order; each may be longer in the line.
func hasLine(text string, words []string) bool {
	for line := range strings.Lines(text) {
		found := true
		for _, word := range words {
			_, rest, ok := strings.Cut(line, word)
			if !ok {
				found = false
				break
			}
			line = rest
		}
		if found {
			return true
		}
	}
	return false
}

// TestTopologyOfAnotherMap holds that the map in CLEAVE_MAP_FILE is drawn, with the units that it names.
func TestTopologyOfAnotherMap(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(file, []byte(`{"modules":[{"name":"loyalty","owner":"team-happy","serves":[],"calls":[]}],"units":{"fun":["loyalty"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLEAVE_MAP_FILE", file)
	printed, err := run(t, "topology")
	if err != nil || !hasLine(printed, []string{"loyalty", "team-happy"}) || !hasLine(printed, []string{"fun", "loyalty"}) {
		t.Errorf("%v\n%s", err, printed)
	}
}
