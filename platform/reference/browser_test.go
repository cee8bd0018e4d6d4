package reference_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cleave-go/cleave/platform/browsertest"
)

// stand is the page with an API behind it.
type stand struct {
	url string
	// asked gets what the API is asked.
	asked chan string
	// more lets a stream go on.
	more chan struct{}
}

func newStand(t *testing.T) *stand {
	s := &stand{asked: make(chan string, 10), more: make(chan struct{})}
	mux := http.NewServeMux()
	page := library(t)
	mux.Handle("/docs", page)
	mux.Handle("/docs/", page)
	note := func(r *http.Request) {
		language := strings.TrimPrefix(r.Header.Get("Accept-Language"), "en-US,en;q=0.9") // The browser's own.
		s.asked <- strings.Join(strings.Fields(fmt.Sprintln(r.Method, r.RequestURI, r.Header.Get("Authorization"), language, read(t, r.Body))), " ")
	}
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, r *http.Request) {
		note(r)
		fmt.Fprint(w, `{"books":[{"id":"bok_1","pages":304}]}`)
	})
	mux.HandleFunc("POST /books", func(w http.ResponseWriter, r *http.Request) {
		note(r)
		w.Header().Set("X-Correlation-Id", "cor_1")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"code":"already_exists","order":12345678901234567890}`)
	})
	mux.HandleFunc("GET /books/{id}/chapters/{number}", func(w http.ResponseWriter, r *http.Request) {
		note(r)
		fmt.Fprintln(w, `{"line":"It was a dark night"}`)
		http.NewResponseController(w).Flush()
		select {
		case <-s.more:
			fmt.Fprintln(w, `{"line":"and stormy"}`)
		case <-r.Context().Done():
			s.asked <- "gone"
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// dark and narrow are what a reader's machine may be.
var (
	dark   = emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}})
	narrow = chromedp.EmulateViewport(390, 844)
)

// openAll opens everything that can be opened.
const openAll = `document.querySelectorAll("details").forEach((d) => d.open = true)`

func TestPage(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, before := range map[string][]chromedp.Action{"light": nil, "dark": {dark}, "narrow": {narrow}} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			page := browser.Open(t, s.url+"/docs", before...)
			page.Do(t, chromedp.Evaluate(openAll, nil))
			page.CheckAccess(t)
			if wide := browsertest.Evaluate[bool](t, page, `document.documentElement.scrollWidth > innerWidth`); wide {
				t.Error("the page is wider than the window")
			}
			sober(t, page, s.url)
		})
	}
	t.Run("calls", func(t *testing.T) { calls(t, browser) })
	t.Run("stream", func(t *testing.T) { stream(t, browser) })
	t.Run("keyboard", func(t *testing.T) { keyboard(t, browser) })
	t.Run("search", func(t *testing.T) { search(t, browser) })
	t.Run("clipboard", func(t *testing.T) { clipboard(t, browser) })
}

// sober holds that a page has asked nobody else for anything, and that the browser has found nothing wrong.
func sober(t *testing.T, page *browsertest.Page, url string) {
	t.Helper()
	for _, request := range page.Requests() {
		if !strings.HasPrefix(request, url+"/") {
			t.Errorf("the page has asked for %s", request)
		}
	}
	if complaints := page.Complaints(); len(complaints) > 0 {
		t.Errorf("the page complains: %q", complaints)
	}
}

// calls makes calls with everything that a request can have.
func calls(t *testing.T, browser *browsertest.Browser) {
	s := newStand(t)
	page := browser.Open(t, s.url+"/docs")
	const list = "#BookService-ListBooks"
	page.Do(t,
		chromedp.SendKeys("#token", "Bearer secret"),
		chromedp.Click(list+" .try summary"),
		chromedp.SendKeys(list+` [name="page_size"]`, "2"),
		chromedp.SetValue(list+` [name="genre"]`, "POETRY"),
		chromedp.SendKeys(list+` [name="authors"]`, "Ende, Carroll"),
		chromedp.SendKeys(list+` [name="Accept-Language"]`, "de"),
		chromedp.Click(list+" .send"),
		chromedp.WaitVisible(list+" .answer"),
	)
	expect(t, "the API was asked", <-s.asked, "GET /books?page_size=2&genre=POETRY&authors=Ende&authors=Carroll Bearer secret de")
	expect(t, "the answer", text(t, page, list+" .answer"), "{\n  \"books\": [\n    {\n      \"id\": \"bok_1\",\n      \"pages\": 304\n    }\n  ]\n}")
	if status := text(t, page, list+" .result"); !strings.HasPrefix(status, "200 OK in ") {
		t.Errorf("the page says %q", status)
	}
	expect(t, "the command", text(t, page, list+" .request"),
		"curl '"+s.url+"/books?page_size=2&genre=POETRY&authors=Ende&authors=Carroll' \\\n  -H 'Accept-Language: de' \\\n  -H \"Authorization: Bearer $TOKEN\"")
	page.CheckAccess(t)
	sober(t, page, s.url)

	// A repetition is the same request; a change makes it another one, with an id of its own.
	const create = "#BookService-CreateBook"
	page.Do(t, chromedp.Click(create+" .try summary"))
	var sent []string
	for _, change := range []string{"", "", "Jim Knopf's"} {
		if change != "" {
			page.Do(t, chromedp.SetValue(create+" textarea", strings.ReplaceAll(browsertest.Evaluate[string](t, page, `document.querySelector("`+create+` textarea").value`), "Momo", change)))
		}
		page.Do(t, chromedp.Click(create+" .send"))
		sent = append(sent, <-s.asked)
		page.Do(t, chromedp.WaitNotVisible(create+" .stop"))
	}
	if !strings.Contains(sent[0], `"title": "Momo"`) || sent[0] != sent[1] || strings.Contains(sent[2], "Momo") || id(sent[2]) == id(sent[0]) || len(id(sent[0])) != 24 {
		t.Errorf("the API was asked\n%s", strings.Join(sent, "\n"))
	}
	if got := text(t, page, create+" .request"); !strings.Contains(got, `Jim Knopf'\''s`) {
		t.Errorf("the command is %s", got)
	}
	if status := text(t, page, create+" .result"); !strings.HasPrefix(status, "409 Conflict in ") || !strings.HasSuffix(status, ", correlation id cor_1") {
		t.Errorf("the page says %q", status)
	}
	// JavaScript would make another number of it.
	expect(t, "the answer", text(t, page, create+" .answer"), `{"code":"already_exists","order":12345678901234567890}`)
}

// id returns the request id of what the API was asked.
func id(asked string) string {
	_, after, _ := strings.Cut(asked, `"request_id": "`)
	before, _, _ := strings.Cut(after, `"`)
	return before
}

