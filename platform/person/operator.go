package person

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// emailPrefix begins the ids of erasures of an e-mail address.
const emailPrefix = "ers_"

// exportPage is how many rows are in one answer, and in memory at once.
const exportPage = 200

// Handlers returns what the module serves for the operator.
func (c *Client) Handlers() []rpc.Handler {
	return []rpc.Handler{personv1cleave.NewPersonServiceHandler(operatorService{c}).Of(c.db.Module())}
}

// operatorService is for the operator.
type operatorService struct{ *Client }

// GetReport returns the report about a person.
func (s operatorService) GetReport(ctx context.Context, r *personv1.GetReportRequest) (*personv1.GetReportResponse, error) {
	erasures, err := s.report(ctx, r.GetSubject())
	if err != nil {
		return nil, err
	}
	response := &personv1.GetReportResponse{Erasures: erasures}
	for _, h := range s.holdings {
		if h.Email != "" || !strings.HasPrefix(r.GetSubject(), emailPrefix) {
			response.Places = append(response.Places, h.place())
		}
	}
	return response, nil
}

func (s operatorService) report(ctx context.Context, subject string) ([]*personv1.Erasure, error) {
	rows, _ := s.db.Pool().Query(ctx, "SELECT place, done, rows, time FROM cleave_erasure WHERE subject = $1 ORDER BY place", subject)
	erasures, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*personv1.Erasure, error) {
		e := &personv1.Erasure{}
		var done string
		var at time.Time
		err := row.Scan(&e.Place, &done, &e.Rows, &at)
		e.Done, e.Time = wireDone[done], timestamppb.New(at)
		return e, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("read a report: %w", err))
	}
	return erasures, nil
}

// StreamExport reads a page by one statement, so that no connection waits for whoever reads the export.
func (s operatorService) StreamExport(ctx context.Context, r *personv1.StreamExportRequest, stream *connect.ServerStream[personv1.StreamExportResponse]) error {
	for _, h := range s.holdings {
		for after := ""; len(h.Shows) > 0 && !h.Later; {
			page := &personv1.StreamExportResponse{Place: h.place()}
			rows, _ := s.db.Pool().Query(ctx, fmt.Sprintf(`SELECT place_in_export, to_jsonb(shown) FROM (
					SELECT %[1]s::text COLLATE "C" AS place_in_export, * FROM %[2]s WHERE (%[3]s) AND %[1]s::text COLLATE "C" > $2 ORDER BY 1 LIMIT $3
				) AS page, LATERAL (SELECT %[4]s) AS shown ORDER BY place_in_export`,
				pgx.Identifier{h.key()}.Sanitize(), h.table(), h.Of, h.columns()), r.GetSubject(), after, exportPage)
			var shown string
			if _, err := pgx.ForEachRow(rows, []any{&after, &shown}, func() error {
				page.Rows = append(page.Rows, shown)
				return nil
			}); err != nil {
				return db.Unavailable(fmt.Errorf("export %s: %w", h.Table, err))
			}
			if len(page.GetRows()) == 0 {
				break
			}
			if err := stream.Send(page); err != nil {
				return err
			}
		}
	}
	return nil
}

// EraseEmail forgets what is known by an address alone.
func (s operatorService) EraseEmail(ctx context.Context, r *personv1.EraseEmailRequest) (*personv1.EraseEmailResponse, error) {
	if err := s.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return s.erase(ctx, tx, r.GetErasureId(), strings.ToLower(r.GetEmail()), func(h Holding) string { return h.Email })
	}); err != nil {
		return nil, err
	}
	erasures, err := s.report(ctx, r.GetErasureId())
	return &personv1.EraseEmailResponse{Erasures: erasures}, err
}
