package main

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/cmd/internal/house"
	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/modules/catalog"
	"github.com/cleave-go/cleave/modules/identity"
	"github.com/cleave-go/cleave/modules/inventory"
	"github.com/cleave-go/cleave/modules/notifications"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/modules/payments"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// suspicious are names of columns in which something of people is, or whose it is.
var suspicious = regexp.MustCompile(`(^|_)(user|account|customer|person|recipient|e?mail|phone|name|street|address|city|postal|birth|device|agent|owner|caller|principal|origin|contact|body|tracking)(_|$)`)

// innocent are the tables with such columns that no module has to declare, and why. Those of the platform are called the same in each module.
var innocent = map[string]string{
	"cleave_event":             "the id of who has done what is told; an event has nothing else of a person",
	"cleave_request":           "erased with whatever else a module holds; one that holds nothing keeps answers for a week, under an id",
	"cleave_saga":              "the id of who began it",
	"cleave_subscriber":        "names of modules and processes",
	"river_migration":          "migrations",
	"river_leader":             "names of processes",
	"river_queue":              "names of queues",
	"identity.client":          "programs",
	"identity.attempt":         "hashes, for a quarter of an hour",
	"inventory.movement":       "the id of who has counted",
	"orders.quote":             "the id of who has asked, until a week after it has expired",
	"payments.ledger_entry":    "accounts of the books",
	"payments.payment":         "the module that calls",
	"payments.sandbox_charge":  "what the provider knows",
	"payments.sandbox_request": "what the provider knows",
}

// stays are the columns of that kind in declared tables that stay as they are, and why.
var stays = map[string]string{
	"identity.audit.account_id":        "the id of whose account it was",
	"orders.coupon_use.user_id":        "the id of who has used it",
	"orders.fulfillment.tracking_code": "proof that it was sent, see ADR 32",
	"orders.order.user_id":             "the id of who has bought",
}

// Every table with something of people is declared by its module, which is told when somebody is to be forgotten, and can forget.
func TestEveryTableOfPeopleIsDeclared(t *testing.T) {
	t.Parallel()
	modules := []module.Module{catalog.Module, identity.Module, inventory.Module, notifications.Module, orders.Module, payments.Module}
	if m, err := module.ParseMap(house.Map); err != nil || !slices.Equal(m.Names(), module.NewMap(modules).Names()) {
		t.Fatalf("not all modules are looked at: %v %v", m.Names(), err)
	}
	h := moduletest.Start(t, modules...)
	declared := map[string]string{}
	for _, m := range modules {
		for _, holding := range m.Holds {
			if holding.Keeps || holding.Anonymise != "" {
				declared[m.Name+"."+holding.Table] += " " + holding.Anonymise
			} else if declared[m.Name+"."+holding.Table] == "" {
				declared[m.Name+"."+holding.Table] = removed
			}
		}
		if len(m.Holds) == 0 {
			continue
		}
		if m.Name != "identity" && !slices.ContainsFunc(m.Listens, func(s module.Subscription) bool {
			return s.Publisher == "identity" && slices.Contains(s.Types(), "identity.v1.UserErased")
		}) {
			t.Errorf("%s holds something of people, and does not listen to UserErased", m.Name)
		}
		forgets(t, h, m.Name)
	}
	if problems := undeclared(t, h, declared); len(problems) > 0 {
		t.Errorf("%q may have something of people: declare them in Holds of their modules, or say here why not", problems)
	}
	h.Exec(t, "CREATE TABLE catalog.wish (product_id text, phone text)")
	h.Exec(t, "ALTER TABLE identity.account ADD phone text")
	h.Exec(t, "ALTER TABLE identity.audit ADD device text")
	if got := undeclared(t, h, declared); !slices.Equal(got, []string{"catalog.wish.phone", "identity.account.phone", "identity.audit.device"}) {
		t.Errorf("with planted columns it finds %q", got)
	}
}

// removed says of a table that its rows go, whatever is in them.
const removed = "removed"

// undeclared returns columns whose tables nobody has declared, nor found innocent, and those that stay as they are in a declared one. What is declared
// of a table is what is set in its rows, or removed.
func undeclared(t *testing.T, h *moduletest.House, declared map[string]string) (problems []string) {
	t.Helper()
	used := map[string]bool{}
	for _, column := range moduletest.Query[string](t, h, `SELECT format('%s.%s.%s', c.table_schema, c.table_name, c.column_name) FROM information_schema.columns AS c
		JOIN information_schema.tables USING (table_schema, table_name)
		WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema', 'public') AND table_type = 'BASE TABLE'
			AND data_type IN ('text', 'character varying', 'jsonb', 'json', 'bytea', 'ARRAY') ORDER BY 1`) {
		parts := strings.Split(column, ".")
		table := parts[0] + "." + parts[1]
		if innocent[table] != "" || innocent[parts[1]] != "" {
			used[table], used[parts[1]] = true, true
			continue
		}
		if stays[column] != "" {
			used[column] = true
			continue
		}
		set := declared[table]
		if suspicious.MatchString(parts[2]) && set != removed && !regexp.MustCompile(`\b`+parts[2]+` = `).MatchString(set) {
			problems = append(problems, column)
		}
	}
	for _, list := range []map[string]string{innocent, stays} {
		for name := range maps.Keys(list) {
			if !used[name] {
				t.Errorf("%s is not there any more: take it from the list", name)
			}
		}
	}
	return problems
}

// forgets holds that what a module declares is SQL: it can be exported and erased, of somebody who is not there.
func forgets(t *testing.T, h *moduletest.House, name string) {
	t.Helper()
	ctx := moduletest.As(t, "")
	host := h.Hosts[name]
	operator := personv1cleave.NewPersonServiceClient(h.Caller("operator", personv1cleave.PersonService.Of(name)).At(name))
	stream, err := operator.StreamExport(ctx, &personv1.StreamExportRequest{Subject: "usr_nobody"})
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
		t.Errorf("%s knows nobody: %v", name, stream.Msg())
	}
	if err := stream.Err(); err != nil {
		t.Errorf("%s exports nobody: %v", name, err)
	}
	_ = stream.Close()
	if err := host.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := host.People.EraseLater(ctx, tx, "usr_nobody", []string{"ord_none"}); err != nil {
			return err
		}
		return host.People.Erase(ctx, tx, "usr_nobody")
	}); err != nil {
		t.Errorf("%s forgets nobody: %v", name, err)
	}
	if _, err := operator.EraseEmail(ctx, &personv1.EraseEmailRequest{Email: "nobody@example.org", ErasureId: "ers_" + strings.Repeat("0", 32)}); err != nil {
		t.Errorf("%s forgets nobody's address: %v", name, err)
	}
	report, err := operator.GetReport(ctx, &personv1.GetReportRequest{Subject: "usr_nobody"})
	if err != nil || len(report.GetErasures()) != len(report.GetPlaces()) {
		t.Errorf("%s reports %v, %v", name, report, err)
	}
}