// stream holds that an answer is shown while it comes, and can be stopped.
func stream(t *testing.T, browser *browsertest.Browser) {
	s := newStand(t)
	page := browser.Open(t, s.url+"/docs")
	const chapter = "#getChapter"
	page.Do(t,
		chromedp.Click(chapter+" .try summary"),
		chromedp.SendKeys(chapter+` [name="book.id"]`, "bok 1/2"),
		chromedp.SendKeys(chapter+` [name="number"]`, "1"),
		chromedp.Click(chapter+" .send"),
		chromedp.WaitVisible(chapter+" .answer"),
	)
	expect(t, "the API was asked", <-s.asked, "GET /books/bok%201%2F2/chapters/1")
	expect(t, "the answer so far", text(t, page, chapter+" .answer"), `{"line":"It was a dark night"}`)
	page.Do(t, chromedp.WaitVisible(chapter+" .stop"))
	s.more <- struct{}{}
	page.Do(t, chromedp.WaitNotVisible(chapter+" .stop"))
	expect(t, "the answer", text(t, page, chapter+" .answer"), "{\"line\":\"It was a dark night\"}\n{\"line\":\"and stormy\"}")

	page.Do(t, chromedp.Click(chapter+" .send"), chromedp.WaitVisible(chapter+" .stop"))
	<-s.asked
	page.Do(t, chromedp.Click(chapter+" .stop"), chromedp.WaitNotVisible(chapter+" .stop"))
	expect(t, "the API", <-s.asked, "gone")
	expect(t, "the page says", text(t, page, chapter+" .result"), "Stopped.")
}

