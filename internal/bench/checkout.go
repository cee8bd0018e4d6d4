package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// primeTime is how long pgbench runs before it is measured, so that its tables are in memory. It owes no jobs, so this is enough.
const primeTime = 3 * time.Second

// measureCheckout lets customers order and pgbench do the same commits by hand, in turn, on one server.
func measureCheckout(ctx context.Context, p plan, s *stand, r *report) (err error) {
	opponent, err := openPgbench(ctx, s)
	if err != nil {
		return err
	}
	defer opponent.close()
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	t := &workTable{}
	carts := p.carts()
	for round := range p.rounds {
		everybody := customers{shop.url, s.skus, buyers, uint64(round)}
		p.say("checkout: round %d of %d, filling %d carts", round+1, p.rounds, cap(carts)-len(carts))
		if err := everybody.fill(ctx, carts); err != nil {
			return err
		}
		p.say("checkout: round %d of %d, %s of orders after %s of warming up", round+1, p.rounds, p.window, p.warmUp)
		ours, err := measureOrders(ctx, p, s, shop, everybody, carts)
		if err != nil {
			return err
		}
		if err := waitForJobs(ctx, s.admin); err != nil {
			return err
		}
		p.say("checkout: round %d of %d, %s of orders from the empty cart on, after %s of warming up", round+1, p.rounds, p.window, p.warmUp)
		journey, err := measureOrders(ctx, p, s, shop, everybody, nil)
		if err != nil {
			return err
		}
		if err := waitForJobs(ctx, s.admin); err != nil {
			return err
		}
		p.say("checkout: round %d of %d, %s of pgbench", round+1, p.rounds, p.window)
		theirs, err := measureByHand(ctx, p, s, opponent)
		if err != nil {
			return err
		}
		p.say("checkout: %.0f orders a second, %.0f with the cart, %.0f by hand", ours.perSecond, journey.perSecond, theirs.perSecond)
		t.add(ours, journey, theirs)
	}
	r.add(t.figures()...)
	// The server is started anew, so what is connected to it has to go.
	opponent.close()
	if err := shop.close(); err != nil {
		return err
	}
	return countStatements(ctx, p, s, r)
}

// carts returns room for the carts of a window and its warming up.
func (p plan) carts() chan string {
	return make(chan string, cartsPerSecond*int((p.warmUp+p.window)/time.Second))
}

// measureOrders lets customers buy, and measures when they have for a while. Without carts each order begins with an empty one.
func measureOrders(ctx context.Context, p plan, s *stand, shop *shop, c customers, carts <-chan string) (w work, err error) {
	begin := time.Now().Add(p.warmUp)
	end := begin.Add(p.window)
	var purchases []purchase
	var before, after observation
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		purchases, err = c.buy(ctx, carts, end)
		return err
	})
	group.Go(func() (err error) {
		before, after, err = s.observe(ctx, shop, begin, end)
		return err
	})
	if err := group.Wait(); err != nil {
		return w, err
	}
	for _, b := range purchases {
		if b.confirmed.After(before.at) && !b.confirmed.After(after.at) {
			w.waits = append(w.waits, b.confirmed.Sub(b.placed))
		}
	}
	if len(w.waits) == 0 {
		return w, errors.New("no order was confirmed in the time: measure for longer")
	}
	slices.Sort(w.waits)
	w.orders = float64(len(w.waits))
	w.perSecond = w.orders / after.at.Sub(before.at).Seconds()
	w.program, w.server, w.driver = after.shop-before.shop, after.server-before.server, after.driver-before.driver
	w.database = after.counters.since(before.counters)
	return w, nil
}

// observation is what has been used up to a moment.
type observation struct {
	at time.Time
	times
	driver time.Duration
	counters
}

// observe looks twice, at the beginning and the end of a window.
func (s *stand) observe(ctx context.Context, shop *shop, begin, end time.Time) (before, after observation, err error) {
	if err := sleep(ctx, time.Until(begin)); err != nil {
		return before, after, err
	}
	if before, err = s.look(ctx, shop); err != nil {
		return before, after, err
	}
	if err := sleep(ctx, time.Until(end)); err != nil {
		return before, after, err
	}
	after, err = s.look(ctx, shop)
	return before, after, err
}

func (s *stand) look(ctx context.Context, shop *shop) (o observation, err error) {
	if o.counters, err = readCounters(ctx, s.admin); err != nil {
		return o, err
	}
	o.at = time.Now()
	if o.driver, err = ownTime(os.Getpid()); err != nil {
		return o, err
	}
	o.times, err = processorTime(shop, s.server.PID())
	return o, err
}

// measureByHand lets pgbench order.
func measureByHand(ctx context.Context, p plan, s *stand, opponent *pgbench) (w work, err error) {
	if _, err := opponent.run(ctx, primeTime); err != nil {
		return w, err
	}
	before, err := readCounters(ctx, opponent.pool)
	if err != nil {
		return w, err
	}
	serverBefore, err := treeTime(s.server.PID())
	if err != nil {
		return w, err
	}
	score, err := opponent.run(ctx, p.window)
	if err != nil {
		return w, err
	}
	serverAfter, err := treeTime(s.server.PID())
	if err != nil {
		return w, err
	}
	after, err := readCounters(ctx, opponent.pool)
	if err != nil {
		return w, err
	}
	return work{
		perSecond: score.perSecond, orders: score.orders, program: score.processor, server: serverAfter - serverBefore, database: after.since(before),
	}, nil
}
