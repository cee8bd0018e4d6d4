package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/cleave-go/cleave/platform/module"
)

// edge is the name of the program with the public port where all are apart.
const edge = "edge"

// measureApart lets customers order in a shop of a program per module, and in one that is one program, in turn, on one database.
func measureApart(ctx context.Context, p plan, s *stand, r *report) error {
	binaries, err := s.buildApart(ctx, p)
	if err != nil {
		return err
	}
	rate := figure{What: "orders confirmed, all apart : all in one", Unit: perSecond, AtLeast: 0.5}
	both := figure{What: "processor time per 1,000 orders, programs and PostgreSQL", Unit: cpuSeconds, AtMost: 2}
	programs := figure{What: "of that, the programs", Unit: cpuSeconds}
	p50 := figure{What: "from placed to confirmed, p50", Unit: nanoseconds}
	for round := range p.rounds {
		p.say("apart: round %d of %d, all apart and all in one, %s each after %s of warming up", round+1, p.rounds, p.window, p.warmUp)
		apart, err := s.orders(ctx, p, uint64(round), func() (*shop, error) { return s.openApart(ctx, binaries) })
		if err != nil {
			return fmt.Errorf("all apart: %w", err)
		}
		one, err := s.orders(ctx, p, uint64(round), func() (*shop, error) { return s.openShop(ctx) })
		if err != nil {
			return fmt.Errorf("all in one: %w", err)
		}
		p.say("apart: %.0f orders a second, %.0f in one", apart.perSecond, one.perSecond)
		add := func(f *figure, of func(work) float64) { f.A, f.B = append(f.A, of(apart)), append(f.B, of(one)) }
		add(&rate, func(w work) float64 { return w.perSecond })
		add(&both, func(w work) float64 { return 1000 * (w.program + w.server).Seconds() / w.orders })
		add(&programs, func(w work) float64 { return 1000 * w.program.Seconds() / w.orders })
		add(&p50, func(w work) float64 { return float64(percentile(w.waits, 0.50)) })
	}
	for _, f := range []figure{rate, both, programs, p50} {
		f.Part = "apart"
		r.add(f)
	}
	return nil
}

// orders measures a shop that is opened for it, and closes it when its jobs are done.
func (s *stand) orders(ctx context.Context, p plan, seed uint64, open func() (*shop, error)) (w work, err error) {
	shop, err := open()
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	if w, err = measureOrders(ctx, p, s, shop, customers{shop.url, s.skus, buyers, seed}, nil); err != nil {
		return w, err
	}
	return w, waitForJobs(ctx, s.admin)
}

// buildApart builds cmd/svc for each module on the map, and for the edge.
func (s *stand) buildApart(ctx context.Context, p plan) (map[string]string, error) {
	printed, err := exec.CommandContext(ctx, s.binary, "map").Output()
	if err != nil {
		return nil, fmt.Errorf("print the map of the house: %w", err)
	}
	house, err := module.ParseMap(printed)
	if err != nil {
		return nil, err
	}
	p.say("apart: building cmd/svc for each module")
	binaries := map[string]string{}
	for _, name := range append(house.Names(), edge) {
		binaries[name] = filepath.Join(s.dir, "svc-"+name+".exe")
		// Nobody debugs these: without tables for a debugger they are linked in half the time.
		if err := run(exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-tags="+name, "-o", binaries[name], "github.com/cleave-go/cleave/cmd/svc")); err != nil {
			return nil, err
		}
	}
	return binaries, nil
}
