package health

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// The paths that answer.
const (
	LivePath    = "/livez"
	ReadyPath   = "/readyz"
	StartupPath = "/startupz"
)

// Handle serves the three paths: 200 for yes, and 503 with a sentence for no. With ?verbose, and for who accepts JSON, the answer is JSON
// and names each check.
//
// Alive is a program that answers. It does not look at its checks, nor at its locks: to kill a program helps nothing against a database that
// is down, and takes away what still works.
func (h *Health) Handle(mux *http.ServeMux) {
	for path, judge := range map[string]func(Report) (well bool, problem string){
		LivePath:    func(Report) (bool, string) { return true, "" },
		ReadyPath:   func(r Report) (bool, string) { return r.Ready, r.Problem() },
		StartupPath: func(r Report) (bool, string) { return r.Started, r.Doing },
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			verbose := r.URL.Query().Has("verbose") || strings.Contains(r.Header.Get("Accept"), "application/json")
			var report Report
			if verbose || path == ReadyPath {
				report = h.Report(r.Context())
			} else {
				report = h.state()
			}
			well, problem := judge(report)
			status := http.StatusOK
			if !well {
				status = http.StatusServiceUnavailable
			}
			w.Header().Set("Cache-Control", "no-store")
			switch {
			case verbose:
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(report) // Whoever asked has gone.
			case well:
				fmt.Fprintln(w, "ok")
			default:
				http.Error(w, problem, status)
			}
		})
	}
}

// state is a report without checks.
func (h *Health) state() Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Report{Ready: h.doing == "", Started: h.started, Doing: h.doing}
}
