package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cleave-go/cleave/platform/telemetry/telemetrytest"
)

// measureTelemetry lets customers check out in a shop that sends its metrics and one trace in a hundred to a collector, and in one that sends
// nothing, in turn on one database. The collector is in this process, so what it takes is none of the shop's.
func measureTelemetry(ctx context.Context, p plan, s *stand, r *report) error {
	collector := telemetrytest.Start()
	defer collector.Close()
	sends := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL(), "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
	}
	both := figure{What: "processor time per 1,000 checkouts, 1 % of traces sent : nothing sent", Unit: cpuSeconds, AtMost: 1.05}
	programs := figure{What: "of that, the program", Unit: cpuSeconds}
	p50 := figure{What: "from placed to confirmed, p50", Unit: nanoseconds}
	for round := range p.rounds {
		p.say("telemetry: round %d of %d, sending and not, %s each after %s of warming up", round+1, p.rounds, p.window, p.warmUp)
		with, err := s.checkouts(ctx, p, uint64(round), sends...)
		if err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		without, err := s.checkouts(ctx, p, uint64(round), "OTEL_SDK_DISABLED=true")
		if err != nil {
			return fmt.Errorf("not sending: %w", err)
		}
		p.say("telemetry: %.0f orders a second, %.0f without", with.perSecond, without.perSecond)
		add := func(f *figure, of func(work) float64) { f.A, f.B = append(f.A, of(with)), append(f.B, of(without)) }
		add(&both, func(w work) float64 { return 1000 * (w.program + w.server).Seconds() / w.orders })
		add(&programs, func(w work) float64 { return 1000 * w.program.Seconds() / w.orders })
		add(&p50, func(w work) float64 { return float64(percentile(w.waits, 0.50)) })
	}
	if len(collector.All()) == 0 {
		return errors.New("no span came: measure for longer")
	}
	for _, f := range []figure{both, programs, p50} {
		f.Part = "telemetry"
		r.add(f)
	}
	return nil
}

// checkouts measures a shop that is opened for it with settings, where carts are filled already, and closes it when its jobs are done.
func (s *stand) checkouts(ctx context.Context, p plan, seed uint64, settings ...string) (w work, err error) {
	shop, err := s.openShop(ctx, settings...)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	everybody, carts := customers{shop.url, s.skus, buyers, seed}, p.carts()
	if err := everybody.fill(ctx, carts); err != nil {
		return w, err
	}
	if w, err = measureOrders(ctx, p, s, shop, everybody, carts); err != nil {
		return w, err
	}
	return w, waitForJobs(ctx, s.admin)
}
