package main

import "time"

// work is what so many orders took.
type work struct {
	perSecond float64
	orders    float64
	// program is the processor time of the shop, or of pgbench; server that of PostgreSQL; driver that of the customers.
	program, server, driver time.Duration
	database                counters
	// waits are the times from placing an order to its confirmation, sorted.
	waits []time.Duration
}

// workTable collects the work of each round: A is the shop's, B the same by hand.
type workTable struct {
	journey, journeyTime          figure // of orders from the empty cart on
	rate, program, server, driver figure
	commits, writing, wal, syncs  figure
	p50, p95, p99                 figure
}

func (t *workTable) add(ours, journey, theirs work) {
	both := func(f *figure, of func(work) float64) {
		f.A, f.B = append(f.A, of(ours)), append(f.B, of(theirs))
	}
	both(&t.rate, func(w work) float64 { return w.perSecond })
	both(&t.program, func(w work) float64 { return 1000 * w.program.Seconds() / w.orders })
	both(&t.server, func(w work) float64 { return 1000 * w.server.Seconds() / w.orders })
	both(&t.commits, func(w work) float64 { return float64(w.database.commits) / w.orders })
	both(&t.writing, func(w work) float64 { return float64(w.database.writing) / w.orders })
	both(&t.wal, func(w work) float64 { return float64(w.database.wal) / 1024 / w.orders })
	both(&t.syncs, func(w work) float64 { return float64(w.database.syncs) / w.orders })
	t.journey.A, t.journey.B = append(t.journey.A, journey.perSecond), append(t.journey.B, theirs.perSecond)
	t.journeyTime.A = append(t.journeyTime.A, 1000*(journey.program+journey.server).Seconds()/journey.orders)
	t.driver.A = append(t.driver.A, 1000*ours.driver.Seconds()/ours.orders)
	for f, share := range map[*figure]float64{&t.p50: 0.50, &t.p95: 0.95, &t.p99: 0.99} {
		f.A = append(f.A, float64(percentile(ours.waits, share)))
	}
}

func (t *workTable) figures() []figure {
	t.rate.AtLeast = 0.2
	var list []figure
	for _, f := range []struct {
		figure
		what string
		unit unit
	}{
		{t.rate, "orders confirmed : by hand with pgbench", perSecond},
		{t.program, "processor time per 1,000 orders, the shop : pgbench itself", cpuSeconds},
		{t.server, "processor time per 1,000 orders, PostgreSQL : PostgreSQL", cpuSeconds},
		{t.driver, "processor time per 1,000 orders, the customers", cpuSeconds},
		{t.commits, "transactions per order", pieces},
		{t.writing, "transactions per order that write or lock", pieces},
		{t.syncs, "flushes of the log per order", pieces},
		{t.wal, "log written per order", kilobytes},
		{t.p50, "from placed to confirmed, p50", nanoseconds},
		{t.p95, "from placed to confirmed, p95", nanoseconds},
		{t.p99, "from placed to confirmed, p99", nanoseconds},
		{t.journey, "orders confirmed, cart included : by hand with pgbench", perSecond},
		{t.journeyTime, "processor time per 1,000 orders, cart included, shop and PostgreSQL", cpuSeconds},
	} {
		f.figure.Part, f.figure.What, f.figure.Unit = "checkout", f.what, f.unit
		list = append(list, f.figure)
	}
	return list
}
