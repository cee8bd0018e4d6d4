package kill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// patience bounds one case. A lease of a killed process runs out after five seconds.
const patience = 90 * time.Second

// shards is over how many houses of each layout the places are spread, because most of the time they wait for a lease.
const shards = 3

func TestFaults(t *testing.T) {
	binaries := topology.NewBinaries(t)
	t.Run("in", func(t *testing.T) {
		t.Run("killed", func(t *testing.T) { killed(t, binaries) })
		t.Run("paused", func(t *testing.T) { paused(t, binaries) })
		t.Run("mistaken", func(t *testing.T) { mistaken(t, binaries) })
		t.Run("imported", func(t *testing.T) { imported(t, binaries) })
		t.Run("audited", func(t *testing.T) { audited(t, binaries) })
	})
}

// killed has processes killed at every place, in two layouts.
func killed(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	var mu sync.Mutex
	var passed []string
	t.Run("in", func(t *testing.T) {
		for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
			for shard := range shards {
				t.Run(fmt.Sprintf("%s %d", layout.Name, shard+1), func(t *testing.T) {
					t.Parallel()
					s := open(t, layout, binaries, "")
					for i := shard; i < len(places); i += shards {
						t.Run(places[i].name, func(t *testing.T) { s.kill(t, places[i]) })
					}
					s.verify(t)
					mu.Lock()
					defer mu.Unlock()
					passed = append(passed, s.passed(t)...)
				})
			}
		}
	})
	if !t.Failed() {
		complete(t, passed)
	}
}

// shop is a house whose processes can be stopped at a place.
type shop struct {
	*house.House
	customer *house.Customer
	folder   fault.Folder
	visits   []*visit
}

// open opens a house in which a mistake is made, if one is given. The payment provider is a process of its own, with a
// database of its own, as it is in life: no transaction covers what it knows and what the house knows.
func open(t *testing.T, layout house.Layout, binaries *topology.Binaries, bug string) *shop {
	t.Helper()
	folder := t.TempDir()
	h := layout.Open(t, binaries, house.Options{
		Tags: []string{fault.Tag}, Provider: true,
		Env: map[string]string{"CLEAVE_FAULT_DIR": folder, "CLEAVE_BUG": bug},
	})
	return &shop{House: h, customer: h.Customer(t), folder: fault.Folder(folder)}
}

// kill has the process killed that gets to the place, starts it again, and holds that the order that brought it there ends as it should.
func (s *shop) kill(t *testing.T, p place) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v := s.enter(ctx, t, p.course)
	if err := s.folder.Arm(p.name, "kill"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v.play(ctx) }()
	if unit := s.dead(ctx); unit != nil {
		if code := unit.Process().Wait(t); code != -1 || s.folder.Armed(p.name) || !strings.HasSuffix(unit.Process().Stderr(), "fault at "+p.name+"\n") {
			t.Errorf("%s has ended with %d, and not at %s", unit.Name, code, p.name)
		}
		unit.Kill() // Its end was wanted.
		unit.Restart(t)
	} else {
		t.Errorf("no process got to %s", p.name)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// dead waits for a unit that has ended, and returns it; nil if there is none when the context ends.
func (s *shop) dead(ctx context.Context) *topology.Running {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan *topology.Running)
	for _, unit := range s.Units() {
		go func() {
			select {
			case <-unit.Process().Exited():
			case <-ctx.Done():
				return
			}
			select {
			case found <- unit:
			case <-ctx.Done():
			}
		}()
	}
	select {
	case unit := <-found:
		return unit
	case <-ctx.Done():
		return nil
	}
}

func (s *shop) passed(t *testing.T) []string {
	t.Helper()
	places, err := s.folder.Passed()
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// verify holds that cleave verify finds nothing wrong.
func (s *shop) verify(t *testing.T) {
	t.Helper()
	if says, code := s.Verify(t, s.acknowledged()...); code != 0 {
		t.Errorf("cleave verify ended with %d:\n%s", code, says)
	}
}

// acknowledged returns the ids of the orders that somebody was told of.
func (s *shop) acknowledged() []string {
	var ids []string
	for _, v := range s.visits {
		if v.orderID != "" {
			ids = append(ids, v.orderID)
		}
	}
	return ids
}
