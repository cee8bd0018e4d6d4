package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// importRow is a row of the table of imports.
type importRow struct {
	id                   string
	format               format
	state                importState
	columns              []string
	size, position, line int64
	rows, failedRows     int64
	failure              string
	createTime           time.Time
	endTime              *time.Time
}

const importColumns = "id, format, state, columns, size, position, line, rows, failed_rows, failure, create_time, end_time"

func scanImport(row pgx.CollectableRow) (*importRow, error) {
	r := &importRow{}
	return r, row.Scan(&r.id, &r.format, &r.state, &r.columns, &r.size, &r.position, &r.line, &r.rows, &r.failedRows, &r.failure, &r.createTime, &r.endTime)
}

func (r *importRow) message() *catalogv1.Import {
	m := &catalogv1.Import{
		Id: r.id, Format: messageFormats[r.format], State: messageImportStates[r.state], Size: r.size, Position: r.position,
		Rows: r.rows, FailedRows: r.failedRows, Failure: r.failure, CreateTime: timestamppb.New(r.createTime),
	}
	if r.endTime != nil {
		m.EndTime = timestamppb.New(*r.endTime)
	}
	return m
}

// errState says that the state of the import forbids what was asked for.
func (r *importRow) errState(what string) error {
	return rpc.Errorf(connect.CodeFailedPrecondition, messageImportStates[r.state].String(), "import %s is %s and cannot %s", r.id, r.state, what)
}

// one runs a query for an import, with importColumns.
func one(ctx context.Context, q interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, id, sql string, args ...any) (*importRow, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanImport)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpc.NotFound("import", id)
	}
	return r, err
}

// lockImport reads an import, and keeps others from changing it.
func lockImport(ctx context.Context, tx tx, id string) (*importRow, error) {
	return one(ctx, tx, id, "SELECT "+importColumns+" FROM import WHERE id = $1 FOR UPDATE", id)
}

func (s *service) CreateImport(ctx context.Context, r *catalogv1.CreateImportRequest) (*catalogv1.CreateImportResponse, error) {
	kind := formatCSV
	if r.GetFormat() == messageFormats[formatJSONL] {
		kind = formatJSONL
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.CreateImportResponse, error) {
		importID := id.New("imp")
		made, err := one(ctx, tx, importID, `INSERT INTO import (id, format, state) SELECT $1, $2, $3
			WHERE (SELECT count(*) FROM import WHERE state IN ('open', 'running')) < $4 RETURNING `+importColumns, importID, string(kind), string(importOpen), maxImports)
		if connect.CodeOf(err) == connect.CodeNotFound {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "TOO_MANY_IMPORTS", "%d imports are under way: cancel one, or wait", maxImports)
		}
		if err != nil {
			return nil, err
		}
		return &catalogv1.CreateImportResponse{Import: made.message()}, nil
	})
}

func (s *service) AppendImport(ctx context.Context, r *catalogv1.AppendImportRequest) (*catalogv1.AppendImportResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.AppendImportResponse, error) {
		found, err := lockImport(ctx, tx, r.GetId())
		switch {
		case err != nil:
			return nil, err
		case found.state != importOpen:
			return nil, found.errState("take more")
		case r.GetOffset() != found.size:
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "OFFSET", "offset: import %s has %d bytes: go on there", found.id, found.size)
		case found.size+int64(len(r.GetData())) > maxFile:
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "FILE_TOO_LARGE", "a file has at most %d bytes: import it in parts", maxFile)
		}
		tx.Defer("INSERT INTO import_chunk (import_id, start, data) VALUES ($1, $2, $3)", found.id, found.size, r.GetData())
		found.size += int64(len(r.GetData()))
		tx.Defer("UPDATE import SET size = $2 WHERE id = $1", found.id, found.size)
		return &catalogv1.AppendImportResponse{Import: found.message()}, nil
	})
}

