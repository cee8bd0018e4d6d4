package edge_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := edge.NewRate(10)
	taken := func(name string) (n int, wait time.Duration) {
		for ; n < 1000; n++ {
			if _, wait = r.Take(name, now); wait > 0 {
				break
			}
		}
		return n, wait
	}
	if n, wait := taken("one"); n != 20 || wait != 100*time.Millisecond {
		t.Errorf("after a pause there are %d, and then %v to wait, want 20 and 100ms", n, wait)
	}
	if n, _ := taken("another"); n != 20 {
		t.Errorf("another client has %d, want 20", n)
	}
	now = now.Add(99 * time.Millisecond)
	if n, wait := taken("one"); n != 0 || wait != time.Millisecond {
		t.Errorf("99ms later there are %d, and %v to wait, want 0 and 1ms", n, wait)
	}
	now = now.Add(time.Millisecond)
	if n, _ := taken("one"); n != 1 {
		t.Errorf("100ms later there are %d, want 1", n)
	}
	now = now.Add(time.Second)
	if left, _ := r.Take("one", now); left != 9 {
		t.Errorf("a second later %d are left after one, want 9", left)
	}
	now = now.Add(time.Hour)
	if n, _ := taken("one"); n != 20 {
		t.Errorf("an hour later there are %d, want 20", n)
	}
}

// TestRateForgets holds that who is forgotten is somebody whose bucket is full: that many others come does not give anybody more than is
// his, and takes no more memory than there is.
func TestRateForgets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := edge.NewRate(10)
	let := 0
	for i := range 4 * edge.MaxClients { // In ten seconds.
		now = now.Add(10 * time.Second / (4 * edge.MaxClients))
		r.Take(fmt.Sprint("other ", i), now)
		if i%100 == 0 {
			if _, wait := r.Take("greedy", now); wait == 0 {
				let++
			}
		}
	}
	if let < 110 || let > 121 {
		t.Errorf("a client got %d in ten seconds, want 20 and ten a second", let)
	}
	if r.Known() > 2*edge.MaxClients+2 {
		t.Errorf("%d clients are known", r.Known())
	}
	now = now.Add(time.Minute)
	r.Take("one", now)
	if r.Known() != 1 {
		t.Errorf("after a minute without them %d clients are known", r.Known())
	}
	// At once they are too many to be known. Those who come last share a bucket, and who was there first keeps his.
	for i := range edge.MaxClients - 1 {
		r.Take(fmt.Sprint("crowd ", i), now)
	}
	let = 0
	for i := range 1000 {
		if _, wait := r.Take(fmt.Sprint("late ", i), now); wait == 0 {
			let++
		}
	}
	if left, wait := r.Take("one", now); let != 20 || left != 18 || wait != 0 {
		t.Errorf("of those who came last %d got something, want 20; who was there first has %d left, want 18", let, left)
	}
}

// byToken takes the token for the subject, and "wrong" for a wrong one.
func byToken(r *http.Request) (rpc.Principal, error) {
	subject := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(subject, "wrong") {
		return rpc.Principal{}, connect.NewError(connect.CodeUnauthenticated, errors.New("the token is bad"))
	}
	return rpc.Principal{Subject: subject}, nil
}

// TestTooMany holds that who asks too often is told so, and for how long to wait, in every protocol; and that others are served.
func TestTooMany(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) { c.Rate, c.Authenticate = 2, byToken })
			d.call = fine
			client := p.client(t, d.url)
			call := func(subject string) (http.Header, error) {
				ctx, info := connect.NewClientContext(limited(t))
				info.RequestHeader().Set("Authorization", "Bearer "+subject)
				_, err := client.Call(ctx, &parityv1.CallRequest{})
				return info.ResponseHeader(), err
			}
			header, err := call("one")
			if err != nil || header.Get("RateLimit-Policy") != "" || header.Get("RateLimit") != "" {
				t.Fatalf("the first call, when nobody wants to know: %v, with %v", err, header)
			}
			header, err = call("one")
			if err != nil || header.Get("RateLimit-Policy") != `"client";q=4;w=2` || header.Get("RateLimit") != `"client";r=2` {
				t.Fatalf("the second call: %v, with %v", err, header)
			}
			for err == nil {
				header, err = call("one")
			}
			require(t, err, connect.CodeResourceExhausted, "too many requests: wait before the next one")
			if after, _ := strconv.Atoi(header.Get("Retry-After")); after != 1 || header.Get("RateLimit") != `"client";r=0;t=1` {
				t.Errorf("the answer has %v", header)
			}
			var connectErr *connect.Error
			if errors.As(err, &connectErr); len(connectErr.Details()) != 1 {
				t.Fatalf("it has the details %v", connectErr.Details())
			}
			detail, err := connectErr.Details()[0].Value()
			if delay, ok := detail.(*errdetails.RetryInfo); !ok || err != nil || delay.GetRetryDelay().AsDuration() <= 0 || delay.GetRetryDelay().AsDuration() > time.Second {
				t.Errorf("it has the detail %v, %v", detail, err)
			}
			if _, err := call("another"); err != nil {
				t.Errorf("another user: %v", err)
			}
		})
	}
}

