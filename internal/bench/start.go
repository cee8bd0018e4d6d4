package main

import (
	"context"
	"time"
)

// startsPerRound is how many starts a round has: one takes a moment only.
const startsPerRound = 3

// measureStart starts the shop again and again on a database that is up and migrated.
func measureStart(ctx context.Context, p plan, s *stand, r *report) error {
	const part = "start"
	var samples []float64
	p.say("start: %d starts", p.rounds*startsPerRound)
	for range p.rounds * startsPerRound {
		shop, err := s.openShop(ctx)
		if err != nil {
			return err
		}
		samples = append(samples, float64(shop.readyAfter))
		if err := shop.close(); err != nil {
			return err
		}
	}
	r.add(
		figure{Part: part, What: "from exec until /readyz is 200, database up", Unit: nanoseconds, A: samples, AtMost: float64(500 * time.Millisecond)},
		figure{Part: part, What: "the very first: new PostgreSQL, migrations, demo catalogue", Unit: nanoseconds, A: []float64{float64(s.firstStart)}},
	)
	return nil
}
