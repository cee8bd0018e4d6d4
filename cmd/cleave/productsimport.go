package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
)

const (
	// chunkBytes is how much of a file is handed over at once: all that the contract allows.
	chunkBytes = 512 << 10
	// lookEvery is how often it is asked how far an import is.
	lookEvery = 300 * time.Millisecond
	// maxShown is how many rows that are wrong are printed.
	maxShown = 20
)

var importFormats = map[string]catalogv1.ImportFormat{
	".csv": catalogv1.ImportFormat_IMPORT_FORMAT_CSV, ".jsonl": catalogv1.ImportFormat_IMPORT_FORMAT_JSONL, ".ndjson": catalogv1.ImportFormat_IMPORT_FORMAT_JSONL,
}

func (p *products) importFile() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import products from a .csv or .jsonl file, and show how far it is",
		Long: `Hands a file over to the shop, which works it off in the background, and shows how far that is. A row that is wrong is told of, and keeps no other
from being taken. Products are known by their SKUs, so a file can be imported again. Ends with 1 if a row was wrong. If this
program is ended while the shop is at work, the shop goes on.

A CSV names its columns in the first line: sku, title, price_amount (in minor units) and price_currency must be there; product,
variant_title, description, category, state and images may be. Rows that follow each other with the same product are its variants.`,
		Example: "  cleave products import spring.csv",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"csv", "jsonl", "ndjson"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			format, known := importFormats[strings.ToLower(filepath.Ext(args[0]))]
			if !known {
				return fmt.Errorf("%s: the name ends neither in .csv nor in .jsonl or .ndjson", args[0])
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			client := catalogv1connect.NewImportServiceClient(p.client(), p.url)
			ended, err := runImport(cmd.Context(), client, file, format, newBar(cmd.ErrOrStderr()))
			if err != nil {
				return p.say(err)
			}
			return p.report(cmd, client, ended)
		},
	}
	return c
}

// runImport hands a file over and waits until the shop is through with it.
func runImport(ctx context.Context, client catalogv1connect.ImportServiceClient, file io.Reader, format catalogv1.ImportFormat, bar *bar) (*catalogv1.Import, error) {
	defer bar.end()
	made, err := client.CreateImport(ctx, &catalogv1.CreateImportRequest{RequestId: requestID(""), Format: format})
	if err != nil {
		return nil, err
	}
	importID, offset := made.GetImport().GetId(), int64(0)
	for buffer := make([]byte, chunkBytes); ; {
		n, err := io.ReadFull(file, buffer)
		if n > 0 {
			if _, err := client.AppendImport(ctx, &catalogv1.AppendImportRequest{RequestId: requestID(""), Id: importID, Offset: offset, Data: buffer[:n]}); err != nil {
				return nil, err
			}
			offset += int64(n)
			bar.show("handed over", offset, 0, 0)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	started, err := client.StartImport(ctx, &catalogv1.StartImportRequest{RequestId: requestID(""), Id: importID})
	if err != nil {
		return nil, err
	}
	for at := started.GetImport(); ; {
		bar.show("imported", at.GetPosition(), at.GetSize(), at.GetRows())
		if at.GetState() != catalogv1.ImportState_IMPORT_STATE_RUNNING {
			return at, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the shop goes on with import %s", ctx.Err(), importID)
		}
		answer, err := client.GetImport(ctx, &catalogv1.GetImportRequest{Id: importID})
		if err != nil {
			return nil, err
		}
		at = answer.GetImport()
	}
}

// report prints what has become of an import. It is an error if not all of it was taken.
func (p *products) report(cmd *cobra.Command, client catalogv1connect.ImportServiceClient, ended *catalogv1.Import) error {
	if p.json {
		if err := line(cmd.OutOrStdout(), ended); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "Import %s: %d rows, %d of them wrong, in %s\n", ended.GetId(), ended.GetRows(), ended.GetFailedRows(),
			ended.GetEndTime().AsTime().Sub(ended.GetCreateTime().AsTime()).Round(100*time.Millisecond))
	}
	if ended.GetState() != catalogv1.ImportState_IMPORT_STATE_DONE {
		return fmt.Errorf("the import is %s: %s", strings.ToLower(strings.TrimPrefix(ended.GetState().String(), "IMPORT_STATE_")), ended.GetFailure())
	}
	if ended.GetFailedRows() == 0 {
		return nil
	}
	page, err := client.ListImportErrors(cmd.Context(), &catalogv1.ListImportErrorsRequest{Id: ended.GetId(), PageSize: maxShown})
	if err != nil {
		return p.say(err)
	}
	w := tabwriter.NewWriter(cmd.ErrOrStderr(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tREASON\tWHAT IS WRONG")
	for _, e := range page.GetErrors() {
		fmt.Fprintf(w, "%d\t%s\t%s\n", e.GetLine(), e.GetReason(), oneLine(e.GetMessage()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return fmt.Errorf("%d rows are wrong: correct them, and import the file again", ended.GetFailedRows())
}

// bar shows how far something is, on a line of a terminal. Where there is none, in a file or a script, it shows nothing.
type bar struct {
	out   io.Writer
	shown bool
}

func newBar(out io.Writer) *bar {
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &bar{out: out}
		}
	}
	return &bar{out: io.Discard}
}

// show shows how many bytes are done, of how many if that is known, and how many rows they are.
func (b *bar) show(what string, done, all, rows int64) {
	const width = 30
	b.shown = true
	if all == 0 {
		fmt.Fprintf(b.out, "\r%s %.1f MB\x1b[K", what, float64(done)/1e6)
		return
	}
	full := int(width * done / all)
	fmt.Fprintf(b.out, "\r[%s%s] %3d %% %d rows %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*done/all, rows, what)
}

// end leaves the line.
func (b *bar) end() {
	if b.shown {
		fmt.Fprintln(b.out)
	}
}
