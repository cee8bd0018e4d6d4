package event_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/id"
)

// benchmarkDatabase makes a database on a server, which it is dropped from at the end.
func benchmarkDatabase(t testing.TB, server string, prepare func(ctx context.Context, url string) error) string {
	admin, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	name := id.New("bench")
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		admin.Close(context.Background())
	})
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	home, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	home.Path = "/" + name
	if err := prepare(t.Context(), home.String()); err != nil {
		t.Fatal(err)
	}
	return home.String()
}

// BenchmarkPublish compares a transaction that publishes with one that writes a row to a plain outbox, without subscribers, with many
// that are away, and with one that hears every event.
func BenchmarkPublish(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	v.exec(b, "CREATE TABLE alpha.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL, time timestamptz NOT NULL DEFAULT now(), data bytea NOT NULL); GRANT ALL ON alpha.outbox TO cleave_alpha")
	data := make([]byte, 100)
	text := string(make([]byte, 98))
	raw := func(_ context.Context, tx pgx.Tx) error {
		db.Defer(tx, "INSERT INTO outbox (type, data) VALUES ($1, $2)", look, data)
		return nil
	}
	published := func(ctx context.Context, tx pgx.Tx) error {
		return alpha.Publish(ctx, tx, "ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b", 1, &parityv1.LookRequest{Case: text})
	}
	// Turns of some transactions each alternate, so that both ways have the same neighbours on the machine.
	measure := func(name string, clients int, ways map[string]func(context.Context, pgx.Tx) error) {
		b.Run(fmt.Sprintf("%s-%d", name, clients), func(b *testing.B) {
			const turn = 200
			spent := map[string]time.Duration{}
			for done := 0; done < b.N; done += turn {
				for unit, way := range ways {
					began := time.Now()
					var left atomic.Int64
					left.Store(turn)
					var all sync.WaitGroup
					for range clients {
						all.Go(func() {
							for left.Add(-1) >= 0 {
								if err := alpha.DB.Tx(b.Context(), func(ctx context.Context, tx pgx.Tx) error {
									db.Defer(tx, "INSERT INTO thing VALUES ('what the use case does')")
									return way(ctx, tx)
								}); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					all.Wait()
					spent[unit] += time.Since(began)
				}
			}
			for unit, time := range spent {
				b.ReportMetric(float64((b.N+turn-1)/turn*turn)/time.Seconds(), unit)
			}
		})
	}
	both := map[string]func(context.Context, pgx.Tx) error{"outbox-tx/s": raw, "event-tx/s": published}
	measure("alone", 1, both)
	measure("alone", 8, both)
	v.exec(b, `INSERT INTO alpha.cleave_subscriber (name, types, era, transaction, position)
		SELECT 'away' || n, jsonb_build_object($1::text, now()), 0, '0', 0 FROM generate_series(1, 20) n`, look)
	measure("away", 8, both)
	v.exec(b, "DELETE FROM alpha.cleave_subscriber")
	v.start(b, "beta", &listener{from: event.Now})
	v.subscribed(b, "beta")
	// What is delivered would disturb the other way's turns, too. So this is no fair comparison, and has no target.
	measure("heard", 8, map[string]func(context.Context, pgx.Tx) error{"event-tx/s": published})
}

// BenchmarkDeliver is a backlog that is delivered over a network and applied, with a row as the effect of each event.
func BenchmarkDeliver(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	for left := b.N; left > 0; left -= 500 {
		if err := alpha.DB.Tx(b.Context(), func(ctx context.Context, tx pgx.Tx) error {
			for range min(left, 500) {
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// nothing is a job without work.
type nothing struct{}

func (nothing) Kind() string { return "nothing" }

// BenchmarkRiver is what delivery is compared with: a backlog of jobs without work, worked by River with the settings of its own
// benchmark.
func BenchmarkRiver(b *testing.B) {
	v := newVillage(b)
	d, err := db.Open(b.Context(), v.config("alpha", v.url))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[nothing]) error { return nil }))
	client, err := river.NewClient(riverpgxv5.New(d.Pool()), &river.Config{
		Schema: "alpha", Workers: workers, Logger: v.log, JobTimeout: -1, ReindexerIndexNames: []string{},
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2_000}},
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	for left := b.N; left > 0; left -= 2_000 {
		if _, err := client.InsertManyFast(b.Context(), slices.Repeat([]river.InsertManyParams{{Args: nothing{}}}, min(left, 2_000))); err != nil {
			b.Fatal(err)
		}
	}
	completed, cancel := client.SubscribeConfig(&river.SubscribeConfig{ChanSize: b.N, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	defer cancel()
	b.ResetTimer()
	if err := client.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	for range b.N {
		<-completed
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.StopTimer()
	if err := client.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLatency is the time from a commit to the commit of the effect, at 100 events a second.
func BenchmarkLatency(b *testing.B) {
	v := newVillage(b)
	alpha := v.start(b, "alpha", nil)
	type arrival struct {
		number int64
		at     time.Time
	}
	arrivals := make(chan arrival, b.N)
	v.start(b, "beta", &listener{from: event.Now, refuse: func(ctx context.Context, e event.Event, _ string) error {
		db.AfterCommit(ctx, func() { arrivals <- arrival{e.Sequence, time.Now()} })
		return nil
	}})
	v.subscribed(b, "beta")
	committed := make([]time.Time, b.N)
	var publishing sync.WaitGroup
	b.ResetTimer()
	tick := time.NewTicker(10 * time.Millisecond) // Whatever becomes of those before.
	defer tick.Stop()
	for i := range b.N {
		<-tick.C
		publishing.Go(func() {
			if err := alpha.DB.Tx(b.Context(), func(ctx context.Context, tx pgx.Tx) error {
				db.AfterCommit(ctx, func() { committed[i] = time.Now() }) // Before the one that Publish adds, which wakes who delivers.
				return alpha.Publish(ctx, tx, "sub", int64(i), &parityv1.LookRequest{Case: "text"})
			}); err != nil {
				b.Error(err)
			}
		})
	}
	publishing.Wait()
	times := make([]time.Duration, 0, b.N)
	for range b.N {
		a := <-arrivals
		times = append(times, a.at.Sub(committed[a.number]))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}
