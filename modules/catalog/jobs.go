package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/platform/fault"
)

const (
	// importEvery is how often a replica looks for an import that nobody is at: one whose process was killed goes on so soon. Those that have
	// just been started it is nudged for.
	importEvery = 2 * time.Second
	// maxBatches is how many batches a run writes. The next one goes on.
	maxBatches = 100
	// forgetEvery is how often old imports are removed, at most maxForgotten of them: those that have ended after keepEnded, and those whose
	// file has not come after keepOpen.
	forgetEvery  = 10 * time.Minute
	maxForgotten = 100
	keepEnded    = 30 * 24 * time.Hour
	keepOpen     = 24 * time.Hour
)

// workImports works off the imports that are running, the first one first. Each batch of rows is a transaction with the note of how far the
// import is: whoever comes after a kill goes on behind the last batch.
func (s *service) workImports(ctx context.Context) error {
	held := &piece{}
	for range maxBatches {
		more, err := s.workBatch(ctx, held)
		if err != nil || !more {
			return err
		}
		fault.Point("catalog/import/batch")
	}
	s.nudgeImports()
	return nil
}

// workBatch writes the next rows of an import that nobody else is at, and reports whether there was one. What fails for a reason that is
// not the database's being away would fail again, so the import ends with it.
func (s *service) workBatch(ctx context.Context, held *piece) (more bool, err error) {
	var at *importRow
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		at, err = one(ctx, tx, "", "SELECT "+importColumns+" FROM import WHERE state = 'running' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
		if connect.CodeOf(err) == connect.CodeNotFound {
			at = nil
			return nil
		}
		if err != nil {
			return err
		}
		b := &batch{file: fileOf(ctx, tx, at, held), importRow: *at, skus: map[string]bool{}}
		if err := b.read(); err != nil {
			return err
		}
		return s.writeBatch(ctx, tx, b)
	})
	if err == nil || at == nil || ctx.Err() != nil || connect.CodeOf(err) == connect.CodeUnavailable {
		return at != nil, err
	}
	s.log.LogAttrs(ctx, slog.LevelError, "an import cannot go on", slog.String("import", at.id), slog.Int64("line", at.line), slog.String("error", err.Error()))
	return true, s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if at, err = lockImport(ctx, tx, at.id); err != nil || !at.state.canBecome(importFailed) {
			return err
		}
		_, err = end(ctx, tx, at.id, importFailed, fmt.Sprintf("something is wrong here with what follows line %d: the shop's log has more", at.line))
		return err
	})
}

// piece is the piece of a file that was read last.
type piece struct {
	importID string
	start    int64
	data     []byte
}

// fileOf returns the file of an import, from where the import is.
func fileOf(ctx context.Context, tx tx, at *importRow, held *piece) *file {
	return &file{format: at.format, columns: at.columns, position: at.position, line: at.line, more: func(offset int64) ([]byte, error) {
		if offset >= at.size {
			return nil, nil
		}
		if held.importID != at.id || offset < held.start || offset >= held.start+int64(len(held.data)) {
			err := tx.QueryRow(ctx, "SELECT import_id, start, data FROM import_chunk WHERE import_id = $1 AND start <= $2 ORDER BY start DESC LIMIT 1", at.id, offset).
				Scan(&held.importID, &held.start, &held.data)
			if err != nil {
				return nil, fmt.Errorf("load import %s from byte %d: %w", at.id, offset, err)
			}
			if offset >= held.start+int64(len(held.data)) {
				return nil, fmt.Errorf("import %s has a gap at byte %d", at.id, offset)
			}
		}
		return held.data[offset-held.start:], nil
	}}
}

// batch is what is written at once of an import. Its importRow is what the import will be afterwards.
type batch struct {
	importRow
	file     *file
	entries  []entry
	problems []problem
	skus     map[string]bool // Of the entries.
	end      bool            // Of the file.
}

// entry is a product of the file, and how far the import is before it.
type entry struct {
	product *catalogv1.Product
	key     string
	line    int64 // Where it begins, from 1.
	rows    int64
	before  importRow
}

// problem is a row that is wrong.
type problem struct {
	line            int64
	reason, message string
}

// read reads rows until the batch is full. It leaves a product to the next batch that shares a SKU with one of this: rows count in their
// order.
func (b *batch) read() error {
	before := b.rows
	for {
		r, err := b.file.peek()
		if err != nil {
			return err
		}
		if r == nil {
			b.end = true
			b.position, b.line = b.file.position, b.file.line
			return nil
		}
		if b.rows-before == batchRows || !b.add(r) {
			return nil
		}
		b.file.take(r)
		b.rows++
		b.position, b.line = b.file.position, b.file.line
	}
}

