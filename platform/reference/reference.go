// Package reference makes the reference page of an API: one page of HTML, written once from an OpenAPI 3 document, from which calls can be
// made. Everything that the page needs is in the binary, and the page may load nothing from anywhere else.
//
// It owns how the page looks and what it can do. It does not own what an operation is called or means: that is in the document.
package reference

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Path is where the page is. What it loads lies below.
const Path = "/docs"

// policy lets the page load its own parts and call its own origin, and nothing else: no inline script, no frame around it, no form that
// leads elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html page.css page.js icon.svg
var files embed.FS

var pageTemplate = template.Must(template.ParseFS(files, "page.html"))

// New returns a handler that serves the reference page of an OpenAPI 3 document in JSON, at [Path] and below. The page is made when
// somebody first asks for it, so that a process in which nobody does starts sooner. If the document cannot be read, or refers to what is
// not in it, every answer is an error that says so.
func New(document []byte) http.Handler {
	made := sync.OnceValues(func() (http.Handler, error) { return newHandler(document) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, err := made()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

func newHandler(document []byte) (http.Handler, error) {
	page, err := newPage(document)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	mux := http.NewServeMux()
	for _, part := range []struct {
		file, contentType string
		link              *string
	}{
		{"page.css", "text/css; charset=utf-8", &page.Style},
		{"page.js", "text/javascript; charset=utf-8", &page.Script},
		{"icon.svg", "image/svg+xml", &page.Icon},
	} {
		text, err := files.ReadFile(part.file)
		if err != nil {
			return nil, err
		}
		a := newAsset(text, part.contentType, "public, max-age=31536000, immutable")
		// Its name says what is in it, so it can be kept forever.
		name, extension, _ := strings.Cut(part.file, ".")
		*part.link = Path + "/" + name + "." + a.hash[:16] + "." + extension
		mux.Handle("GET "+*part.link, a)
	}
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, page); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	mux.Handle("GET "+Path, newAsset(text.Bytes(), "text/html; charset=utf-8", "no-cache"))
	return mux, nil
}

// asset is a file that never changes while the process lives.
type asset struct {
	plain, zipped      []byte
	hash               string
	contentType, cache string
}

func newAsset(text []byte, contentType, cache string) *asset {
	sum := sha256.Sum256(text)
	a := &asset{plain: text, hash: hex.EncodeToString(sum[:]), contentType: contentType, cache: cache}
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // The level is one of its own, and a buffer takes everything.
	_, _ = w.Write(text)
	_ = w.Close()
	a.zipped = zipped.Bytes()
	return a
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, tag := a.plain, a.hash
	h := w.Header()
	h.Add("Vary", "Accept-Encoding") // To what the answer varies with already, such as Origin.
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		text, tag = a.zipped, a.hash+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.cache)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}
