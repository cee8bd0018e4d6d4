package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// journey is the state of a saga whose hotel does at each attempt what the next word says.
type journey struct{ Hotel []string }

// travel is a module whose sagas are journeys.
type travel struct {
	*moduletest.House
	journeys *saga.Saga[journey]
	db       *db.DB
	ended    chan bool
}

func newTravel(t *testing.T, names ...string) map[string]*travel {
	all := map[string]*travel{}
	var modules []module.Module
	for _, name := range names {
		m := &travel{ended: make(chan bool, 10)}
		all[name] = m
		modules = append(modules, module.Module{
			Name: name, Migrations: fstest.MapFS{"migrations/1_nothing.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}},
			Build: func(host *module.Host) ([]rpc.Handler, error) {
				m.db = host.DB
				m.journeys = saga.Register(host.Sagas, m.definition())
				return nil, nil
			},
		})
	}
	house := moduletest.Start(t, modules...)
	for _, m := range all {
		m.House = house
	}
	return all
}

func (m *travel) definition() saga.Definition[journey] {
	return saga.Definition[journey]{
		Kind: "journey",
		Steps: []saga.Step[journey]{{Name: "train"}, {Name: "hotel", Do: func(_ context.Context, r *saga.Run[journey]) error {
			if len(r.State.Hotel) == 0 {
				return nil
			}
			word := r.State.Hotel[0]
			r.State.Hotel = r.State.Hotel[1:]
			switch word {
			case "full":
				return saga.Refuse("NO_ROOM")
			case "shut":
				return saga.Stuck("the hotel is\nshut")
			default:
				return saga.Wait("nobody picks up the phone")
			}
		}}},
		Boundary: func(_ context.Context, tx pgx.Tx, c saga.Change[journey]) error {
			if c.What == saga.Waiting { // No sweep comes upon it during the test.
				db.Defer(tx, "UPDATE cleave_saga SET due = now() + interval '1 hour' WHERE id = $1", c.ID)
			}
			if c.Done || c.Undone || c.What == saga.GotStuck || c.What == saga.Waiting {
				m.ended <- true // Soon.
			}
			return nil
		},
	}
}

// begin begins a journey and waits until it has ended, waits or is stuck.
func (m *travel) begin(t *testing.T, id string, hotel ...string) {
	t.Helper()
	if err := m.db.Tx(moduletest.As(t, ""), func(ctx context.Context, tx pgx.Tx) error { return m.journeys.Start(ctx, tx, id, journey{hotel}) }); err != nil {
		t.Fatal(err)
	}
	<-m.ended
}

// port returns an operator's port of a process with these modules.
func port(t *testing.T, modules map[string]*travel) string {
	mux := http.NewServeMux()
	names := []string{}
	for name, m := range modules {
		names = append(names, name)
		client := sagav1cleave.NewSagaServiceClient(m.Caller("edge", sagav1cleave.SagaService.Of(name)).At(name))
		_, handler := sagav1connect.NewSagaServiceHandler(client)
		mux.Handle("/modules/"+name+"/", http.StripPrefix("/modules/"+name, handler))
	}
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(names) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestSagas(t *testing.T) {
	t.Parallel()
	modules := newTravel(t, "trips", "cruises")
	trips := modules["trips"]
	trips.begin(t, "trip_done")
	trips.begin(t, "trip_full", "full")
	trips.begin(t, "trip_shut", "shut")
	trips.begin(t, "trip_away", "away")
	modules["cruises"].begin(t, "cruise_shut", "shut")
	modules["cruises"].begin(t, "trip_done")
	url := port(t, modules)
	settled := func(id, state string) {
		moduletest.Eventually(t, id+" is "+state, func() bool {
			out, err := run(t, "sagas", "list", "--admin", url, "--state", state)
			return err == nil && strings.Contains(out, id)
		})
	}
	settled("trip_away", "waiting")
	settled("trip_shut", "stuck")
	settled("cruise_shut", "stuck")
	settled("trip_full", "undone")
	for _, c := range []struct {
		name, args string
		want, not  []string
		fails      bool
	}{
		{"list", "list", []string{"MODULE", "trip_shut", "trip_away", "cruise_shut", "waiting", "nobody picks up the phone", "the hotel is shut"}, []string{"trip_done", "trip_full", "There is more"}, false},
		{"list of a module", "list --module cruises", []string{"cruise_shut"}, []string{"trip_shut"}, false},
		{"list by state", "list --state waiting", []string{"trip_away", " in 1h0m "}, []string{"shut"}, false},
		{"list what has ended", "list --state ended", []string{"trip_done", "trip_full", "NO_ROOM"}, []string{"trip_shut"}, false},
		{"list by kind", "list --kind walk", []string{"No saga is open."}, []string{"trip_shut"}, false},
		{"list as JSON", "list --json --state stuck --module trips", []string{`"module":"trips"`, `"id":"trip_shut"`, `"state":"STATE_STUCK"`, `"step":"hotel"`}, []string{"MODULE"}, false},
		{"list few", "list --limit 1", []string{"cruise_shut", "There is more"}, []string{"trip_shut"}, false},
		{"list none", "list --limit 0", []string{"--limit 0"}, nil, true},
		{"list a state that is none", "list --state lost", []string{`--state "lost" is none of open, running, waiting, stuck, ended, done, undone`}, nil, true},
		{"show", "show trip_full", []string{"journey trip_full of module trips is undone", "NO_ROOM", "ELAPSED", "started", "turned back", "undid"}, []string{"due"}, false},
		{"show what is stuck", "show cruise_shut", []string{"of module cruises is stuck at: hotel", "cleave sagas resume cruise_shut", "the hotel is shut"}, nil, false},
		{"show what waits", "show trip_away", []string{"is waiting at: hotel", "due in 1h", "nobody picks up"}, nil, false},
		{"show as JSON", "show trip_full --json", []string{`"module":"trips"`, `"timeline":[`, `"what":"turned back"`}, nil, false},
		{"show what is in two modules", "show trip_done", []string{"cruises and trips each have a saga trip_done: choose with --module"}, nil, true},
		{"show in one of them", "show trip_done --module trips", []string{"of module trips is done"}, nil, false},
		{"show what there is not", "show trip_9", []string{"there is no saga trip_9 in cruises, trips", "--admin"}, nil, true},
		{"resume", "resume trip_shut trip_9 --note opened", []string{"trip_shut tries again", "no saga trip_9"}, nil, true},
		{"resume what has ended", "resume trip_full", []string{"trip_full has ended already: it is undone"}, nil, false},
		{"resume as JSON", "resume cruise_shut --json", []string{`"resumed":true`}, nil, false},
		{"another module", "list --module payments", []string{"holds the module payments; there are cruises, trips"}, nil, true},
		{"nobody", "list --admin " + nobody(t), []string{"nobody answers at", "--admin or CLEAVE_ADMIN_URLS"}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := run(t, append([]string{"sagas", "--admin", url}, strings.Fields(c.args)...)...)
			if (err != nil) != c.fails {
				t.Fatalf("%v\n%s", err, out)
			}
			if err != nil {
				out += err.Error()
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in what it says:\n%s", want, out)
				}
			}
			for _, not := range c.not {
				if strings.Contains(out, not) {
					t.Errorf("%q is in what it says:\n%s", not, out)
				}
			}
		})
	}
	settled("trip_shut", "done")
	if out, err := run(t, "sagas", "show", "trip_shut", "--admin", url); err != nil || !strings.Contains(out, "resumed") || !strings.Contains(out, "opened") {
		t.Errorf("the note is not in the timeline: %v\n%s", err, out)
	}
	settled("cruise_shut", "done")
	if out, err := run(t, "sagas", "show", "cruise_shut", "--admin", url); err != nil || !strings.Contains(out, " by ") {
		t.Errorf("who resumed it is not in the timeline: %v\n%s", err, out)
	}
}

