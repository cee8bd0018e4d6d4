package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Options say what to verify.
type Options struct {
	House House
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
	for _, module := range needed {
		if o.House[module] == "" {
			return nil, fmt.Errorf("no process that was named holds the module %s; there are %s: name the process that holds it, too, with --admin or CLEAVE_ADMIN_URLS",
				module, strings.Join(slices.Sorted(maps.Keys(o.House)), ", "))
		}
	}
	began := time.Now()
	seen := map[key]time.Time{} // Since when a violation was seen in every look.
	for {
		late := time.Since(began) > o.Grace
		b, err := o.look(ctx)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		before := seen
		seen = map[key]time.Time{}
		waits := false
		for _, found := range b.all {
			k := key{found.Rule, found.Subject}
			since, again := before[k]
			if !again {
				if late {
					continue
				}
				since = now
			}
			seen[k] = since
			waits = waits || now.Sub(since) < o.Grace
		}
		if !waits {
			return b.report(o.House, seen), nil
		}
		o.progress(fmt.Sprintf("%d things look wrong; looking again", len(seen)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (o Options) progress(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}
