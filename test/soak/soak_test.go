package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

const (
	// warmUp is for how long customers come before it counts: pools fill, statements are prepared, the heap finds its size.
	warmUp = 5
	// burst is how many then come in a second for a while. It is more than the shop can take at once.
	burst = 150
	// settleTime is how long the shop has, after the last customer, to end what they have begun.
	settleTime = time.Minute
	// sampleEvery is how often it is looked at under load.
	sampleEvery = time.Second
	// patience is for what a run takes besides.
	patience = 2 * time.Minute
)

// TestSoak is the run.
func TestSoak(t *testing.T) {
	binaries := topology.NewBinaries(t)
	// What is alive shows when it is collected, and with the GOGC of the shop a short run would hardly do so once. A connection with its
	// prepared statements takes some 300 KB, so a burst fills small pools before anything counts.
	h := house.AllInOne.Open(t, binaries, house.Options{Env: map[string]string{"GOGC": "50", "CLEAVE_DATABASE_MAX_CONNS": "30"}})
	h.Seed(t)
	db, err := pgx.Connect(t.Context(), h.Databases["orders"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	s := &soak{House: h, tool: binaries.Build(t, "cmd/cleave"), db: db}

	s.load(t, warmUp, *rate, "--profile", "browse")
	s.load(t, warmUp, burst, "--profile", "order")
	s.settle(t, 0)
	before, tables := s.look(t), s.tables(t)
	under := s.load(t, *seconds, *rate, "--profile", "shop", "--max-errors", "50")
	s.settle(t, before.goroutines)
	after := s.look(t)
	t.Logf("before %.0f, after %.0f", before, after)
	for _, problem := range grown(before, after) {
		t.Errorf("after the load: %s", problem)
	}
	if quarter := len(under) / 4; quarter > 0 {
		second, last := lows(under[quarter:2*quarter]), lows(under[len(under)-quarter:])
		t.Logf("lows under load: %.0f in the second quarter, %.0f in the last one", second, last)
		for _, problem := range grown(second, last) {
			t.Errorf("while it lasted: %s", problem)
		}
	}
	s.kept(t, tables)

	s.load(t, 3, *rate, "--profile", "flash", "--stock", "20")
	if says, code := s.tell(t, "verify", "--admin", strings.Join(h.Admins(), ","), "--deadline", "0s", "--grace", "30s"); code != 0 {
		t.Errorf("cleave verify ended with %d:\n%s", code, says)
	}
}

// soak is a shop under load.
type soak struct {
	*house.House
	tool string // cleave
	db   *pgx.Conn
}

// load lets customers come, and returns what the shop held meanwhile. No visit may fail; that there is no room for somebody is no fault of
// the shop where the machine has much else to do.
func (s *soak) load(t *testing.T, seconds int, rate float64, args ...string) (held []state) {
	t.Helper()
	args = append([]string{
		"load", "--url", s.Public(), "--admin", strings.Join(s.Admins(), ","), "--for", fmt.Sprintf("%ds", seconds), "--rate", fmt.Sprint(rate),
	}, args...)
	process := topology.Launch(t, topology.Program{Name: "cleave load", Binary: s.tool, Args: args})
	timeout := time.After(time.Duration(seconds)*time.Second + patience)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			held = append(held, s.look(t))
			continue
		case <-process.Exited():
		case <-timeout:
			t.Fatal("cleave load does not end")
		}
		break
	}
	if code := process.Wait(t); code != 0 || !strings.Contains(process.Stdout(), "and the visits of 0 failed") {
		t.Errorf("cleave %s ended with %d and said:\n%s%s", strings.Join(args, " "), code, process.Stdout(), process.Stderr())
	}
	t.Logf("cleave %s\n%s", strings.Join(args, " "), process.Stdout())
	return held
}

// tell runs the tool and returns what it says.
func (s *soak) tell(t *testing.T, args ...string) (says string, code int) {
	t.Helper()
	process, code := topology.Run(t, topology.Program{Name: "cleave " + args[0], Binary: s.tool, Args: args})
	return process.Stdout() + process.Stderr(), code
}

// look returns what the shop holds.
func (s *soak) look(t *testing.T) state {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Admins()[0]+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // A connection that is kept would be one more goroutine at the end of the test.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	gauge := func(name string) float64 {
		metrics := families[name].GetMetric()
		if len(metrics) != 1 || metrics[0].GetGauge() == nil {
			t.Fatalf("the shop has %d metrics %s", len(metrics), name)
		}
		return metrics[0].GetGauge().GetValue()
	}
	now := state{goroutines: gauge("go_goroutines"), resident: gauge("process_resident_memory_bytes"), heap: gauge("go_memstats_next_gc_bytes")}
	// The connections of the figures come and go with whoever looks.
	s.query(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT LIKE '% watch'", &now.connections)
	return now
}

