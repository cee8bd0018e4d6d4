package event_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
)

// BenchmarkPublish compares a transaction that publishes with one that writes a row to a plain outbox.
func BenchmarkPublish(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	v.exec(b, "CREATE TABLE alpha.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL, time timestamptz NOT NULL DEFAULT now(), data bytea NOT NULL); GRANT ALL ON alpha.outbox TO cleave_alpha")
	data := make([]byte, 100)
	text := string(make([]byte, 98))
	ways := map[string]func(context.Context, pgx.Tx) error{
		"raw": func(_ context.Context, tx pgx.Tx) error {
			db.Defer(tx, "INSERT INTO outbox (type, data) VALUES ($1, $2)", look, data)
			return nil
		},
		"event": func(ctx context.Context, tx pgx.Tx) error {
			return alpha.Publish(ctx, tx, "ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b", 1, &parityv1.LookRequest{Case: text})
		},
	}
	for _, clients := range []int{1, 8} {
		for _, name := range []string{"raw", "event"} {
			b.Run(fmt.Sprintf("%s-%d", name, clients), func(b *testing.B) {
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range clients {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if err := alpha.DB.Tx(b.Context(), func(ctx context.Context, tx pgx.Tx) error {
								db.Defer(tx, "INSERT INTO thing VALUES ('what the use case does')")
								return ways[name](ctx, tx)
							}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// BenchmarkDeliver is a backlog that is delivered over a network and applied, with a row as the effect of each event.
func BenchmarkDeliver(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	for range b.N/500 + 1 {
		if err := alpha.DB.Tx(b.Context(), func(ctx context.Context, tx pgx.Tx) error {
			for range 500 {
				if err := alpha.Publish(ctx, tx, "sub", 1, &parityv1.LookRequest{Case: "text"}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	alpha.mustPublish(b, "sub", 1, "last")
	last := make(chan struct{})
	b.ResetTimer()
	v.start(b, "beta", &listener{from: event.Beginning, refuse: func(ctx context.Context, _ event.Event, text string) error {
		if text == "last" {
			db.AfterCommit(ctx, func() { close(last) })
		}
		return nil
	}})
	<-last
	b.ReportMetric(float64((b.N/500+1)*500)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLatency is the time from a commit to the commit of the effect, at 100 events a second.
func BenchmarkLatency(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	heard := make(chan struct{}, 1)
	v.start(b, "beta", &listener{from: event.Now, refuse: func(ctx context.Context, _ event.Event, _ string) error {
		db.AfterCommit(ctx, func() { heard <- struct{}{} })
		return nil
	}})
	v.subscribed(b, "beta")
	var times []time.Duration
	b.ResetTimer()
	for i := range b.N {
		alpha.mustPublish(b, "sub", int64(i), "text")
		began := time.Now()
		<-heard
		times = append(times, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}
