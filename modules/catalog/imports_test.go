package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/moduletest"
)

func TestImportTransitions(t *testing.T) {
	t.Parallel()
	all := []importState{importOpen, importRunning, importDone, importFailed, importCancelled}
	legal := map[importState]string{importOpen: "running cancelled", importRunning: "done failed cancelled"}
	for _, from := range all {
		for _, to := range all {
			if got, want := from.canBecome(to), slices.Contains(strings.Fields(legal[from]), string(to)); got != want {
				t.Errorf("%s → %s is legal: %v, want %v", from, to, got, want)
			}
		}
	}
	if len(all) != len(messageImportStates) {
		t.Errorf("%d states are tried of %d", len(all), len(messageImportStates))
	}
}

// importer is a client of imports.
type importer struct {
	*bundle
	catalogv1connect.ImportServiceClient
}

func setupImports(t *testing.T) importer {
	b := setup(t)
	return importer{b, catalogv1cleave.NewImportServiceClient(b.Caller("edge", catalogv1cleave.ImportService))}
}

// open opens an import and hands over its file in pieces of some size.
func (b importer) open(t *testing.T, kind format, content string, piece int) string {
	t.Helper()
	made, err := b.CreateImport(b.ctx, &catalogv1.CreateImportRequest{RequestId: fmt.Sprint("create ", b.ids.Add(1)), Format: messageFormats[kind]})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetImport().GetId()
	for offset := 0; offset < len(content); offset += piece {
		if err := b.add(id, offset, content[offset:min(offset+piece, len(content))]); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func (b importer) add(id string, offset int, data string) error {
	_, err := b.AppendImport(b.ctx, &catalogv1.AppendImportRequest{RequestId: fmt.Sprint("append ", b.ids.Add(1)), Id: id, Offset: int64(offset), Data: []byte(data)})
	return err
}

func (b importer) start(id string) error {
	_, err := b.StartImport(b.ctx, &catalogv1.StartImportRequest{RequestId: fmt.Sprint("start ", b.ids.Add(1)), Id: id})
	return err
}

// ended waits for the end of an import and returns what it says, and the errors.
func (b importer) ended(t *testing.T, id string) (*catalogv1.Import, []string) {
	t.Helper()
	var last *catalogv1.Import
	moduletest.Eventually(t, "the import has ended", func() bool {
		answer, err := b.GetImport(b.ctx, &catalogv1.GetImportRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		last = answer.GetImport()
		return last.GetEndTime() != nil
	})
	var errors []string
	r := &catalogv1.ListImportErrorsRequest{Id: id, PageSize: 3}
	for {
		page, err := b.ListImportErrors(b.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetErrors() {
			errors = append(errors, fmt.Sprint(e.GetLine(), " ", e.GetReason(), " ", e.GetMessage()))
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return last, errors
		}
	}
}

// lines makes rows of a CSV of so many products, with every hundredth one wrong.
func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		price := fmt.Sprint(i)
		if i%100 == 50 {
			price = "free"
		}
		fmt.Fprintf(&b, "sku-%d,Thing %d,%s,EUR,,\n", i, i, price)
	}
	return b.String()
}

func TestImport(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	b.put(t, thing("there", priced("old", 100)))
	content := csvHead + "m1,Mug,100,EUR,mug,\nm2,Mug,200,EUR,mug,\nm1,Mug,200,EUR,mug,\nold,Renamed,150,EUR,,\nd1,Draft,1,EUR,,draft\n" + lines(0, 1200) + "last,Last,1,EUR,,"
	id := b.open(t, formatCSV, content, 1000)
	if err := b.start(id); err != nil {
		t.Fatal(err)
	}
	got, wrong := b.ended(t, id)
	if got.GetState() != catalogv1.ImportState_IMPORT_STATE_DONE || got.GetRows() != 1206 || got.GetFailedRows() != 13 || got.GetPosition() != int64(len(content)) || got.GetSize() != int64(len(content)) {
		t.Errorf("%v", got)
	}
	if len(wrong) != 13 || wrong[0] != `4 SKU_TWICE sku: "m1" is given twice, near each other` || wrong[1] != `57 INVALID price_amount: "free" is no number of minor units` {
		t.Errorf("%q", wrong)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.product"); n != 1+1+1+1188+1 {
		t.Errorf("there are %d products", n)
	}
	titles, _ := b.found(t, 200, "renamed", "")
	if b.version(t, "m2") != 1 || b.version(t, "old") != 2 || b.version(t, "sku-1199") != 1 || b.version(t, "last") != 1 || b.version(t, "d1") != 0 || len(titles) != 1 {
		t.Errorf("what was imported is not there: %q", titles)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.import_chunk"); n != 0 {
		t.Errorf("%d pieces of the file are still there", n)
	}
	// Once more: nothing changes, and nobody is told.
	before := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.cleave_event")
	again := b.open(t, formatCSV, content, 500_000)
	if err := b.start(again); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.ended(t, again); got.GetFailedRows() != 13 || moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.cleave_event") != before {
		t.Errorf("the second time: %v", got)
	}
	list, err := b.ListImports(b.ctx, &catalogv1.ListImportsRequest{PageSize: 1})
	if err != nil || len(list.GetImports()) != 1 || list.GetImports()[0].GetId() != again || list.GetNextPageToken() == "" {
		t.Errorf("%v, %v, want the last import first", list, err)
	}
}

// Rows count in their order, also where they concern the same product.
func TestImportKeepsTheOrder(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	mug := b.put(t, thing("mug", priced("m1", 100), priced("m2", 100)))
	b.put(t, thing("bowl", priced("b1", 100)))
	object := func(title string, skus ...string) string {
		var variants []string
		for _, sku := range skus {
			variants = append(variants, fmt.Sprintf(`{"sku":%q,"price":{"amount":1,"currency":"EUR"}}`, sku))
		}
		return fmt.Sprintf(`{"title":%q,"variants":[%s]}`+"\n", title, strings.Join(variants, ","))
	}
	id := b.open(t, formatJSONL, object("first", "x")+object("second", "x")+object("both", "m1", "b1")+object("mine", "m1")+object("rest", "m2")+object("x", "y", "y")+object("third", "x"), 10)
	if err := b.start(id); err != nil {
		t.Fatal(err)
	}
	got, wrong := b.ended(t, id)
	if got.GetState() != catalogv1.ImportState_IMPORT_STATE_DONE || got.GetRows() != 7 || got.GetFailedRows() != 2 || len(wrong) != 2 ||
		!strings.HasPrefix(wrong[0], "3 SKUS_OF_SEVERAL_PRODUCTS ") || !strings.HasPrefix(wrong[1], "6 INVALID ") {
		t.Errorf("%v, %q", got, wrong)
	}
	if got := b.get(t, mug); got.GetTitle() != "mine" || skus(got) != "m1" {
		t.Errorf("%v", got)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.product WHERE title IN ('third', 'rest', 'mine', 'bowl')"); n != 4 {
		t.Errorf("%d products are as their last rows say, want 4", n)
	}
}

func TestImportRefusesWhatIsNotClear(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	id := b.open(t, formatCSV, "sku,titel\n", 100)
	refused(t, b.start(id), connect.CodeInvalidArgument, "IMPORT_HEADER")
	refused(t, b.add(id, 3, "x"), connect.CodeFailedPrecondition, "OFFSET")
	refused(t, b.add(id, 10, strings.Repeat("x", 512<<10+1)), connect.CodeInvalidArgument, "")
	cancel := func() error {
		_, err := b.CancelImport(b.ctx, &catalogv1.CancelImportRequest{RequestId: fmt.Sprint("cancel ", b.ids.Add(1)), Id: id})
		return err
	}
	if err := cancel(); err != nil {
		t.Fatal(err)
	}
	refused(t, cancel(), connect.CodeFailedPrecondition, "IMPORT_STATE_CANCELLED")
	refused(t, b.add(id, 10, "x"), connect.CodeFailedPrecondition, "IMPORT_STATE_CANCELLED")
	refused(t, b.start(id), connect.CodeFailedPrecondition, "IMPORT_STATE_CANCELLED")
	for range maxImports {
		b.open(t, formatJSONL, "", 1)
	}
	_, err := b.CreateImport(b.ctx, &catalogv1.CreateImportRequest{RequestId: "too many", Format: messageFormats[formatCSV]})
	refused(t, err, connect.CodeFailedPrecondition, "TOO_MANY_IMPORTS")
	for name, call := range map[string]func(context.Context) error{
		"GetImport": func(ctx context.Context) error {
			_, err := b.GetImport(ctx, &catalogv1.GetImportRequest{Id: "imp_unknown"})
			return err
		},
		"ListImportErrors": func(ctx context.Context) error {
			_, err := b.ListImportErrors(ctx, &catalogv1.ListImportErrorsRequest{Id: "imp_unknown"})
			return err
		},
		"StartImport": func(ctx context.Context) error {
			_, err := b.StartImport(ctx, &catalogv1.StartImportRequest{RequestId: "1", Id: "imp_unknown"})
			return err
		},
	} {
		if err := call(b.ctx); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s of one that is not there: %v", name, err)
		}
		if err := call(moduletest.As(t, "usr_customer", "customer")); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s by a customer: %v", name, err)
		}
	}
}

