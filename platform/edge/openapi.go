package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/reference"
)

// openAPIPath is where the document of the public port is.
const openAPIPath = "/openapi.json"

// describe serves what describes the port, its document and the page that is made of it, and reports whether that was asked for.
func (e *Edge) describe(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case e.openAPI == nil || r.Method != http.MethodGet && r.Method != http.MethodHead:
		return false
	case r.URL.Path == openAPIPath:
		e.serveDocument(w, r)
	case r.URL.Path == reference.Path || strings.HasPrefix(r.URL.Path, reference.Path+"/"):
		e.reference.ServeHTTP(w, r)
	default:
		return false
	}
	return true
}

// serveDocument serves the document to whom does not have it yet.
func (e *Edge) serveDocument(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(e.openAPI)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(e.openAPI))
}