func (s *service) StartImport(ctx context.Context, r *catalogv1.StartImportRequest) (*catalogv1.StartImportResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.StartImportResponse, error) {
		found, err := lockImport(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		if !found.state.canBecome(importRunning) {
			return nil, found.errState("be started")
		}
		f := fileOf(ctx, tx, found, &piece{})
		if found.format == formatCSV {
			problem, err := f.header()
			if err != nil {
				return nil, fmt.Errorf("read the first line of import %s: %w", found.id, err)
			}
			if problem != "" {
				return nil, rpc.Errorf(connect.CodeInvalidArgument, "IMPORT_HEADER", "the first line of the file must name the columns: %s", problem)
			}
		}
		names, err := json.Marshal(append([]string{}, f.columns...))
		if err != nil {
			return nil, err
		}
		found, err = one(ctx, tx, found.id, "UPDATE import SET state = $2, columns = $3, position = $4, line = $5 WHERE id = $1 RETURNING "+importColumns,
			found.id, string(importRunning), string(names), f.position, f.line)
		if err != nil {
			return nil, err
		}
		db.AfterCommit(ctx, s.nudgeImports)
		return &catalogv1.StartImportResponse{Import: found.message()}, nil
	})
}

func (s *service) CancelImport(ctx context.Context, r *catalogv1.CancelImportRequest) (*catalogv1.CancelImportResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.CancelImportResponse, error) {
		found, err := lockImport(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		if !found.state.canBecome(importCancelled) {
			return nil, found.errState("be cancelled")
		}
		found, err = end(ctx, tx, found.id, importCancelled, "")
		if err != nil {
			return nil, err
		}
		return &catalogv1.CancelImportResponse{Import: found.message()}, nil
	})
}

// end ends an import, and forgets its file.
func end(ctx context.Context, tx tx, id string, how importState, failure string) (*importRow, error) {
	tx.Defer("DELETE FROM import_chunk WHERE import_id = $1", id)
	return one(ctx, tx, id, "UPDATE import SET state = $2, failure = $3, end_time = now() WHERE id = $1 RETURNING "+importColumns, id, string(how), failure)
}

func (s *service) GetImport(ctx context.Context, r *catalogv1.GetImportRequest) (*catalogv1.GetImportResponse, error) {
	found, err := one(ctx, s.store.Pool(), r.GetId(), "SELECT "+importColumns+" FROM import WHERE id = $1", r.GetId())
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &catalogv1.GetImportResponse{Import: found.message()}, nil
}

func (s *service) ListImports(ctx context.Context, r *catalogv1.ListImportsRequest) (*catalogv1.ListImportsResponse, error) {
	size := page.Size(r.GetPageSize())
	before, err := page.Decode(r.GetPageToken(), "")
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Pool().Query(ctx, "SELECT "+importColumns+" FROM import WHERE $1 = '' OR id < $1 ORDER BY id DESC LIMIT $2", before, size+1)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	all, err := pgx.CollectRows(rows, scanImport)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list imports: %w", err))
	}
	answer := &catalogv1.ListImportsResponse{}
	all, answer.NextPageToken = page.Cut(all, size, "", func(r *importRow) string { return r.id })
	for _, found := range all {
		answer.Imports = append(answer.Imports, found.message())
	}
	return answer, nil
}

func (s *service) ListImportErrors(ctx context.Context, r *catalogv1.ListImportErrorsRequest) (*catalogv1.ListImportErrorsResponse, error) {
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), r.GetId())
	line := int64(math.MinInt64)
	if err == nil && after != "" {
		if line, err = strconv.ParseInt(after, 10, 64); err != nil {
			err = page.ErrToken
		}
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if _, err := s.GetImport(ctx, &catalogv1.GetImportRequest{Id: r.GetId()}); err != nil {
		return nil, err
	}
	rows, err := s.store.Pool().Query(ctx, "SELECT line, reason, message FROM import_error WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3", r.GetId(), line, size+1)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*catalogv1.ImportError, error) {
		e := &catalogv1.ImportError{}
		return e, row.Scan(&e.Line, &e.Reason, &e.Message)
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list the errors of an import: %w", err))
	}
	answer := &catalogv1.ListImportErrorsResponse{}
	answer.Errors, answer.NextPageToken = page.Cut(all, size, r.GetId(), func(e *catalogv1.ImportError) string { return strconv.FormatInt(e.GetLine(), 10) })
	return answer, nil
}
