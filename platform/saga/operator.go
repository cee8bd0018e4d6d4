package saga

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1cleave"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// maxTimeline is how many entries of a timeline an operator gets.
const maxTimeline = 500

// Handlers returns what the module serves for the operator.
func (c *Client) Handlers() []rpc.Handler {
	return []rpc.Handler{sagav1cleave.NewSagaServiceHandler(operatorService{c}).Of(c.db.Module())}
}

// operatorService is for the operator.
type operatorService struct{ *Client }

// The states in which a saga is open, and in which it has ended.
var (
	openStates  = []sagav1.State{sagav1.State_STATE_RUNNING, sagav1.State_STATE_WAITING, sagav1.State_STATE_STUCK}
	endedStates = []sagav1.State{sagav1.State_STATE_DONE, sagav1.State_STATE_UNDONE}
)

// stateNow is the state of a saga, with the numbers of the contract.
const stateNow = "CASE WHEN phase = 'done' THEN 4 WHEN phase = 'undone' THEN 5 WHEN stuck THEN 3 WHEN leased AND due > now() THEN 1 ELSE 2 END"

// look selects what an operator sees of sagas.
const look = `SELECT s.id, s.kind, s.phase, s.position, s.state, s.attempt, s.reason, s.wish, s.driver, s.create_time, s.steps,
		now() - s.create_time, now() - s.progress_time, s.due - now(),
		last.number, last.time, last.time - s.create_time, last.step, last.what, last.attempt, last.duration, last.note
	FROM (
		SELECT id, kind, phase, position, attempt, reason, wish, driver, create_time, progress_time, due, number, steps,
			` + stateNow + ` AS state
		FROM cleave_saga
	) s LEFT JOIN cleave_saga_step last ON last.saga_id = s.id AND last.number = s.number`

// ListSagas lists a page of sagas.
func (s operatorService) ListSagas(ctx context.Context, r *sagav1.ListSagasRequest) (*sagav1.ListSagasResponse, error) {
	states := r.GetStates()
	if len(states) == 0 {
		states = openStates
	}
	// Each of the two has an index, which PostgreSQL recognizes by the phases.
	args := []any{page.Size(r.GetPageSize()) + 1}
	condition := "s.phase IN ('forward', 'back') AND s.state = ANY ($2)"
	switch {
	case within(states, openStates):
		args = append(args, states)
	case !within(states, endedStates):
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "states: names both open sagas and ended ones, which are two lists: ask for each")
	case !slices.Contains(states, sagav1.State_STATE_UNDONE):
		condition = "s.phase = 'done'"
	case !slices.Contains(states, sagav1.State_STATE_DONE):
		condition = "s.phase = 'undone'"
	default:
		condition = "s.phase IN ('done', 'undone')"
	}
	add := func(clause string, more ...any) {
		for _, arg := range more {
			args = append(args, arg)
			clause = strings.Replace(clause, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		condition += " AND " + clause
	}
	if r.GetKind() != "" {
		add("s.kind = ?", r.GetKind())
	}
	after, order := ">", "s.create_time, s.id"
	if r.GetLatestFirst() {
		after, order = "<", "s.create_time DESC, s.id DESC"
	}
	filter := fmt.Sprint(states, r.GetKind(), r.GetLatestFirst())
	last, err := page.Decode(r.GetPageToken(), filter)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if last != "" {
		created, id, _ := strings.Cut(last, " ")
		time, err := time.Parse(time.RFC3339Nano, created)
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, page.ErrToken)
		}
		add("(s.create_time, s.id) "+after+" (?, ?)", time, id)
	}
	sagas, err := s.look(ctx, look+" WHERE "+condition+" ORDER BY "+order+" LIMIT $1", args...)
	if err != nil {
		return nil, err
	}
	response := &sagav1.ListSagasResponse{}
	response.Sagas, response.NextPageToken = page.Cut(sagas, page.Size(r.GetPageSize()), filter, func(last *sagav1.Saga) string {
		return last.GetCreateTime().AsTime().Format(time.RFC3339Nano) + " " + last.GetId()
	})
	return response, nil
}

