package app

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// adminHandler serves the operator's port: health, metrics, profiles, the names of the modules, and their services for the operator.
func (u *unit) adminHandler(listener net.Listener) http.Handler {
	mux := http.NewServeMux()
	u.health.Handle(mux)
	mux.Handle(u.health.GRPC())
	mux.Handle("GET /metrics", promhttp.HandlerFor(u.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(u.names()) // Whoever asked has gone.
	})
	mux.Handle("GET /peers", u.network)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "/livez\n/readyz\n/startupz\n/metrics\n/modules\n/peers\n/jobs\n/debug/pprof/")
	})
	u.jobs.handle(mux)
	u.profiles(mux)
	mux.Handle("/", u.operator)
	return guardOperator(mux, isLoopback(listener))
}

// maxScrapes bounds who scrapes at once.
const maxScrapes = 10

// guardOperator keeps web pages from using the browser of somebody who can reach the operator's port: other sites may link to a page here, and
// nothing else. A port that only this machine reaches is known by no name but localhost there: a page whose own name was made to lead to this
// machine (DNS rebinding) is of the same site to its browser, but calls the port by that name.
func guardOperator(next http.Handler, local bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local && !callsLocal(r.Host) {
			http.Error(w, "this port is called localhost, or by its address", http.StatusMisdirectedRequest)
			return
		}
		if !fromHere(r) {
			http.Error(w, "web pages of other sites may link to this port, and not call it", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// callsLocal reports whether a host, with a port or without, is localhost or an address. Who says none is no browser.
func callsLocal(host string) bool {
	name := strings.ToLower(strings.TrimSuffix((&neturl.URL{Host: host}).Hostname(), "."))
	return host == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil
}

// fromHere reports whether a request is that of no browser, or of one that shows a page of this port or follows a link to one.
func fromHere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
		return http.NewCrossOriginProtection().Check(r) == nil // An old one.
	}
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" &&
		!strings.HasPrefix(r.URL.Path, profilesPath)
}
