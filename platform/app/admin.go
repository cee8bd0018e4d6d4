package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health is what the unit tells of itself.
type health struct {
	mu     sync.Mutex
	ready  bool
	checks []func(context.Context) error
}

func (h *health) setReady(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = ready
}

// addCheck adds something that must succeed for the unit to be ready: its own databases, never its peers.
func (h *health) addCheck(check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check)
}

// problem says why the unit is not ready, or "".
func (h *health) problem(ctx context.Context) string {
	h.mu.Lock()
	ready, checks := h.ready, h.checks
	h.mu.Unlock()
	if !ready {
		return "starting or stopping"
	}
	for _, check := range checks {
		if err := check(ctx); err != nil {
			return err.Error()
		}
	}
	return ""
}

// adminHandler serves the operator's port: health, metrics, the names of the modules, and their services for the operator.
func (u *unit) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(u.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if problem := u.health.problem(ctx); problem != "" {
			http.Error(w, problem, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(u.names()) // Whoever asked has gone.
	})
	mux.Handle("GET /peers", u.network)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "/livez\n/readyz\n/metrics\n/modules\n/peers\n/jobs")
	})
	u.jobs.handle(mux)
	mux.Handle("/", u.operator)
	return mux
}
