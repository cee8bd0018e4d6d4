package saga_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/saga"
)

// list lists all pages, with one saga on each.
func (b *bench) list(c sagav1connect.SagaServiceHandler, r *sagav1.ListSagasRequest) []*sagav1.Saga {
	b.t.Helper()
	var all []*sagav1.Saga
	r.PageSize = 1
	for {
		page, err := c.ListSagas(moduletest.As(b.t, ""), r)
		if err != nil {
			b.t.Fatal(err)
		}
		if all = append(all, page.GetSagas()...); page.GetNextPageToken() == "" {
			return all
		}
		r.PageToken = page.GetNextPageToken()
	}
}

// An operator finds each saga in the list of its state, with all that says how it is.
func TestListSagas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	operator := p.Operator()
	reached, release := make(chan bool), make(chan bool)
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	b.when("running", func(m moment) error {
		if m.step == "hotel" && m.holding {
			close(reached)
			<-release
		}
		return nil
	})
	b.when("waiting", func(m moment) error {
		if m.step == "hotel" {
			return saga.Wait("no answer yet")
		}
		return nil
	})
	b.when("stuck", func(m moment) error {
		if m.undo && m.step == "train" {
			return saga.Stuck("the train keeps the money")
		}
		if m.step == "hotel" && !m.undo {
			return saga.Refuse("NO_ROOM")
		}
		return nil
	})
	b.when("undone", func(m moment) error {
		if m.step == "tour" && !m.undo {
			return saga.Refuse("NO_SEAT")
		}
		return nil
	})
	for _, id := range []string{"undone", "running", "waiting", "stuck", "done"} {
		b.start(p, id)
	}
	<-reached
	for range 3 {
		b.wait()
	}
	moduletest.Eventually(t, "one waits", func() bool {
		return moduletest.Value[bool](t, b.House, "SELECT attempt > 0 AND NOT leased FROM trips.cleave_saga WHERE id = 'waiting'")
	})
	b.Exec(t, "UPDATE trips.cleave_saga SET progress_time = progress_time - interval '1 hour', create_time = create_time - interval '1 day' WHERE id = 'waiting'")

	for _, c := range []struct {
		name    string
		request *sagav1.ListSagasRequest
		want    string
	}{
		{"open", &sagav1.ListSagasRequest{}, "waiting running stuck"},
		{"open, the latest first", &sagav1.ListSagasRequest{LatestFirst: true}, "stuck running waiting"},
		{"running", &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_RUNNING}}, "running"},
		{"stuck and waiting", &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_STUCK, sagav1.State_STATE_WAITING}}, "waiting stuck"},
		{"ended", &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_DONE, sagav1.State_STATE_UNDONE}}, "undone done"},
		{"done", &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_DONE}}, "done"},
		{"of a kind", &sagav1.ListSagasRequest{Kind: "trip", States: []sagav1.State{sagav1.State_STATE_UNDONE}}, "undone"},
		{"of another kind", &sagav1.ListSagasRequest{Kind: "walk"}, ""},
	} {
		var got []string
		for _, s := range b.list(operator, c.request) {
			got = append(got, s.GetId())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	open := b.list(operator, &sagav1.ListSagasRequest{})
	host, _ := os.Hostname()
	for i, want := range []struct {
		state       sagav1.State
		step, note  string
		back, tries bool
		due         bool
	}{
		{sagav1.State_STATE_WAITING, "hotel", "no answer yet", false, true, true},
		{sagav1.State_STATE_RUNNING, "hotel", "", false, false, true},
		{sagav1.State_STATE_STUCK, "train", "the train keeps the money", true, false, false},
	} {
		s := open[i]
		if s.GetState() != want.state || s.GetKind() != "trip" || s.GetStep() != want.step || s.GetBack() != want.back || (s.GetAttempt() > 0) != want.tries ||
			(s.GetDueIn() != nil) != want.due || s.GetLast().GetNote() != want.note || s.GetDriver() != fmt.Sprint(host, " ", os.Getpid()) {
			t.Errorf("want %+v, got %v", want, s)
		}
	}
	if age := open[0].GetAge().AsDuration(); age < 24*time.Hour || open[0].GetSinceProgress().AsDuration() < time.Hour || open[1].GetAge().AsDuration() > time.Hour {
		t.Errorf("a day ago is %s, an hour ago %s", age, open[0].GetSinceProgress().AsDuration())
	}
	if open[2].GetReason() != "NO_ROOM" {
		t.Errorf("it goes back because of %q", open[2].GetReason())
	}
	// An attempt that fails is no progress, and the wait for the next one has an end.
	b.expire(p, "waiting")
	moduletest.Eventually(t, "it has waited twice", func() bool {
		return moduletest.Value[bool](t, b.House, "SELECT attempt = 2 AND NOT leased FROM trips.cleave_saga WHERE id = 'waiting'")
	})
	if s := b.list(operator, &sagav1.ListSagasRequest{})[0]; s.GetSinceProgress().AsDuration() < time.Hour || s.GetDueIn().AsDuration() <= 0 {
		t.Errorf("after an attempt: %v", s)
	}

	_, err := operator.ListSagas(t.Context(), &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_DONE, sagav1.State_STATE_STUCK}})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a list of both: %v", err)
	}
	page, err := operator.ListSagas(t.Context(), &sagav1.ListSagasRequest{PageSize: 1})
	if err == nil {
		_, err = operator.ListSagas(t.Context(), &sagav1.ListSagasRequest{PageSize: 1, PageToken: page.GetNextPageToken(), Kind: "trip"})
	}
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("the page of another list: %v", err)
	}
}

