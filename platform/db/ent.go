package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// querier is a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// entDriver lets ent speak through pgx, without database/sql, so that ent and River can share one pgx.Tx.
type entDriver struct{ querier }

var _ dialect.Driver = entDriver{}

func (entDriver) Dialect() string { return dialect.Postgres }
func (entDriver) Close() error    { return nil }

// Tx joins the transaction that the driver is in: whoever opened it commits it. Outside of one ent may not open any, because
// transactions belong to [Store.Tx].
func (d entDriver) Tx(context.Context) (dialect.Tx, error) {
	if _, inside := d.querier.(pgx.Tx); inside {
		return dialect.NopTx(d), nil
	}
	return nil, errors.New("this write takes more than one statement: make it in Store.Tx")
}

func (d entDriver) Exec(ctx context.Context, query string, args, v any) error {
	list, ok := args.([]any)
	if !ok {
		return fmt.Errorf("ent passed arguments of type %T", args)
	}
	tag, err := d.querier.Exec(ctx, query, list...)
	if err != nil {
		return err
	}
	if result, ok := v.(*entsql.Result); ok {
		*result = affected(tag.RowsAffected())
	}
	return nil
}

func (d entDriver) Query(ctx context.Context, query string, args, v any) error {
	list, ok := args.([]any)
	if !ok {
		return fmt.Errorf("ent passed arguments of type %T", args)
	}
	into, ok := v.(*entsql.Rows)
	if !ok {
		return fmt.Errorf("ent wants rows in a %T", v)
	}
	rows, err := d.querier.Query(ctx, query, list...)
	if err != nil {
		return err
	}
	*into = entsql.Rows{ColumnScanner: scanner{rows}}
	return nil
}

type affected int64

func (affected) LastInsertId() (int64, error) {
	return 0, errors.New("PostgreSQL has no last insert id")
}
func (n affected) RowsAffected() (int64, error) { return int64(n), nil }

type scanner struct{ pgx.Rows }

func (s scanner) Close() error {
	s.Rows.Close()
	return s.Rows.Err()
}

// Scan takes what ent passes where it does not know a type: a *driver.Value, which pgx knows as *any.
func (s scanner) Scan(dest ...any) error {
	for i, d := range dest {
		if value, ok := d.(*driver.Value); ok {
			dest[i] = (*any)(value)
		}
	}
	return s.Rows.Scan(dest...)
}

func (s scanner) Columns() ([]string, error) {
	fields := s.FieldDescriptions()
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].Name
	}
	return names, nil
}

func (scanner) ColumnTypes() ([]*sql.ColumnType, error) {
	return nil, errors.New("column types are not known")
}

func (scanner) NextResultSet() bool { return false }