// add adds a row, and reports whether it was: not if it is for the next batch.
func (b *batch) add(r *row) bool {
	line := b.file.line + 1
	if r.wrong != "" {
		b.wrong(line, "INVALID", r.wrong, 1)
		return true
	}
	given := productOf(r.product)
	if r.key != "" && len(b.entries) > 0 {
		if last := &b.entries[len(b.entries)-1]; last.key == r.key {
			b.addVariant(last, line, given.GetVariants()[0])
			return true
		}
	}
	if len(b.entries) == batchProducts {
		return false
	}
	for _, v := range given.GetVariants() {
		if b.skus[v.GetSku()] {
			return false
		}
	}
	for _, v := range given.GetVariants() {
		b.skus[v.GetSku()] = true
	}
	before := b.importRow
	before.position, before.line = b.file.position, b.file.line
	b.entries = append(b.entries, entry{given, r.key, line, 1, before})
	return true
}

// addVariant adds a row that belongs to the product of the row before.
func (b *batch) addVariant(to *entry, line int64, v *catalogv1.Variant) {
	switch {
	case len(to.product.GetVariants()) == maxVariants:
		b.wrong(line, "INVALID", fmt.Sprintf("product: %q has %d variants already, which is all it can have", to.key, maxVariants), 1)
	case b.skus[v.GetSku()]:
		b.wrong(line, "SKU_TWICE", fmt.Sprintf("sku: %q is given twice, near each other", v.GetSku()), 1)
	default:
		b.skus[v.GetSku()] = true
		to.product.Variants = append(to.product.Variants, v)
		to.rows++
	}
}

func (b *batch) wrong(line int64, reason, message string, rows int64) {
	const maxMessage = 1000
	b.failedRows += rows
	// It may quote the row, of which nothing is known.
	message = strings.ReplaceAll(strings.ToValidUTF8(message[:min(len(message), maxMessage)], ""), "\x00", "")
	b.problems = append(b.problems, problem{line, reason, message})
}

// cut leaves what begins with an entry to the next batch.
func (b *batch) cut(i int) {
	before := b.entries[i].before
	b.position, b.line, b.rows, b.failedRows, b.end = before.position, before.line, before.rows, before.failedRows, false
	kept := b.problems[:0]
	for _, p := range b.problems {
		if p.line <= before.line {
			kept = append(kept, p)
		}
	}
	b.problems, b.entries = kept, b.entries[:i]
}

// writeBatch writes the products of a batch, which of its rows are wrong, and how far the import is.
func (s *service) writeBatch(ctx context.Context, tx tx, b *batch) error {
	var given []*catalogv1.Product
	for _, e := range b.entries {
		given = append(given, e.product)
	}
	if len(given) > 0 {
		changes, err := match(ctx, tx, given)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for i, c := range changes {
			if c.wrong == nil && seen[c.after.GetId()] { // It is what the one before leaves of the product.
				b.cut(i)
				changes = changes[:i]
				break
			}
			if c.wrong == nil {
				seen[c.after.GetId()] = true
			}
		}
		for i, c := range changes {
			if c.wrong != nil {
				b.wrong(b.entries[i].line, c.wrong.reason, c.wrong.text, b.entries[i].rows)
			}
		}
		if err := s.write(ctx, tx, valid(changes)); err != nil {
			return err
		}
	}
	b.note(tx)
	tx.Defer("UPDATE import SET position = $2, line = $3, rows = $4, failed_rows = $5 WHERE id = $1", b.id, b.position, b.line, b.rows, b.failedRows)
	if b.end {
		_, err := end(ctx, tx, b.id, importDone, "")
		return err
	}
	return nil
}

// note keeps what is wrong, as long as there is room.
func (b *batch) note(tx tx) {
	var lines []int64
	var reasons, messages []string
	for _, p := range b.problems {
		lines, reasons, messages = append(lines, p.line), append(reasons, p.reason), append(messages, p.message)
	}
	if len(lines) > 0 {
		tx.Defer(`INSERT INTO import_error (import_id, line, reason, message) SELECT $1::text, line, reason, message
			FROM unnest($2::bigint[], $3::text[], $4::text[]) AS wrong (line, reason, message)
			ORDER BY line LIMIT greatest($5 - (SELECT count(*) FROM import_error WHERE import_id = $1::text), 0) ON CONFLICT DO NOTHING`, b.id, lines, reasons, messages, maxErrors)
	}
}

// forgetImports removes imports that nobody asks for any more.
func (s *service) forgetImports(ctx context.Context) error {
	_, err := s.store.Pool().Exec(ctx, `WITH old AS (
			DELETE FROM import WHERE id IN (
				SELECT id FROM import WHERE end_time < now() - $1::interval OR state = 'open' AND create_time < now() - $2::interval LIMIT $3 FOR UPDATE SKIP LOCKED)
			RETURNING id
		), chunks AS (DELETE FROM import_chunk WHERE import_id IN (SELECT id FROM old))
		DELETE FROM import_error WHERE import_id IN (SELECT id FROM old)`, keepEnded, keepOpen, maxForgotten)
	if err != nil {
		return fmt.Errorf("remove old imports: %w", err)
	}
	return nil
}