// Each step of an import happens once, however often it is asked for.
func TestRepeatedStepsOfAnImportHappenOnce(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	id := ""
	for _, c := range []struct {
		name string
		call func() (proto.Message, error)
	}{
		{"CreateImport", func() (proto.Message, error) {
			answer, err := b.CreateImport(b.ctx, &catalogv1.CreateImportRequest{RequestId: "1", Format: messageFormats[formatCSV]})
			id = answer.GetImport().GetId()
			return answer, err
		}},
		{"AppendImport", func() (proto.Message, error) {
			return b.AppendImport(b.ctx, &catalogv1.AppendImportRequest{RequestId: "1", Id: id, Data: []byte(csvHead + "a,A,1,EUR,,\n")})
		}},
		{"StartImport", func() (proto.Message, error) {
			return b.StartImport(b.ctx, &catalogv1.StartImportRequest{RequestId: "1", Id: id})
		}},
	} {
		first, err := c.call()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.call(); err != nil || !proto.Equal(first, again) {
			t.Errorf("%s again: %v, %v, want %v", c.name, again, err, first)
		}
	}
	if got, _ := b.ended(t, id); got.GetRows() != 1 || b.version(t, "a") != 1 {
		t.Errorf("%v", got)
	}
	cancelled := b.open(t, formatCSV, "", 1)
	r := &catalogv1.CancelImportRequest{RequestId: "1", Id: cancelled}
	first, err := b.CancelImport(b.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.CancelImport(b.ctx, r); err != nil || !proto.Equal(first, again) {
		t.Errorf("CancelImport again: %v, %v, want %v", again, err, first)
	}
}

// A batch that is not committed has not happened, and the next one begins where the last one ended.
func TestImportGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	b.Exec(t, "ALTER TABLE catalog.product ADD CONSTRAINT stop CHECK (title <> 'Thing 600')")
	content := csvHead + lines(0, 1000)
	id := b.open(t, formatCSV, content, 3000)
	if err := b.start(id); err != nil {
		t.Fatal(err)
	}
	got, _ := b.ended(t, id)
	stopped := got.GetRows()
	if got.GetState() != catalogv1.ImportState_IMPORT_STATE_FAILED || got.GetFailure() == "" || stopped == 0 || stopped > 600 || b.version(t, fmt.Sprint("sku-", stopped-1)) != 1 || b.version(t, fmt.Sprint("sku-", stopped)) != 0 {
		t.Errorf("%v", got)
	}
}

