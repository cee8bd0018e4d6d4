package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// checkFresh is for how long the result of a check is good: however many ask, it is made once a second.
	checkFresh = time.Second
	// checkLimit bounds a check, and patience whoever waits for one.
	checkLimit = 2 * time.Second
	patience   = 3 * time.Second
)

// Health is how a program is.
type Health struct {
	mu       sync.Mutex
	doing    string // Why it is not ready; "" if it is, but for its checks.
	started  bool
	checks   []*check
	services map[string]string // The check of each service.
	watchers int               // Streams that are open.
	end      chan struct{}     // Closed when they are to end.
	endOnce  sync.Once
}

// check is something of the program's own that must be well.
type check struct {
	name   string
	answer *Answer[error]
}

// New returns the health of a program that is starting.
func New() *Health {
	return &Health{doing: "starting", services: map[string]string{}, end: make(chan struct{})}
}

// Doing says what the program does before it is ready, or instead.
func (h *Health) Doing(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doing = what
}

// Ready says that the program can work, as long as its checks are well.
func (h *Health) Ready() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doing, h.started = "", true
}

// End lets streams end, because the program does.
func (h *Health) End() { h.endOnce.Do(func() { close(h.end) }) }

// Add adds something that must succeed for the program to be ready: a look at what is its own, never at its peers. It is made when somebody
// asks, at most once a second and for at most two.
func (h *Health) Add(name string, look func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, &check{name, NewAnswer(checkFresh, checkLimit, look)})
}

// Serve adds a service by its full name, which is well when the check of a name is.
func (h *Health) Serve(service, check string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.services[service] = check
}

// Report is what the program says of itself.
type Report struct {
	// Ready says that it can work now, and Started that it could once.
	Ready   bool `json:"ready"`
	Started bool `json:"started"`
	// Doing is what it does while it cannot work yet, or not any more.
	Doing  string   `json:"doing,omitempty"`
	Checks []Result `json:"checks"`
}

// Result is that of a check.
type Result struct {
	Name    string `json:"name"`
	Well    bool   `json:"well"`
	Problem string `json:"problem,omitempty"`
}

// Report makes all checks, side by side.
func (h *Health) Report(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h.mu.Lock()
	r := Report{Ready: h.doing == "", Started: h.started, Doing: h.doing}
	checks := slices.Clone(h.checks)
	h.mu.Unlock()
	r.Checks = make([]Result, len(checks))
	var looking sync.WaitGroup
	for i, c := range checks {
		looking.Go(func() {
			err, known := c.answer.Get(ctx)
			if !known {
				err = errors.New(c.name + " could not be looked at in time")
			}
			r.Checks[i] = Result{Name: c.name, Well: err == nil}
			if err != nil {
				r.Checks[i].Problem = err.Error()
			}
		})
	}
	looking.Wait()
	r.Ready = r.Ready && !slices.ContainsFunc(r.Checks, func(c Result) bool { return !c.Well })
	return r
}

// Problem says why the program is not ready, or "".
func (r Report) Problem() string {
	if r.Doing != "" {
		return r.Doing
	}
	var problems []string
	for _, c := range r.Checks {
		if !c.Well {
			problems = append(problems, c.Problem)
		}
	}
	return strings.Join(problems, "\n")
}
