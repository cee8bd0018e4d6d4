package orders_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// fill makes a million orders, and tables around them that are as large as those of a shop that has sold for years. Each tenth order is of
// one customer and was shipped; when PostgreSQL counted them no cart was active. Without triggers, log and indexes it takes seconds.
func fill(t *testing.T, s *shop) {
	t.Helper()
	const id = `lpad(to_hex(n), 12, '0') || '7000800000000000000'`
	conn, err := pgx.Connect(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	began := time.Now()
	for _, statement := range []string{
		`SET search_path = orders`, `SET session_replication_role = replica`, `SET maintenance_work_mem = '256MB'`,
		`ALTER TABLE transition SET UNLOGGED`, `ALTER TABLE "order" SET UNLOGGED`,
		`DROP INDEX order_quote_id_key, order_user_id_id, order_open, transition_order_id_sequence`,
		`INSERT INTO "order" (id, user_id, quote_id, state, lines, total, currency, payment_method, sequence, open, charges, create_time)
			SELECT 'ord_' || ` + id + `, CASE WHEN n % 10 = 0 THEN 'usr_often' ELSE 'usr_' || n % 100000 END, 'quo_' || ` + id + `,
				CASE WHEN n % 10 = 0 THEN 'fulfilled' WHEN n % 97 = 0 THEN 'pending' ELSE 'confirmed' END,
				'[{"sku": "MUG", "title": "Mug, blue", "quantity": 1, "unit_amount": 1500, "price_version": 1}]', 1500, 'EUR', 'pm_card_visa', 4, n % 97 = 0 AND n % 10 > 0, '{}',
				now() - (1000001 - n) * interval '1 minute' FROM generate_series(1, 1000000) AS n`,
		`INSERT INTO transition (order_id, sequence, state) SELECT 'ord_' || ` + id + `, 1, 'pending' FROM generate_series(1, 1000000) AS n`,
		`INSERT INTO fulfillment (id, order_id, lines) SELECT 'ful_' || ` + id + `, 'ord_' || ` + id + `, '[{"sku": "MUG", "quantity": 1}]' FROM generate_series(10, 1000000, 10) AS n`,
		`INSERT INTO reversal (id, order_id, kind, state, lines, discard, refund) SELECT 'rev_' || ` + id + `, 'ord_' || ` + id + `, 'return', 'settled', '[{"sku": "MUG", "quantity": 1}]', false, 0
			FROM generate_series(10, 1000000, 20) AS n`,
		`INSERT INTO contact (order_id, email) SELECT 'ord_' || ` + id + `, 'guest' || n || '@example.org' FROM generate_series(1, 1000000, 10) AS n`,
		`INSERT INTO coupon (id, code, percent, max_uses) SELECT 'cpn_' || ` + id + `, 'CODE-' || n, 10, 1000000 FROM generate_series(1, 100000) AS n`,
		`INSERT INTO coupon_use (order_id, coupon_id, user_id) SELECT 'ord_' || ` + id + `, 'cpn_' || lpad(to_hex(n % 1000 + 1), 12, '0') || '7000800000000000000', 'usr_' || n % 100000
			FROM generate_series(1, 100000) AS n`,
		`INSERT INTO cart (id, user_id, state, create_time, update_time) SELECT 'crt_' || ` + id + `, 'usr_' || n % 100000, 'converted', now(), now()
			FROM generate_series(1, 100000) AS n`,
		`INSERT INTO cart_item (cart_id, sku, quantity) SELECT 'crt_' || ` + id + `, 'MUG', 1 FROM generate_series(1, 100000) AS n`,
		`INSERT INTO quote (id, cart_id, user_id, lines, total, currency, expire_time) SELECT 'quo_' || ` + id + `, 'crt_' || ` + id + `, 'usr_' || n % 100000, '[]', 1500, 'EUR', now()
			FROM generate_series(1, 100000) AS n`,
		`CREATE UNIQUE INDEX order_quote_id_key ON "order" (quote_id)`, `CREATE INDEX order_user_id_id ON "order" (user_id, id)`,
		`CREATE INDEX order_open ON "order" (user_id) WHERE open`, `CREATE UNIQUE INDEX transition_order_id_sequence ON transition (order_id, sequence)`,
		`ANALYZE`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	t.Logf("the tables were filled in %s", time.Since(began).Round(100*time.Millisecond))
}

// tables are those that were filled, as statements name them.
var tables = regexp.MustCompile(`"order"|\b(transition|fulfillment|reversal|contact|coupon|coupon_use|cart|cart_item|quote)\b`)

// node is a step of a plan.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Plan Rows"`
	Cond     string  `json:"Index Cond"`
	Filter   string  `json:"Filter"`
	Hit      int64   `json:"Shared Hit Blocks"`
	Read     int64   `json:"Shared Read Blocks"`
	Plans    []node  `json:"Plans"`
}

// wrong says what in a plan grows with the number of orders: that a table or an index is read from end to end, or much is sorted.
func (n node) wrong(limited bool) string {
	if n.Type == "Seq Scan" {
		return "reads all of " + n.Relation
	}
	if strings.HasPrefix(n.Type, "Index") && n.Cond == "" && n.Filter != "" && !limited {
		return "reads all of an index of " + n.Relation
	}
	if strings.Contains(n.Type, "Sort") && n.Plans[0].Rows > 10_000 {
		return fmt.Sprintf("sorts %.0f rows", n.Plans[0].Rows)
	}
	for _, inner := range n.Plans {
		if wrong := inner.wrong(limited || n.Type == "Limit"); wrong != "" {
			return wrong
		}
	}
	return ""
}

// maxBlocks is how many blocks a statement may look at that only reads: those of a page of 200 orders that lie anywhere, with all that
// belongs to them, and the ways there.
const maxBlocks = 5000

// plan returns the plan of a statement. One that only reads is run for that.
func (s *shop) plan(t *testing.T, statement moduletest.Statement) (root node, ran bool) {
	t.Helper()
	ran = strings.HasPrefix(strings.TrimSpace(statement.SQL), "SELECT") && !strings.Contains(statement.SQL, "FOR UPDATE")
	options := "FORMAT JSON"
	if ran {
		options += ", ANALYZE, BUFFERS"
	}
	var text []byte
	err := s.Hosts["orders"].DB.Pool().QueryRow(t.Context(), "EXPLAIN ("+options+") "+statement.SQL, statement.Args...).Scan(&text)
	if err != nil {
		t.Fatalf("explain %s: %v", statement.SQL, err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan, ran
}

// TestPlansAtAMillionOrders holds that no list and no step of a checkout takes longer because there are many orders: no statement that they
// really run reads a table from end to end or sorts it, nor looks at more than a page.
func TestPlansAtAMillionOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c, g := s.customer(t), s.guest(t, "guest@example.org")
	fill(t, s)
	staff, often := moduletest.As(t, "usr_staff", "staff"), moduletest.As(t, "usr_often")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// It is in the middle of everything, and of a customer who has a hundred thousand.
	middle := moduletest.Value[string](t, s.House, `SELECT id FROM orders."order" WHERE id > 'ord_00000007a120' AND user_id = 'usr_often' ORDER BY id LIMIT 1`)
	for name, do := range map[string]func(){
		"ListOrders": func() {
			for _, size := range []int32{1, 200} {
				for _, token := range []string{"", page.Encode(middle, "usr_often")} {
					_, err := s.orders.ListOrders(often, &ordersv1.ListOrdersRequest{PageSize: size, PageToken: token})
					must(err)
				}
				_, err := s.orders.ListOrders(staff, &ordersv1.ListOrdersRequest{PageSize: size, UserId: "usr_often"})
				must(err)
				_, err = s.orders.ListOrders(moduletest.As(t, "usr_nobody"), &ordersv1.ListOrdersRequest{PageSize: size})
				must(err)
			}
		},
		"ListOrders of all": func() {
			first, err := s.orders.ListOrders(staff, &ordersv1.ListOrdersRequest{PageSize: 200, UserId: "-"})
			must(err)
			_, err = s.orders.ListOrders(staff, &ordersv1.ListOrdersRequest{PageSize: 200, UserId: "-", PageToken: first.GetNextPageToken()})
			must(err)
		},
		"what belongs to an order": func() {
			_, err := s.orders.GetOrder(often, &ordersv1.GetOrderRequest{Id: middle})
			must(err)
			_, err = s.orders.ListOrderEvents(often, &ordersv1.ListOrderEventsRequest{OrderId: middle})
			must(err)
			_, err = s.parcels.ListFulfillments(often, &ordersv1.ListFulfillmentsRequest{OrderId: middle})
			must(err)
			_, err = s.parcels.ListReversals(often, &ordersv1.ListReversalsRequest{OrderId: middle})
			must(err)
			stream, err := s.orders.WatchOrder(often, &ordersv1.WatchOrderRequest{Id: middle})
			must(err)
			for stream.Receive() {
			}
			must(stream.Close())
			_, err = s.inside().BatchGetContacts(staff, &ordersv1.BatchGetContactsRequest{OrderIds: []string{middle, "ord_x"}})
			must(err)
		},
		"coupons": func() {
			first, err := s.coupons.ListCoupons(staff, &ordersv1.ListCouponsRequest{PageSize: 200})
			must(err)
			_, err = s.coupons.ListCoupons(staff, &ordersv1.ListCouponsRequest{PageSize: 200, PageToken: first.GetNextPageToken()})
			must(err)
			_, err = s.coupons.GetCoupon(staff, &ordersv1.GetCouponRequest{Id: "code-4711"})
			must(err)
		},
		"a checkout with a coupon": func() { c.watch(c.orderWith("CODE-17", good).GetId(), 0) },
		"a guest's checkout":       func() { g.watch(g.order(good), 0) },
		"one that is refused": func() {
			quote := c.quoted()
			c.Exec(t, "UPDATE orders.quote SET expire_time = now() - interval '1 second' WHERE id = $1", quote)
			_, err := c.place(quote, good)
			refused(t, err, connect.CodeFailedPrecondition, "QUOTE_EXPIRED")
		},
		"one that is cancelled": func() {
			id := c.order(good)
			c.watch(id, 0)
			must(c.cancel(id))
			c.watch(id, 0)
		},
		"parcels and returns": func() {
			id := c.order(good)
			c.watch(id, 0)
			_, err := c.ship(id, 2)
			must(err)
			_, err = c.bringBack(id, 1, false)
			must(err)
			_, err = s.parcels.CancelRest(c.ctx, &ordersv1.CancelRestRequest{RequestId: s.next("rest "), OrderId: id})
			must(err)
		},
		"a claim":           func() { s.claim(t, "usr_ada", "guest500001@example.org") },
		"what is tidied up": func() { must(orders.Tidy(t.Context(), s.Hosts["orders"].DB)) },
		"the operator's facts": func() {
			stream, err := ordersv1cleave.NewFactServiceClient(s.Caller("operator", ordersv1cleave.FactService)).
				StreamOrderFacts(rpc.WithMetadata(t.Context(), rpc.Metadata{}), &ordersv1.StreamOrderFactsRequest{})
			must(err)
			for range 2 { // Pages of a long stream.
				stream.Receive()
			}
			_ = stream.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			looked := map[string]bool{}
			for _, statement := range s.Statements(do) {
				if looked[statement.SQL] || !tables.MatchString(statement.SQL) || strings.Contains(statement.SQL, "river_") {
					continue
				}
				looked[statement.SQL] = true
				root, ran := s.plan(t, statement)
				if wrong := root.wrong(false); wrong != "" {
					t.Errorf("it %s:\n%s", wrong, statement.SQL)
				}
				if blocks := root.Hit + root.Read; ran && blocks > maxBlocks {
					t.Errorf("it looks at %d blocks:\n%s", blocks, statement.SQL)
				}
			}
			if len(looked) == 0 {
				t.Error("nothing was asked of the tables: the test looks at the wrong thing")
			}
		})
	}
	t.Run("a bad one is found", func(t *testing.T) {
		for statement, want := range map[string]string{
			`SELECT id FROM "order" WHERE state = 'pending' AND total = 1500`:                                   "reads all of order",
			`SELECT id, lines FROM "order" WHERE id > 'ord_1' OR id > 'ord_0' ORDER BY quote_id || id LIMIT 10`: "",
		} {
			root, _ := s.plan(t, moduletest.Statement{SQL: statement})
			if wrong := root.wrong(false); wrong == "" || want != "" && wrong != want {
				t.Errorf("of %s it says %q", statement, wrong)
			}
		}
	})
}