// A timeline of a thousand attempts is told with the first and the last one, and says what is left out.
func TestTimeline(t *testing.T) {
	t.Parallel()
	found := &sagav1.GetSagaResponse{Saga: &sagav1.Saga{Id: "trip_1", Kind: "journey", State: sagav1.State_STATE_WAITING}}
	for i := range int32(500) {
		found.Timeline = append(found.Timeline, &sagav1.Entry{Number: int64(501 + i), Step: "hotel", What: "waiting", Attempt: 501 + i})
	}
	found.Timeline = append(found.Timeline, &sagav1.Entry{Number: 1001, What: "resumed", Note: "by me"})
	var out strings.Builder
	timeline(&out, "trips", found)
	_, table, _ := strings.Cut(out.String(), "NOTE")
	var told []string
	for row := range strings.Lines(table) {
		if words := strings.Fields(row); len(words) > 0 {
			told = append(told, strings.Join(words, " "))
		}
	}
	want := []string{"- 0s started", "... 500 more", "- 0s hotel waiting 501 0s", "...", "- 0s hotel waiting 1000 0s", "- 0s resumed by me"}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}

// A shell can complete what there is.
func TestSagasComplete(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode([]string{"orders"}) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for flag, want := range map[string]string{"--state": "stuck", "--module": "orders"} {
		if out, err := run(t, "__complete", "sagas", "list", "--admin", server.URL, flag, ""); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", flag, err, out)
		}
	}
}
