package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
)

// anyOrigin stands for every origin.
const anyOrigin = "*"

// preflightAge is for how many seconds a browser remembers what it may do. Browsers cap it, at two hours or so.
const preflightAge = 7200

// ParseOrigins reads a list of origins like https://shop.example, separated by commas, or * for every origin.
func ParseOrigins(list string) ([]string, error) {
	parsed := split(list)
	for _, origin := range parsed {
		err := http.NewCrossOriginProtection().AddTrustedOrigin(origin)
		if origin != anyOrigin && (err != nil || origin != strings.ToLower(origin) || strings.ContainsAny(origin, "*@")) {
			return nil, fmt.Errorf("%q is no origin like https://shop.example, in small letters and without a path, and not *", origin)
		}
	}
	return parsed, nil
}

// origins decide which web pages elsewhere may call. Credentials, that is cookies, are never allowed: callers have tokens.
type origins struct {
	cors  *cors.Cors // Nil where no origin is allowed.
	guard *http.CrossOriginProtection
	any   bool
}

func newOrigins(allowed []string) *origins {
	o := &origins{guard: http.NewCrossOriginProtection(), any: slices.Contains(allowed, anyOrigin)}
	if len(allowed) == 0 { // Of which package cors makes all.
		return o
	}
	for _, origin := range allowed {
		_ = o.guard.AddTrustedOrigin(origin) // ParseOrigins has checked it; * is none.
	}
	o.cors = cors.New(cors.Options{
		AllowedOrigins: allowed,
		AllowedMethods: append(connectcors.AllowedMethods(), http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", "Idempotency-Key", "If-None-Match", CorrelationHeader, traceHeader),
		ExposedHeaders: append(connectcors.ExposedHeaders(), CorrelationHeader, "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", challengeHeader),
		MaxAge:         preflightAge,
	})
	return o
}

// answer sets the headers that let a browser show the answer to a page elsewhere. It reports whether that was all: a preflight has been
// answered.
func (o *origins) answer(w http.ResponseWriter, r *http.Request) bool {
	if o.cors == nil {
		return false
	}
	o.cors.HandlerFunc(w, r)
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// check refuses what a page elsewhere makes a browser send, unless its origin is allowed: also requests without a preflight, and reads,
// whose answers the browser would keep from the page. Where nobody has to sign in, whoever sits at the browser is who they are sent for.
// Links may lead here. To our own pages, which know who is at the browser by a cookie, only those may send that are allowed by name.
func (o *origins) check(r *http.Request, page bool) *refusal {
	if r.Header["Origin"] == nil && r.Header["Sec-Fetch-Site"] == nil {
		return nil // No browser, or an old one with a page of its own.
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if o.any && !page || read && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return nil
	}
	// The guard lets all reads pass, so to it everything is a write.
	if o.guard.Check(&http.Request{Method: http.MethodPost, Host: r.Host, Header: r.Header, URL: r.URL}) == nil {
		return nil
	}
	why := "web pages of this origin may not call: the operator can allow it with CLEAVE_CORS_ORIGINS"
	if o.any {
		why += ", by its name: * does not stand for it here"
	}
	return &refusal{code: connect.CodePermissionDenied, status: http.StatusForbidden, why: why}
}
