package kill

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// importBatch is where [imported] has processes killed.
const importBatch = "catalog/import/batch"

// imported has the process killed again and again that works off an import, and holds that the import goes on where it was: each row is
// taken once, and each product is told of once.
func imported(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	// Enough rows for the import to be under way still when a process has been started anew.
	const rows, wrong, kills = 20_000, 20, 3
	s := open(t, house.AllInOne, binaries, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := catalogv1connect.NewImportServiceClient(http.DefaultClient, s.Public())
	var file strings.Builder
	file.WriteString("sku,title,price_amount,price_currency\n")
	for i := range rows {
		price := "100"
		if i%(rows/wrong) == 0 {
			price = "free"
		}
		fmt.Fprintf(&file, "kill-%d,Thing %d,%s,EUR\n", i, i, price)
	}
	made, err := client.CreateImport(ctx, &catalogv1.CreateImportRequest{RequestId: "create", Format: catalogv1.ImportFormat_IMPORT_FORMAT_CSV})
	if err != nil {
		t.Fatal(err)
	}
	id, offset := made.GetImport().GetId(), int64(0)
	for chunk := range slices.Chunk([]byte(file.String()), 100_000) {
		if _, err := client.AppendImport(ctx, &catalogv1.AppendImportRequest{RequestId: fmt.Sprint("append ", offset), Id: id, Offset: offset, Data: chunk}); err != nil {
			t.Fatal(err)
		}
		offset += int64(len(chunk))
	}
	if err := s.folder.Arm(importBatch, "kill"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.StartImport(ctx, &catalogv1.StartImportRequest{RequestId: "start", Id: id}); err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
		t.Fatal(err)
	}
	s.killAgain(ctx, t, importBatch, kills)
	var last *catalogv1.Import
	for last.GetEndTime() == nil {
		answer, err := client.GetImport(ctx, &catalogv1.GetImportRequest{Id: id})
		if err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
		last = answer.GetImport()
		time.Sleep(50 * time.Millisecond)
	}
	if last.GetState() != catalogv1.ImportState_IMPORT_STATE_DONE || last.GetRows() != rows || last.GetFailedRows() != wrong || last.GetPosition() != offset {
		t.Errorf("it ended as %v", last)
	}
	conn, err := pgx.Connect(ctx, s.Databases["catalog"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var products, told, errors int
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM catalog.product WHERE title LIKE 'Thing %'),
		(SELECT count(*) FROM catalog.cleave_event WHERE subject IN (SELECT id FROM catalog.product WHERE title LIKE 'Thing %')),
		(SELECT count(*) FROM catalog.import_error WHERE import_id = $1)`, id).Scan(&products, &told, &errors); err != nil {
		t.Fatal(err)
	}
	if products != rows-wrong || told != rows-wrong || errors != wrong {
		t.Errorf("there are %d products, %d events and %d errors, want %d, %d and %d", products, told, errors, rows-wrong, rows-wrong, wrong)
	}
}

// killAgain waits until the process is killed that gets to a place, which is armed, and starts it again, so many times.
func (s *shop) killAgain(ctx context.Context, t *testing.T, place string, times int) {
	t.Helper()
	for kill := range times {
		unit := s.dead(ctx)
		if unit == nil {
			t.Fatalf("no process got to %s for the %d. time", place, kill+1)
		}
		unit.Process().Wait(t)
		unit.Kill() // Its end was wanted.
		unit.Restart(t)
		if kill+1 < times {
			if err := s.folder.Arm(place, "kill"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
