package event_test

import (
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
)

// future is more than the transaction ids of any server that tests run on.
const future = "1000000000000"

// Data that come from a server whose transaction ids were larger begin a new era: what is published from then on comes after all that
// there is, and nobody misses it.
func TestMovedData(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]string{
		"log and cursor": "UPDATE alpha.cleave_event SET transaction = " + quote(future) + "; UPDATE alpha.cleave_subscriber SET transaction = " + quote(future),
		"log":            "UPDATE alpha.cleave_event SET transaction = " + quote(future),
		"cursor":         "UPDATE alpha.cleave_subscriber SET transaction = " + quote(future),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t)
			alpha := v.start(t, "alpha", nil)
			beta := v.start(t, "beta", &listener{from: event.Now})
			v.subscribed(t, "beta")
			alpha.mustPublish(t, "sub_1", 1, "one")
			v.hears(t, "beta", "one")
			beta.Stop()
			alpha.Stop()
			v.exec(t, move)

			c := v.config("alpha", v.url)
			c.Migrate = false
			if d, err := db.Open(t.Context(), c); err == nil {
				d.Close()
				t.Error("a log of another server can be opened without the right to migrate")
			} else if !strings.Contains(err.Error(), "comes from another server") || !strings.Contains(err.Error(), "migrate command") {
				t.Errorf("%v", err)
			}

			alpha = v.start(t, "alpha", nil)
			v.start(t, "beta", &listener{from: event.Now})
			alpha.mustPublish(t, "sub_1", 2, "two")
			v.hears(t, "beta", "one", "two")
			if eras := query[int32](t, v, "SELECT era FROM alpha.cleave_event ORDER BY position"); len(eras) != 2 || eras[0] != 1 || eras[1] != 2 {
				t.Errorf("the events are of the eras %v", eras)
			}
			// It was moved once.
			v.start(t, "alpha", nil)
			if era := query[int32](t, v, "SELECT alpha.cleave_era()")[0]; era != 2 {
				t.Errorf("after another start it is era %d", era)
			}
		})
	}
}

func quote(text string) string { return "'" + text + "'" }
