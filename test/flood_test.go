package test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestSignInFlood holds that a thousand attempts to sign in leave the memory as it is, also those that cost a hash of 19 MiB, and that somebody else signs in
// and orders meanwhile. They come from two networks, of which each has a hundred in a quarter of an hour.
func TestSignInFlood(t *testing.T) {
	const attempts, networks, hashed, atOnce = 1000, 2, 200, 24
	const email, password = "jane@example.com", "correct horse battery staple"
	shop := house.AllInOne.Open(t, topology.NewBinaries(t), house.Options{Env: map[string]string{
		"CLEAVE_TRUSTED_PROXIES": "127.0.0.1", "CLEAVE_RATE_LIMIT": "0", "CLEAVE_ANONYMOUS_RATE_LIMIT": "0",
	}})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "http://127.0.0.1:8080" // As the setting has it. Nothing listens there.
	jane := &http.Client{Jar: jar}
	fill(t, jane, shop.Public()+"/register", url.Values{"email": {email}})
	fill(t, jane, strings.Replace(link(t, shop, issuer), issuer, shop.Public(), 1), url.Values{"password": {password}})
	buyer := enter(t, shop, connectRPC)
	sku := buyer.product(1990, 1)
	resident := func() float64 { return scraped(t, shop.Unit("all"), "process_resident_memory_bytes") }
	before := resident()

	var next, refused, throttled atomic.Int64
	first, done := make(chan struct{}, attempts), make(chan struct{})
	var flood sync.WaitGroup
	for range atOnce {
		flood.Go(func() {
			for i := next.Add(1); i <= attempts; i = next.Add(1) {
				switch status, err := attempt(t, shop.Public(), fmt.Sprintf("192.0.2.%d", i%networks), fmt.Sprintf("user%d@example.com", i)); {
				case status == http.StatusUnauthorized:
					refused.Add(1)
					first <- struct{}{}
				case status == http.StatusTooManyRequests:
					throttled.Add(1)
				default:
					t.Errorf("attempt %d: %d, %v", i, status, err)
				}
			}
		})
	}
	go func() { flood.Wait(); close(done) }()
	select {
	case <-first:
	case <-done:
		t.Fatal("nobody's password was looked at")
	}
	fill(t, jane, shop.Public()+"/signin", url.Values{"email": {email}, "password": {password}})
	if over := next.Load() > attempts; over {
		t.Error("the flood was over before she had signed in")
	}
	buyer.settled(buyer.buy("pm_card_visa", item{sku, 1}).GetId(), confirmed, "")
	most := resident()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(50 * time.Millisecond):
			most = max(most, resident())
		}
	}
	if refused.Load() != hashed || throttled.Load() != attempts-hashed {
		t.Errorf("%d were refused and %d had to wait, want %d and %d", refused.Load(), throttled.Load(), hashed, attempts-hashed)
	}
	// Hashes that wait would take 456 MiB.
	if most > before+128<<20 {
		t.Errorf("%.0f MiB are resident at the most, and %.0f before", most/(1<<20), before/(1<<20))
	}
	t.Logf("%.0f MiB before, %.0f at the most", before/(1<<20), most/(1<<20))
}

// attempt tries to sign in from a network, with a form of its own, and returns what the answer is.
func attempt(t *testing.T, public, network, email string) (status int, err error) {
	form := strings.Repeat("A", 43)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/signin", strings.NewReader(url.Values{"form": {form}, "email": {email}, "password": {"wrong password"}}.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-Forwarded-For": {network}, "Cookie": {"cleave_form=" + form}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