// within reports whether all states are among some.
func within(states, some []sagav1.State) bool {
	return !slices.ContainsFunc(states, func(s sagav1.State) bool { return !slices.Contains(some, s) })
}

// GetSaga returns a saga and its timeline.
func (s operatorService) GetSaga(ctx context.Context, r *sagav1.GetSagaRequest) (*sagav1.GetSagaResponse, error) {
	saga, err := s.get(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Pool().Query(ctx, `SELECT number, time, time - $2, step, what, attempt, duration, note
		FROM cleave_saga_step WHERE saga_id = $1 ORDER BY number DESC LIMIT $3`, r.GetId(), saga.GetCreateTime().AsTime(), maxTimeline)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("read the timeline of saga %s: %w", r.GetId(), err))
	}
	timeline, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*sagav1.Entry, error) {
		var e shown
		err := row.Scan(e.into()...)
		return e.wire(), err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("read the timeline of saga %s: %w", r.GetId(), err))
	}
	slices.Reverse(timeline)
	return &sagav1.GetSagaResponse{Saga: saga, Timeline: timeline}, nil
}

// ResumeSaga gets a saga going at once that waits or is stuck.
func (s operatorService) ResumeSaga(ctx context.Context, r *sagav1.ResumeSagaRequest) (*sagav1.ResumeSagaResponse, error) {
	response := &sagav1.ResumeSagaResponse{}
	err := s.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		response.Resumed, err = s.resume(ctx, tx, r.GetId(), r.GetNote())
		return err
	})
	if errors.Is(err, ErrUnknown) {
		return nil, rpc.NotFound("saga", r.GetId())
	}
	if err == nil {
		response.Saga, err = s.get(ctx, r.GetId())
	}
	return response, err
}

func (s operatorService) get(ctx context.Context, id string) (*sagav1.Saga, error) {
	found, err := s.look(ctx, look+" WHERE s.id = $1", id)
	if err == nil && len(found) == 0 {
		err = rpc.NotFound("saga", id)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (s operatorService) look(ctx context.Context, sql string, args ...any) ([]*sagav1.Saga, error) {
	rows, err := s.db.Pool().Query(ctx, sql, args...)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("look for sagas: %w", err))
	}
	sagas, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*sagav1.Saga, error) {
		saga := &sagav1.Saga{}
		var phase string
		var position int
		var steps []string
		var created time.Time
		var age, sinceProgress time.Duration
		var dueIn *time.Duration
		var last shown
		err := row.Scan(append([]any{
			&saga.Id, &saga.Kind, &phase, &position, &saga.State, &saga.Attempt, &saga.Reason, &saga.Wish, &saga.Driver, &created, &steps,
			&age, &sinceProgress, &dueIn,
		}, last.into()...)...)
		saga.Back = phase == "back"
		if k := s.kinds[saga.GetKind()]; k != nil && len(steps) == 0 {
			steps = stepNames(k.steps)
		}
		if slices.Contains(openStates, saga.GetState()) && position < len(steps) {
			saga.Step = steps[position]
		}
		saga.CreateTime = timestamppb.New(created)
		saga.Age, saga.SinceProgress = durationpb.New(age), durationpb.New(sinceProgress)
		if dueIn != nil {
			saga.DueIn = durationpb.New(*dueIn)
		}
		saga.Last = last.wire()
		return saga, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("look for sagas: %w", err))
	}
	return sagas, nil
}

// shown is an entry of a timeline as it is read, or nothing.
type shown struct {
	number            *int64
	time              *time.Time
	elapsed, duration *time.Duration
	step, what, note  *string
	attempt           *int32
}

func (e *shown) into() []any {
	return []any{&e.number, &e.time, &e.elapsed, &e.step, &e.what, &e.attempt, &e.duration, &e.note}
}

func (e *shown) wire() *sagav1.Entry {
	if e.number == nil {
		return nil
	}
	return &sagav1.Entry{
		Number: *e.number, Time: timestamppb.New(*e.time), Elapsed: durationpb.New(*e.elapsed), Step: *e.step, What: *e.what, Attempt: *e.attempt,
		Duration: durationpb.New(*e.duration), Note: *e.note,
	}
}
