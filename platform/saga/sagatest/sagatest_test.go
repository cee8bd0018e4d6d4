package sagatest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"pgregory.net/rapid"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/saga/sagatest"
)

// agency is a world in which trips are booked: it carries a key out once, and not after it was undone.
type agency struct {
	booked  map[string]int // how often, by key
	revoked map[string]bool

	forgetsRevoked bool // what a test breaks
}

func (a *agency) Clone() *agency {
	return &agency{maps.Clone(a.booked), maps.Clone(a.revoked), a.forgetsRevoked}
}

func (a *agency) Fingerprint() string { return fmt.Sprint(a.booked, a.revoked) }

func (a *agency) book(ctx context.Context, key string) (string, error) {
	return sagatest.Call(ctx, "book "+key, func() (string, error) {
		switch {
		case a.revoked[key]:
			return "", rpc.Errorf(connect.CodeFailedPrecondition, "REVOKED", "undone before it came")
		case a.booked[key] == 0 && sagatest.May(ctx, "is no seat left"):
			return "", rpc.Errorf(connect.CodeFailedPrecondition, "NO_SEAT", "no seat is left")
		}
		a.booked[key] = 1
		return "ticket of " + key, nil
	})
}

func (a *agency) cancel(ctx context.Context, key string) error {
	_, err := sagatest.Call(ctx, "cancel "+key, func() (bool, error) {
		delete(a.booked, key)
		a.revoked[key] = !a.forgetsRevoked
		return true, nil
	})
	return err
}

type trip struct {
	Tickets []string `json:"tickets"`
}

var places = []string{"train", "hotel", "tour"}

func trips(a *agency) saga.Definition[trip] {
	d := saga.Definition[trip]{Kind: "trip"}
	for _, place := range places {
		d.Steps = append(d.Steps, saga.Step[trip]{
			Name: place, Quiet: place == "hotel",
			Do: func(ctx context.Context, r *saga.Run[trip]) error {
				ticket, err := a.book(ctx, r.Key)
				if err == nil {
					r.State.Tickets = append(r.State.Tickets, ticket)
				}
				return err
			},
			Undo: func(ctx context.Context, r *saga.Run[trip]) error { return a.cancel(ctx, r.Key) },
		})
	}
	return d
}

func model(faults int) sagatest.Model[*agency, trip] {
	return sagatest.Model[*agency, trip]{
		World:      &agency{booked: map[string]int{}, revoked: map[string]bool{}},
		Definition: trips,
		Sagas:      map[string]trip{"trip_1": {}},
		Cancel:     func(*agency, string) string { return "CHANGED_MIND" },
		Faults:     faults,
		Check: func(a *agency, sagas []sagatest.Ended[trip]) error {
			want := 0
			for _, s := range sagas {
				switch {
				case s.Done == s.Undone:
					return errors.New("it is neither done nor undone")
				case s.Cancelled && (!s.Undone || s.Reason != "CHANGED_MIND"):
					return fmt.Errorf("it was cancelled, and is undone: %v, because of %q", s.Undone, s.Reason)
				case s.Done:
					want += len(places)
				}
			}
			if len(a.booked) != want {
				return fmt.Errorf("booked are %v, want %d", a.booked, want)
			}
			return nil
		},
	}
}

func TestEveryCourseEndsWell(t *testing.T) {
	t.Parallel()
	result, err := sagatest.Explore(model(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Log(result)
}

// What a definition or whom it calls may get wrong is found, and told by a history without anything that does not matter.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults int
		spoil  func(m *sagatest.Model[*agency, trip])
		want   []string // in the history
	}{
		"no guard":  {1, func(m *sagatest.Model[*agency, trip]) { m.Unguarded = true }, []string{"wants trip_1 undone"}},
		"no key":    {1, func(m *sagatest.Model[*agency, trip]) { m.FreshKeys, m.Cancel = true, nil }, []string{"the reply is lost"}},
		"no memory": {1, func(m *sagatest.Model[*agency, trip]) { m.World.forgetsRevoked = true }, []string{"cancel trip_1/", "arrives late"}},
		"no undo": {0, func(m *sagatest.Model[*agency, trip]) {
			m.Definition = func(a *agency) saga.Definition[trip] {
				d := trips(a)
				d.Steps[1].Undo = nil
				return d
			}
		}, []string{"wants trip_1 undone"}},
		"no end": {0, func(m *sagatest.Model[*agency, trip]) {
			m.Definition = func(a *agency) saga.Definition[trip] {
				d := trips(a)
				d.Steps[1].Do = func(context.Context, *saga.Run[trip]) error { return saga.Wait("for ever") }
				return d
			}
		}, []string{"waiting hotel"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(c.faults)
			c.spoil(&m)
			_, err := sagatest.Explore(m)
			var v *sagatest.Violation
			if !errors.As(err, &v) {
				t.Fatalf("%v, want a violation", err)
			}
			for _, want := range c.want {
				if !strings.Contains(v.Error(), want) {
					t.Errorf("%q is not in it: %v", want, v)
				}
			}
			t.Log(v)
		})
	}
}

func TestLongCoursesEndWell(t *testing.T) {
	t.Parallel()
	m := model(20)
	m.Sagas = map[string]trip{"trip_1": {}, "trip_2": {}, "trip_3": {}}
	rapid.Check(t, func(r *rapid.T) {
		if err := m.Walk(func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "choice") }); err != nil {
			r.Fatal(err)
		}
	})
}
