package reference_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/reference"
)

// library is a document that uses everything that the page knows of OpenAPI.
func library(t *testing.T) http.Handler {
	t.Helper()
	document, err := os.ReadFile("testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return reference.New(document)
}

func get(t *testing.T, page http.Handler, method, path string, header http.Header) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Header = header
	page.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAssets holds that whatever the page consists of is small on the wire, and is asked for once.
func TestAssets(t *testing.T) {
	t.Parallel()
	page := library(t)
	plain := read(t, get(t, page, "GET", "/docs", nil).Body)
	parts := regexp.MustCompile(`(?:href|src)="(/docs/[^"]+)"`).FindAllStringSubmatch(plain, -1)
	if len(parts) != 3 {
		t.Fatalf("the page has the parts %q", parts)
	}
	for path, cache := range map[string]string{
		"/docs": "no-cache", parts[0][1]: "public, max-age=31536000, immutable", parts[1][1]: "public, max-age=31536000, immutable", parts[2][1]: "public, max-age=31536000, immutable",
	} {
		r := get(t, page, "GET", path, http.Header{"Accept-Encoding": {"br, gzip"}})
		if got := r.Header.Get("Cache-Control"); r.StatusCode != 200 || got != cache || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: got %s with %v", path, r.Status, r.Header)
		}
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if read(t, zipped) != read(t, get(t, page, "GET", path, nil).Body) {
			t.Errorf("%s is another one when it is compressed", path)
		}
		tag := r.Header.Get("ETag")
		again := get(t, page, "GET", path, http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {tag}})
		if text := read(t, again.Body); again.StatusCode != http.StatusNotModified || text != "" {
			t.Errorf("%s: who has it gets %s", path, again.Status)
		}
		if other := get(t, page, "GET", path, http.Header{"If-None-Match": {tag}}); other.StatusCode != 200 {
			t.Errorf("%s: who has the compressed one and wants the other gets %s", path, other.Status)
		}
		if head := get(t, page, "HEAD", path, nil); head.StatusCode != 200 || read(t, head.Body) != "" {
			t.Errorf("%s: HEAD gets %s", path, head.Status)
		}
	}
	for _, path := range []string{"/docs/", "/docs/page.css", "/docs/page.html", "/", "/docsx"} {
		if r := get(t, page, "GET", path, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %s", path, r.Status)
		}
	}
	if r := get(t, page, "POST", "/docs", nil); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %s", r.Status)
	}
}

// TestWords holds that what the document says is on the page, and that none of it is taken for HTML.
func TestWords(t *testing.T) {
	t.Parallel()
	page := read(t, get(t, library(t), "GET", "/docs", nil).Body)
	for _, says := range []string{
		"<title>Library reference</title>", "<p>Books, and who has them. An id is a string such as <code>bok_1</code>.</p><p><strong>Errors</strong> have:</p><ul><li>a code for machines</li><li>a sentence for people, in English</li></ul>",
		">List books</a>", ">Get chapter</a>", ">Add a book</a>", "Tear out a chapter &lt;b&gt;&amp;amp; burn it&lt;/b&gt;", "Deprecated: new clients",
		"Needs an access token with books:write", "≥ 0 · ≤ 200 · default 50", "at most 64 long · matches ^bok_[0-9a-z&lt;]&#43;$",
		"list of Book", "map to number", "string or null", "string (int64)", "string (date-time)", "or shelf", "or reader", "always book", "What kind of book it is.",
		"<code>/library.v1.BookService/GetChapter</code>", "placeholder=\"such as Ende\"", ">as &#34;it&#34; is</pre>", "Not here.",
		"What the titles are in.", "For whoever is asked about it.", "Why not.",
	} {
		if !strings.Contains(page, says) {
			t.Errorf("the page does not say %s", says)
		}
	}
	if strings.Count(page, "For whoever is asked about it.") != 3 {
		t.Error("the headers of errors are shown where they are those of all answers, or not where they are not")
	}
	for _, not := range []string{"burn it</b>", "Shelves", "Nobody has written"} {
		if strings.Contains(page, not) {
			t.Errorf("the page says %s", not)
		}
	}
}

// TestDocuments holds that a document that cannot be shown is refused with the place that is wrong.
func TestDocuments(t *testing.T) {
	t.Parallel()
	const head = `{"openapi":"3.0.3","info":{"title":"x"},"paths":`
	for document, says := range map[string]string{
		``:                                  "unexpected end of JSON",
		`{"swagger":"2.0"}`:                 "not of version 3",
		head + `{}}`:                        "no operation",
		head + `{"/a":null}}`:               "/a is null",
		head + `{"/a":{"get":{"a":1}}}}`:    "",
		head + `{"/a":{"get":{"tags":1}}}}`: "/a: get: ",
		head + `{"/a":{"get":{"operationId":"x"},"post":{"operationId":"x"}}}}`:                                                                                                                                  "two operations are called x",
		head + `{"/a":{"get":{"parameters":[{"$ref":"#/components/parameters/Size"}]}}}}`:                                                                                                                        "GET /a: #/components/parameters/Size leads nowhere",
		head + `{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Book"}}}}}}}}`:                                                                               "POST /a: body: : #/components/schemas/Book leads nowhere",
		head + `{"/a":{"get":{"responses":{"200":{"$ref":"https://example.com/answer"}}}}}}`:                                                                                                                     "https://example.com/answer leads nowhere",
		head + `{"/a":{"get":{"parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/A"}}]}}},"components":{"schemas":{"A":{"$ref":"#/components/schemas/A"}}}}`:                          "consists of itself",
		head + `{"/a":{"get":{"parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/A"}}]}}},"components":{"schemas":{"A":{"type":"array","items":{"$ref":"#/components/schemas/A"}}}}}`: "consists of itself",
		head + `{"/a":{"get":{"parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/A"}}]}}},"components":{"schemas":{"A":{"allOf":[{"$ref":"#/components/schemas/A"},{}]}}}}`:           "consists of itself",
	} {
		r := get(t, reference.New([]byte(document)), "GET", "/docs", nil)
		if text := read(t, r.Body); (r.StatusCode == 200) != (says == "") || !strings.Contains(text, says) {
			t.Errorf("%s: got %s %.200s, want %q", document, r.Status, text, says)
		}
	}
}