// Old imports are forgotten, with all that belongs to them.
func TestImportsAreForgotten(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	old, open, recent := b.open(t, formatCSV, csvHead+"x\n", 100), b.open(t, formatCSV, csvHead, 100), b.open(t, formatCSV, csvHead+"x\n", 100)
	for _, id := range []string{old, recent} {
		if err := b.start(id); err != nil {
			t.Fatal(err)
		}
		b.ended(t, id)
	}
	b.Exec(t, "UPDATE catalog.import SET end_time = end_time - interval '31 days' WHERE id = '"+old+"'")
	b.Exec(t, "UPDATE catalog.import SET create_time = create_time - interval '2 days' WHERE id = '"+open+"'")
	s := &service{store: db.NewStore(b.Hosts["catalog"].DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) })}
	if err := s.forgetImports(b.ctx); err != nil {
		t.Fatal(err)
	}
	if left := moduletest.Value[string](t, b.House, "SELECT string_agg(id, ' ') FROM catalog.import"); left != recent {
		t.Errorf("%s are left, want %s", left, recent)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT (SELECT count(*) FROM catalog.import_chunk) + (SELECT count(*) FROM catalog.import_error WHERE import_id <> '"+recent+"')"); n != 0 {
		t.Errorf("%d rows are left of what was forgotten", n)
	}
}