// Millions of sagas that have ended cost nothing when one looks for those that are open.
func TestOpenSagasHaveAnIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Exec(t, `INSERT INTO trips.cleave_saga (id, kind, state, phase, position, leased, create_time)
		SELECT 'trip ' || n, 'trip', '{}', CASE WHEN n % 1000 = 0 THEN 'forward' ELSE 'done' END, 0, false, now() - n * interval '1 second' FROM generate_series(1, 20000) n`)
	b.Exec(t, "ANALYZE trips.cleave_saga")
	for condition, index := range map[string]string{"s.phase IN ('forward', 'back') AND s.state = ANY ('{1,3}')": "cleave_saga_open", "s.phase = 'done'": "cleave_saga_ended"} {
		sql := strings.ReplaceAll(saga.Look, "cleave_saga", "trips.cleave_saga") + " WHERE " + condition + " ORDER BY s.create_time, s.id LIMIT 51"
		plan := strings.Join(moduletest.Query[string](t, b.House, "EXPLAIN "+sql), "\n")
		if !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan on cleave_saga ") {
			t.Errorf("it does not use %s:\n%s", index, plan)
		}
	}
}

// The timeline tells what has happened to a saga, in order, and a person who gets it on leaves a note there.
func TestTimelineAndResume(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	operator := p.Operator()
	var once sync.Once
	b.when("trip_1", func(m moment) (err error) {
		if m.step == "tour" {
			once.Do(func() { err = saga.Stuck("the guide is ill") })
		}
		return err
	})
	b.start(p, "trip_1")
	b.wait()
	for range 2 { // The answer to the first one may have been lost.
		response, err := operator.ResumeSaga(moduletest.As(t, ""), &sagav1.ResumeSagaRequest{Id: "trip_1", Note: "found another guide"})
		if err != nil {
			t.Fatal(err)
		}
		if response.GetResumed() {
			b.wait()
		} else if response.GetSaga().GetState() != sagav1.State_STATE_DONE {
			t.Errorf("it was not resumed: %v", response)
		}
	}
	b.ends("trip_1", "done")
	got, err := operator.GetSaga(t.Context(), &sagav1.GetSagaRequest{Id: "trip_1"})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for i, e := range got.GetTimeline() {
		told = append(told, strings.TrimSpace(fmt.Sprint(e.GetStep(), " ", e.GetWhat(), " ", e.GetNote())))
		if e.GetNumber() != int64(i+1) || e.GetElapsed().AsDuration() < 0 || i > 0 && e.GetElapsed().AsDuration() < got.GetTimeline()[i-1].GetElapsed().AsDuration() {
			t.Errorf("entry %d is %v", i, e)
		}
	}
	if want := []string{"train did", "hotel did", "tour stuck the guide is ill", "resumed found another guide", "tour did"}; !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
	if s := got.GetSaga(); s.GetStep() != "" || s.GetDueIn() != nil || s.GetState() != sagav1.State_STATE_DONE {
		t.Errorf("it has ended: %v", s)
	}
	// One that cannot get on has a timeline without end; the operator gets the last part.
	b.Exec(t, "INSERT INTO trips.cleave_saga_step (saga_id, number, step, what, attempt, duration, note) SELECT 'trip_1', n, 'tour', 'waiting', n, '0', '' FROM generate_series(6, 1000) n")
	if got, err = operator.GetSaga(t.Context(), &sagav1.GetSagaRequest{Id: "trip_1"}); err != nil || len(got.GetTimeline()) != 500 || got.GetTimeline()[0].GetNumber() != 501 {
		t.Errorf("%d entries from %v on, %v", len(got.GetTimeline()), got.GetTimeline()[0], err)
	}

	for name, ask := range map[string]func(context.Context, string) error{
		"get": func(ctx context.Context, id string) error {
			_, err := operator.GetSaga(ctx, &sagav1.GetSagaRequest{Id: id})
			return err
		},
		"resume": func(ctx context.Context, id string) error {
			_, err := operator.ResumeSaga(ctx, &sagav1.ResumeSagaRequest{Id: id, Note: "try"})
			return err
		},
	} {
		if err := ask(t.Context(), "trip_2"); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s what there is not: %v", name, err)
		}
	}
}
