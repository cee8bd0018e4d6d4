package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/module"
)

// Options say what to verify.
type Options struct {
	House House
	// Map says who has to listen to whom.
	Map module.Map
	// Acknowledged are the ids of orders that somebody was told of. Nil means that all orders of the house are meant.
	Acknowledged []string
	// Deadline is for how long an order, or anything else, may be open.
	Deadline time.Duration
	// Grace is for how long what seems wrong is looked at again before it counts.
	Grace time.Duration
	// Progress is told what is being done; it may be nil.
	Progress func(what string)
}

// pause is how long one waits before one looks again.
const pause = time.Second

// needed are the modules without which there is nothing to compare.
var needed = []string{"inventory", "orders", "payments"}

// Run looks, and looks again at what seems wrong, every second. A violation counts when every look of its grace has seen it; one that
// only a look after the first grace is over sees for the first time does not, or there would be no end in a house at work. So Run takes
// at most twice the grace, and the looks themselves. It is an error if it cannot look.
func Run(ctx context.Context, o Options) (*Report, error) {
	for _, name := range needed {
		if o.House[name] == "" {
			return nil, fmt.Errorf("no process that was named holds the module %s; there are %s: name the process that holds it, too, with --admin or CLEAVE_ADMIN_URLS",
				name, strings.Join(slices.Sorted(maps.Keys(o.House)), ", "))
		}
	}
	defer client.CloseIdleConnections()
	b, counts, err := o.confirm(ctx, o.look)
	if err != nil {
		return nil, err
	}
	return b.report(o.House, counts), nil
}

// confirm looks until each violation is gone or has outlived its grace. It returns what the last look saw, and which of that counts.
func (o Options) confirm(ctx context.Context, look func(context.Context) (*book, error)) (*book, map[key]bool, error) {
	began := time.Now()
	since := map[key]time.Time{} // When a violation was seen first, if every look since then has seen it.
	for late := false; ; late = time.Since(began) > o.Grace {
		b, err := look(ctx)
		if err != nil {
			return nil, nil, err
		}
		now := time.Now()
		before := since
		since = map[key]time.Time{}
		counts, waits := map[key]bool{}, 0
		for _, found := range b.all {
			k := key{found.Rule, found.Subject}
			first, again := before[k]
			switch {
			case !again && late:
				continue
			case !again:
				first = now
			}
			since[k] = first
			if now.Sub(first) >= o.Grace {
				counts[k] = true
			} else {
				waits++
			}
		}
		if waits == 0 {
			return b, counts, nil
		}
		o.progress(fmt.Sprintf("%d things look wrong; looking again", waits))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (o Options) progress(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}