// keyboard makes a call without a mouse.
func keyboard(t *testing.T, browser *browsertest.Browser) {
	s := newStand(t)
	page := browser.Open(t, s.url+"/docs", emulation.SetFocusEmulationEnabled(true))
	var way []string
	press := func(key string) string {
		page.Do(t, chromedp.KeyEvent(key))
		focus := browsertest.Evaluate[string](t, page, `document.activeElement.innerText.replaceAll("\n", "") || document.activeElement.id || document.activeElement.tagName`)
		way = append(way, focus)
		return focus
	}
	expect(t, "the first Tab leads to", press(kb.Tab), "Skip to the content")
	press(kb.Enter)
	reach := func(wanted string) {
		t.Helper()
		for range 20 {
			if press(kb.Tab) == wanted {
				return
			}
		}
		t.Fatalf("Tab does not lead to %q: %q", wanted, way)
	}
	reach("token")
	page.Do(t, chromedp.KeyEvent("secret"+kb.Enter))
	reach("Try it: List books")
	page.Do(t, chromedp.KeyEvent(kb.Enter))
	reach("BookService-ListBooks-query-page_size")
	page.Do(t, chromedp.KeyEvent("3"+kb.Enter))
	expect(t, "the API was asked", strings.Fields(<-s.asked)[1], "/books?page_size=3")
	reach("Send: List books")
	page.Do(t, chromedp.WaitVisible("#BookService-ListBooks .answer"))
}

func search(t *testing.T, browser *browsertest.Browser) {
	s := newStand(t)
	page := browser.Open(t, s.url+"/docs")
	visible := func() []string {
		return browsertest.Evaluate[[]string](t, page, `Array.from(document.querySelectorAll("nav li"), (l) => l.offsetParent ? l.innerText.replaceAll("\n", " ") : "").filter((s) => s)`)
	}
	all := []string{"GET List books", "POST Add a book", "GET Get chapter", "DELETE Tear out a chapter <b>&amp; burn it</b>", "GET /old"}
	for _, c := range []struct {
		typed string
		want  []string
	}{{"", all}, {"book", all[:4]}, {" add", all[1:2]}, {kb.Backspace + "zzz", nil}} {
		page.Do(t, chromedp.SendKeys("#search", c.typed, chromedp.NodeVisible))
		if got := visible(); !slices.Equal(got, c.want) {
			t.Errorf("after %q there are %q", c.typed, got)
		}
	}
	expect(t, "the page says", text(t, page, "nav .nothing"), "No operation is called like that.")
	page.CheckAccess(t)
}

// clipboard holds that a button to copy is there only where it works.
func clipboard(t *testing.T, browser *browsertest.Browser) {
	_, port, _ := strings.Cut(strings.TrimPrefix(newStand(t).url, "http://"), ":")
	for host, want := range map[string]bool{"localhost": true, "0.0.0.0": false} { // The latter is this machine, too, and no secure context.
		page := browser.Open(t, "http://"+host+":"+port+"/docs")
		page.Do(t, chromedp.WaitVisible(".try"))
		if shown := browsertest.Evaluate[bool](t, page, `document.querySelector(".copy").offsetParent !== null`); shown != want {
			t.Errorf("from %s the button is shown: %v", host, shown)
		}
	}
}

func text(t *testing.T, page *browsertest.Page, selector string) (text string) {
	t.Helper()
	page.Do(t, chromedp.Text(selector, &text))
	return strings.TrimSpace(text)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}