// owed is what the shop still has to do, by what it is. It is 0 when everybody has gone and everything has been done.
var owed = map[string]string{
	"holds":    `SELECT count(*) FROM inventory.reservation WHERE state = 'held'`,
	"orders":   `SELECT count(*) FROM orders."order" WHERE state IN ('pending', 'reserved', 'paying')`,
	"sagas":    `SELECT count(*) FROM orders.cleave_saga WHERE phase IN ('forward', 'back')`,
	"messages": `SELECT count(*) FROM notifications.message WHERE state IN ('queued', 'sending')`,
	"events":   `SELECT count(*) FROM orders.cleave_event e, orders.cleave_subscriber s WHERE (e.era, e.transaction, e.position) > (s.era, s.transaction, s.position) AND s.types ? e.type`,
	// What a listener has applied is what there was for it.
	"events that were applied never or twice": `SELECT abs((SELECT count(*) FROM orders.cleave_event e, orders.cleave_subscriber s WHERE s.types ? e.type) - (SELECT count(*) FROM notifications.cleave_inbox))`,
}

// jobs asks how many jobs a module has that are not done, also those that are kept because they failed.
func jobs(module string) string {
	return fmt.Sprintf("SELECT count(*) FROM %s.river_job WHERE state NOT IN ('completed', 'cancelled')", module)
}

// settle waits until nothing is owed any more, and no more goroutines are left than the limits allow after so many; any for 0.
func (s *soak) settle(t *testing.T, goroutines float64) {
	t.Helper()
	deadline := time.Now().Add(settleTime)
	for {
		var open []string
		for what, question := range owed {
			var n int64
			if s.query(t, question, &n); n > 0 {
				open = append(open, fmt.Sprintf("%d %s", n, what))
			}
		}
		for _, module := range house.Modules {
			var n int64
			if s.query(t, jobs(module), &n); n > 0 {
				open = append(open, fmt.Sprintf("%d jobs of %s", n, module))
			}
		}
		if now := s.look(t).goroutines; goroutines > 0 && now > goroutines*limits[0].factor+limits[0].more {
			open = append(open, fmt.Sprintf("%.0f goroutines, after %.0f", now, goroutines))
		}
		if len(open) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v after the last customer there are still %s", settleTime, strings.Join(open, ", "))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// table is how much a table holds, its indexes included.
type table struct{ Rows, Bytes int64 }

// tables returns what each table holds.
func (s *soak) tables(t *testing.T) map[string]table {
	t.Helper()
	var text string
	s.query(t, `SELECT json_object_agg(n.nspname || '.' || c.relname, json_build_object('Bytes', pg_total_relation_size(c.oid), 'Rows',
			(xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::bigint))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ANY($1)`, &text, house.Modules)
	tables := map[string]table{}
	if err := json.Unmarshal([]byte(text), &tables); err != nil {
		t.Fatal(err)
	}
	return tables
}

// kept logs what the shop keeps of the load.
func (s *soak) kept(t *testing.T, before map[string]table) {
	t.Helper()
	after := s.tables(t)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if rows := after[name].Rows - before[name].Rows; rows > 0 {
			t.Logf("%s keeps %d more rows; it has %d, in %d KB", name, rows, after[name].Rows, after[name].Bytes>>10)
		}
	}
}

func (s *soak) query(t *testing.T, question string, into any, args ...any) {
	t.Helper()
	if err := s.db.QueryRow(t.Context(), question, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
}

// TestGrown holds that growth is found, and that what only moves is none.
func TestGrown(t *testing.T) {
	t.Parallel()
	before := state{goroutines: 200, resident: 80 << 20, heap: 30 << 20, connections: 20}
	if problems := grown(before, before); len(problems) > 0 {
		t.Errorf("nothing has grown: %v", problems)
	}
	if problems := grown(before, state{400, 400 << 20, 300 << 20, 60}); len(problems) != len(limits) {
		t.Errorf("everything has grown: %v", problems)
	}
	if problems := grown(before, state{goroutines: 400, resident: 80 << 20, heap: 30 << 20, connections: 20}); len(problems) != 1 || !strings.Contains(problems[0], "goroutines") {
		t.Errorf("goroutines have grown: %v", problems)
	}
	if low := lows([]state{{5, 1, 9, 4}, {3, 2, 8, 6}}); low != (state{3, 1, 8, 4}) {
		t.Errorf("the lows are %v", low)
	}
}
