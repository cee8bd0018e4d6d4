package db

import (
	"bytes"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// lenient are the results of a batch whose only errors are those of the server and the connection. With pgx a row that cannot be read
// fails all that comes after it, so that nobody knows what the server says to that.
type lenient struct {
	pgx.BatchResults
	types *pgtype.Map
}

func (l lenient) Query() (pgx.Rows, error) {
	rows, err := l.BatchResults.Query()
	return lenientRows{rows, l.types}, err
}

// QueryRow reads the first row, whether it is scanned or not.
func (l lenient) QueryRow() pgx.Row {
	rows, err := l.BatchResults.Query()
	if err != nil {
		return lenientRow{err: err}
	}
	r := lenientRow{types: l.types, err: pgx.ErrNoRows}
	if rows.Next() {
		r.err, r.fields = nil, rows.FieldDescriptions()
		for _, value := range rows.RawValues() {
			r.values = append(r.values, bytes.Clone(value)) // It is good until the next row; nil stays nil.
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		r.err = err
	}
	return r
}

// lenientRow is a row that was read.
type lenientRow struct {
	types  *pgtype.Map
	fields []pgconn.FieldDescription
	values [][]byte
	err    error
}

func (r lenientRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return pgx.ScanRow(r.types, r.fields, r.values, dest...)
}

// lenientRows are rows of which one that cannot be scanned does not end the others.
type lenientRows struct {
	pgx.Rows
	types *pgtype.Map
}

func (r lenientRows) Scan(dest ...any) error {
	if len(dest) == 1 {
		if scanner, ok := dest[0].(pgx.RowScanner); ok {
			return scanner.ScanRow(r)
		}
	}
	return pgx.ScanRow(r.types, r.FieldDescriptions(), r.RawValues(), dest...)
}
