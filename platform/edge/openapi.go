package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/reference"
)

// openAPIPath is where the document of the public port is.
const openAPIPath = "/openapi.json"

// plainRoutes returns what the port serves that is no method, all of it to be got: what describes the port.
func (e *Edge) plainRoutes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{"/": e.serveIndex}
	if e.openAPI != nil {
		routes[openAPIPath] = e.serveDocument
		routes[reference.Path] = reference.New(e.openAPI).ServeHTTP
	}
	return routes
}

// plainRoute returns the handler of a request that is for no method, or nil. What the reference page loads lies below it.
func (e *Edge) plainRoute(r *http.Request) http.HandlerFunc {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	if strings.HasPrefix(r.URL.Path, reference.Path+"/") {
		return e.plain[reference.Path]
	}
	return e.plain[r.URL.Path]
}

// Routes returns everything that the port serves, like "GET /v1/orders/{id}", sorted. Each has its place in the OpenAPI document.
func (e *Edge) Routes() []string {
	var routes []string
	for path := range e.plain {
		routes = append(routes, "GET "+path)
	}
	for _, route := range e.rest.routes {
		routes = append(routes, route.method.Route.Verb+" "+route.method.Route.Path)
	}
	for procedure, method := range e.methods {
		if !method.page {
			routes = append(routes, "POST "+procedure)
		}
	}
	for path, page := range e.pages {
		for _, verb := range page.verbs() {
			routes = append(routes, verb+" "+path)
		}
	}
	slices.Sort(routes)
	return routes
}

func (e *Edge) serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, e.index) // Nobody is left to be told that the client has gone.
}

// serveDocument serves the document to whom does not have it yet.
func (e *Edge) serveDocument(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(e.openAPI)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(e.openAPI))
}
