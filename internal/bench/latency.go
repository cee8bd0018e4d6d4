package main

import (
	"context"
	"errors"
	"time"
)

// measureLatency lets one customer buy who has the shop to himself: what an order takes when it waits for no other.
func measureLatency(ctx context.Context, p plan, s *stand, r *report) (err error) {
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	list := []struct {
		share float64
		figure
	}{
		{0.50, figure{What: "p50", AtMost: float64(40 * time.Millisecond)}},
		{0.95, figure{What: "p95"}},
		{0.99, figure{What: "p99", AtMost: float64(120 * time.Millisecond)}},
	}
	rate := figure{Part: "latency", What: "orders of one customer, cart and quote included", Unit: perSecond}
	for round := range p.rounds {
		p.say("latency: round %d of %d, %s of one customer's orders after %s of warming up", round+1, p.rounds, p.window, p.warmUp)
		w, err := measureOrders(ctx, p, s, shop, customers{shop.url, s.skus, 1, uint64(round)}, nil)
		if err != nil {
			return err
		}
		rate.A = append(rate.A, w.perSecond)
		for i, f := range list {
			list[i].A = append(list[i].A, float64(percentile(w.waits, f.share)))
		}
	}
	r.add(rate)
	for _, f := range list {
		f.Part, f.What, f.Unit = "latency", "from PlaceOrder to confirmed, one customer, "+f.What, nanoseconds
		r.add(f.figure)
	}
	return nil
}
