// Package load lets customers come to a shop at a stated rate, whatever the shop does, and measures what each of them waits.
//
// The load is open: who comes does not wait for those who came before, as customers do not. Latency counts from the moment at which
// somebody was to arrive, so a shop that stands still for a second shows that in the latency of all who came meanwhile, and a generator
// that is late shows that, too. (Measured from when a request is sent, and by callers that wait for their answers, most of it would be
// left out: G. Tene calls that coordinated omission.) There is room for so many visits at once; who finds none is turned away, and counted.
//
// It owns the profiles, the pace and the figures. It does not own how one buys (internal/customer), nor what is to be proven of the shop
// besides the sale of the flash profile (cleave verify).
package load

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/internal/customer"
)

// Options say what is to be done.
type Options struct {
	// URL is that of the public port, and Client what it is called with. It should keep MaxInFlight connections.
	URL    string
	Client *http.Client
	// Profile is one of [Profiles].
	Profile string
	// Rate is how many customers come in a second, and For how long they do.
	Rate float64
	For  time.Duration
	// MaxInFlight is how many visits there may be at once.
	MaxInFlight int
	// Stock is how many pieces there are of what everybody wants, for the flash profile.
	Stock int64
	// Admins are the operator's ports of the shop's processes, which tell how much processor time they use.
	Admins []string
	// Progress is told of the state of things every second, unless it is nil.
	Progress func(Progress)
}

// Progress is how far it has got.
type Progress struct {
	Elapsed                             time.Duration
	Arrivals, Dropped, Failed, UnderWay int64
	P50, P99                            time.Duration
}

const (
	// spareCarts is how many carts are left for others at most.
	spareCarts = 1000
	// leaveTime is for how long those who are there may finish when somebody has had enough.
	leaveTime = 10 * time.Second
	// tellEvery is how often somebody is told.
	tellEvery = time.Second
)

// Run lets customers come. When the context ends nobody comes any more, and those who are there have ten seconds to finish. It returns a
// report unless nobody could come at all.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := newRecord()
	c := &crowd{
		Customer: customer.New(o.Client, o.URL, connect.WithInterceptors(measure{r})), record: r, carts: make(chan cart, spareCarts),
	}
	if err := c.look(ctx); err != nil {
		return nil, err
	}
	if o.Profile == Flash {
		var err error
		if c.flash, err = c.offer(ctx, o.Stock); err != nil {
			return nil, err
		}
	}
	r.requests = 0 // Those were for the preparations.
	before := readProcessorTime(ctx, o.Admins)
	began := time.Now()
	stop := tell(began, r, o.Progress)
	came := c.receive(ctx, o)
	stop()
	lasted := time.Since(began)
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	report := r.report(o, came, lasted)
	report.Interrupted = ctx.Err() != nil
	report.processorTime(before, readProcessorTime(looking, o.Admins))
	if c.flash != nil {
		report.Sale = c.flash.end(context.WithoutCancel(ctx), c)
	}
	return report, nil
}

// receive lets customers come until their time is over, and returns when all have gone. It returns for how long they came.
func (c *crowd) receive(ctx context.Context, o Options) time.Duration {
	inside, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveTime, cut) })()
	// The gaps between arrivals are those of a Poisson process: customers do not come in step. The seed makes two runs alike.
	random := rand.New(rand.NewPCG(1, 0))
	profile, room := profiles[o.Profile], make(chan struct{}, o.MaxInFlight)
	var visits sync.WaitGroup
	began, next := time.Now(), time.Duration(0)
	for number := uint64(1); ; number++ {
		next += time.Duration(random.ExpFloat64() * float64(time.Second) / o.Rate)
		if next >= o.For || !wait(ctx, began.Add(next)) {
			break
		}
		arrived, e := began.Add(next), pick(profile, random)
		select {
		case room <- struct{}{}:
			c.record.arrive(time.Since(arrived), true)
		default:
			c.record.arrive(0, false)
			continue
		}
		visits.Go(func() {
			defer func() { <-room }()
			c.visit(inside, e, arrived, rand.New(rand.NewPCG(1, number)))
		})
	}
	wait(ctx, began.Add(o.For))
	came := time.Since(began)
	visits.Wait()
	return came
}

// wait waits until a time, and reports whether the context lasts.
func wait(ctx context.Context, until time.Time) bool {
	pause := time.Until(until)
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tell tells of the progress until it is stopped.
func tell(began time.Time, r *record, progress func(Progress)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				progress(r.progress(time.Since(began)))
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-gone
	}
}

func (r *record) progress(elapsed time.Duration) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Progress{
		Elapsed: elapsed, Arrivals: r.arrivals, Dropped: r.dropped, Failed: r.all.failed(), UnderWay: r.underWay,
		P50: r.all.Percentile(0.50), P99: r.all.Percentile(0.99),
	}
}
