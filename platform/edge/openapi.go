package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// openAPIPath is where the document of the public port is.
const openAPIPath = "/openapi.json"

// serveDocument serves the document to whom does not have it yet.
func (e *Edge) serveDocument(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(e.openAPI)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(e.openAPI))
}