// TestWhoseRate holds whose requests are counted together.
func TestWhoseRate(t *testing.T) {
	t.Parallel()
	type ask struct{ subject, from string }
	for name, c := range map[string]struct {
		drain, then ask
		want        int
	}{
		"a user, wherever he is":                {ask{"one", "192.0.2.1"}, ask{"one", "192.0.2.2"}, 429},
		"another user at the same address":      {ask{"one", "192.0.2.1"}, ask{"two", "192.0.2.1"}, 200},
		"nobody at the address of a user":       {ask{"one", "192.0.2.1"}, ask{"", "192.0.2.1"}, 200},
		"nobody, at an address":                 {ask{"", "192.0.2.1"}, ask{"", "192.0.2.1"}, 429},
		"nobody, at another address":            {ask{"", "192.0.2.1"}, ask{"", "192.0.2.2"}, 200},
		"a user where nobody asks too often":    {ask{"", "192.0.2.1"}, ask{"one", "192.0.2.1"}, 200},
		"nobody, in a household":                {ask{"", "2001:db8::1"}, ask{"", "2001:db8::ffff:2"}, 429},
		"nobody, in another household":          {ask{"", "2001:db8::1"}, ask{"", "2001:db8:0:1::1"}, 200},
		"an IPv4 address in IPv6":               {ask{"", "192.0.2.1"}, ask{"", "::ffff:192.0.2.1"}, 429},
		"a right token after many wrong":        {ask{"wrong", "192.0.2.1"}, ask{"one", "192.0.2.1"}, 429},
		"another wrong token":                   {ask{"wrong", "192.0.2.1"}, ask{"wrong too", "192.0.2.1"}, 429},
		"a right token elsewhere":               {ask{"wrong", "192.0.2.1"}, ask{"one", "192.0.2.2"}, 200},
		"no token where many were wrong":        {ask{"wrong", "192.0.2.1"}, ask{"", "192.0.2.1"}, 200},
		"a guest, where nobody asks too often":  {ask{"", "192.0.2.1"}, ask{"gst_1", "192.0.2.1"}, 429},
		"another guest at the same address":     {ask{"gst_1", "192.0.2.1"}, ask{"gst_2", "192.0.2.1"}, 429},
		"a guest elsewhere":                     {ask{"gst_1", "192.0.2.1"}, ask{"gst_1", "192.0.2.2"}, 200},
		"a user whose name is like an address":  {ask{"", "192.0.2.1"}, ask{"192.0.2.1/32", "192.0.2.2"}, 200},
		"a wrong token where nobody asks a lot": {ask{"", "192.0.2.1"}, ask{"wrong", "192.0.2.1"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
				c.Rate, c.AnonymousRate, c.Authenticate = 1, 1, byToken
				c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			})
			d.call = fine
			do := func(a ask) int {
				header := http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {a.from}}
				if a.subject != "" {
					header.Set("Authorization", "Bearer "+a.subject)
				}
				response, _ := post(t, d.url, header, "{}")
				return response.StatusCode
			}
			var got int
			for range 10 { // On a machine that is slow enough a request comes back in between.
				for status := 0; status != 429; {
					status = do(c.drain)
				}
				if got = do(c.then); got == c.want {
					return
				}
			}
			t.Errorf("got %d, want %d", got, c.want)
		})
	}
}
