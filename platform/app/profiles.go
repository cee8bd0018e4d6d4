package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

const (
	profilesPath = "/debug/pprof/"
	// maxProfile is how many seconds a profile may take: it costs the process some of its time.
	maxProfile = 60
)

// profiles serves Go's profiles at the operator's port, one at a time. The command line is not among them.
func (u *unit) profiles(mux *http.ServeMux) {
	busy := make(chan struct{}, 1)
	serve := func(path string, profile http.HandlerFunc) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if text := r.FormValue("seconds"); text != "" {
				if seconds, err := strconv.Atoi(text); err != nil || seconds < 1 || seconds > maxProfile {
					http.Error(w, fmt.Sprintf("seconds: 1 to %d", maxProfile), http.StatusBadRequest)
					return
				}
			}
			select {
			case busy <- struct{}{}:
				defer func() { <-busy }()
			case <-time.After(time.Second):
				http.Error(w, "another profile is being made: wait until it is", http.StatusTooManyRequests)
				return
			}
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(u.stopping, cancel)() // A stop does not wait for it.
			profile(w, r.WithContext(ctx))
		})
	}
	serve(profilesPath, pprof.Index)
	serve(profilesPath+"profile", pprof.Profile)
	serve(profilesPath+"trace", pprof.Trace)
	serve(profilesPath+"symbol", pprof.Symbol)
	mux.HandleFunc("GET "+profilesPath+"cmdline", http.NotFound)
}
