// Package browsertest gives tests a real browser: a headless Chromium, whose pages tell what they load and what they complain about, and
// can be checked for whether everybody can use them.
//
// Chromium has to be installed: without it a test fails, it is not skipped.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every step of a test. It is generous, because a machine may run other tests at the same time.
const patience = 60 * time.Second

// Browser is a Chromium that runs until the end of a test.
type Browser struct{ ctx context.Context }

// Start starts a browser.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatal(err)
	}
	// The sandbox of Chromium does not start as root, and a container's /dev/shm is small. What is opened here is our own.
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1440, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	// What the library says of messages of a newer browser that it does not know is of no use to anybody.
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx}
}

// find returns the path of a Chromium on this machine.
func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on this machine, which the tests of pages need: apt-get install chromium")
}

// Page is a page of a browser.
type Page struct {
	ctx context.Context

	mu         sync.Mutex
	requests   []string
	complaints []string
}

// Open opens a page and waits until it is loaded.
func (b *Browser) Open(t testing.TB, url string, before ...chromedp.Action) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	p := &Page{ctx: ctx}
	chromedp.ListenTarget(ctx, p.note)
	p.Do(t, network.Enable(), log.Enable(), runtime.Enable())
	// A page behind another one draws nothing and observes nothing.
	p.Do(t, append(before, page.BringToFront(), chromedp.Navigate(url))...)
	return p
}

// note keeps what the page does.
func (p *Page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *log.EventEntryAdded: // Refused by the policy of the page, not found, deprecated.
		p.complaints = append(p.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, arg := range e.Args {
			said = append(said, string(arg.Value))
		}
		p.complaints = append(p.complaints, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(said, " ")))
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, e.ExceptionDetails.Error())
	}
}

// Do does something with the page, and fails the test if that does not work.
func (p *Page) Do(t testing.TB, actions ...chromedp.Action) {
	t.Helper()
	if len(actions) == 0 {
		return
	}
	// The first use of a page makes it, and it must outlive this.
	if err := chromedp.Run(p.ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("%v, and the page complains: %q", err, p.Complaints())
	}
}

// Evaluate evaluates an expression of JavaScript, waits for it if it is a promise, and returns what came out of it.
func Evaluate[T any](t testing.TB, p *Page, expression string) (value T) {
	t.Helper()
	p.Do(t, chromedp.Evaluate(expression, &value, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return value
}

// Requests returns the URLs of everything that the page has asked for.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Complaints returns what the page has written to its console, and what the browser had to say about it.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}
