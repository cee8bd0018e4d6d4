package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// settleTime is how long a shop has been ready before it counts as idle.
	settleTime = 10 * time.Second
	// idleWindow is how long an idle shop is watched in a round.
	idleWindow = 20 * time.Second
)

// measureIdle watches a shop where nobody shops.
func measureIdle(ctx context.Context, p plan, s *stand, r *report) (err error) {
	const part = "idle"
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	p.say("idle: %s to settle, then %d times %s", settleTime, p.rounds, idleWindow)
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	memory := figure{Part: part, What: "memory of the shop (RSS)", Unit: megabytes, AtMost: 80}
	both := figure{Part: part, What: "processor time of shop and PostgreSQL, of one core", Unit: percent, AtMost: 5}
	shopOnly := figure{Part: part, What: "of that, the shop", Unit: percent}
	serverOnly := figure{Part: part, What: "of that, PostgreSQL", Unit: percent}
	connections := figure{Part: part, What: "database connections", Unit: pieces}
	for range p.rounds {
		resident, err := residentBytes(shop.programs[0].pid)
		if err != nil {
			return err
		}
		memory.A = append(memory.A, float64(resident)/(1<<20))
		var count int64
		if err := s.admin.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()`).Scan(&count); err != nil {
			return fmt.Errorf("count the connections: %w", err)
		}
		connections.A = append(connections.A, float64(count))
		began := time.Now()
		before, err := processorTime(shop, s.server.PID())
		if err != nil {
			return err
		}
		if err := sleep(ctx, idleWindow); err != nil {
			return err
		}
		after, err := processorTime(shop, s.server.PID())
		if err != nil {
			return err
		}
		share := func(d time.Duration) float64 { return 100 * d.Seconds() / time.Since(began).Seconds() }
		shopOnly.A = append(shopOnly.A, share(after.shop-before.shop))
		serverOnly.A = append(serverOnly.A, share(after.server-before.server))
		both.A = append(both.A, share(after.shop-before.shop+after.server-before.server))
	}
	r.add(memory, both, shopOnly, serverOnly, connections)
	return nil
}

// times are the processor times of a shop and its database.
type times struct{ shop, server time.Duration }

func processorTime(shop *shop, server int) (t times, err error) {
	for _, p := range shop.programs {
		used, err := treeTime(p.pid)
		if err != nil {
			return t, err
		}
		t.shop += used
	}
	t.server, err = treeTime(server)
	return t, err
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
