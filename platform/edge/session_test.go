package edge_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	shop = "https://shop.example"
	// jane is the cookie of somebody who is signed in.
	jane = "Cookie: __Host-cleave_parity=jane"
	// here is what the browser of a page of the shop says.
	here = "Sec-Fetch-Site: same-origin"
)

// newShop returns a door before a module that signs people in: at the browser with the cookie jane Jane is, and nobody at all others. It
// counts how often the module is asked.
func newShop(t *testing.T, far bool, change ...func(*edge.Config, *edge.Limits)) (*door, *atomic.Int64) {
	t.Helper()
	d := newDoorWith(t, far, func(c *edge.Config, l *edge.Limits) {
		c.Issuer, c.Authenticate = shop, func(r *http.Request) (rpc.Principal, error) {
			return rpc.Principal{Subject: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}, nil
		}
		c.Services = append(c.Services, parityv1cleave.AccessService)
		l.SessionFresh = time.Hour
		for _, f := range change {
			f(c, l)
		}
	})
	asked := new(atomic.Int64)
	d.session = func(ctx context.Context, r *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
		asked.Add(1)
		session := &webv1.Session{Issuer: shop}
		if sum := sha256.Sum256([]byte("jane")); string(r.GetHash()) == string(sum[:]) {
			session.Subject, session.Roles = "usr_jane", []string{"customer"}
		}
		if m := rpc.MetadataOf(ctx); m.Caller != rpc.EdgeCaller || m.CorrelationID != "theirs" && m.CorrelationID == "" || !m.Principal.Anonymous() {
			t.Errorf("the module is asked by %+v", m)
		}
		return &parityv1.ReadSessionResponse{Session: session}, nil
	}
	d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		return &parityv1.CallResponse{Payload: &parityv1.Payload{Text: rpc.MetadataOf(ctx).Principal.Subject}}, nil
	}
	d.browse = func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
		return &parityv1.BrowseResponse{}, nil
	}
	return d, asked
}

// TestSession holds that a page calls without a token in the name of who is signed in, wherever the module lives that knows it, and that the
// cookie goes no further than the edge.
func TestSession(t *testing.T) {
	t.Parallel()
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, asked := newShop(t, far)
			var seen rpc.Principal
			d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				seen = rpc.MetadataOf(ctx).Principal
				return &parityv1.CallResponse{}, nil
			}
			// AccessService has a scope for customers and guests, and a role for staff only with the same scope.
			want := rpc.Principal{Subject: "usr_jane", Roles: []string{"customer"}, Scopes: []string{"parity:write"}}
			for range 3 {
				if got := d.ask(t, "POST", "/v1/calls/x", "{}", jane, here); got.status != 201 || !reflect.DeepEqual(seen, want) {
					t.Errorf("REST: got %d %s, and the method was told %+v", got.status, got.body, seen)
				}
				if got := d.ask(t, "POST", callPath, "{}", jane, here); got.status != 200 || !reflect.DeepEqual(seen, want) {
					t.Errorf("Connect: got %d %s, and the method was told %+v", got.status, got.body, seen)
				}
			}
			if asked.Load() != 1 {
				t.Errorf("the module was asked %d times", asked.Load())
			}
			for name, c := range map[string]struct{ cookie, token, subject string }{
				"a token, which is what counts": {jane, "usr_token", "usr_token"},
				"no cookie":                     {"X-Other: 1", "", ""},
				"another cookie":                {"Cookie: other=jane; cleave_form=x", "", ""},
				"a cookie that any host sets":   {"Cookie: cleave_parity=jane", "", ""},
				"among others":                  {"Cookie: a=b; __Host-cleave_parity=jane; c=d", "", "usr_jane"},
			} {
				headers := []string{c.cookie, here}
				if c.token != "" {
					headers = append(headers, "Authorization: Bearer "+c.token)
				}
				if got := d.ask(t, "POST", callPath, "{}", headers...); got.status != 200 || seen.Subject != c.subject {
					t.Errorf("%s: got %d %s, and the method was told %q", name, got.status, got.body, seen.Subject)
				}
			}
			// The same question from outside.
			if got := d.ask(t, "POST", "/cleave.platform.parity.v1.BrowserService/ReadSession", "{}", jane, here); got.status != 404 {
				t.Errorf("somebody outside asks who is signed in, and gets %d %s", got.status, got.body)
			}
		})
	}
}

// TestSessionForgery holds which requests act in the name of who is signed in: those that a page of the shop has made, and no others, whatever
// a page elsewhere makes a browser send, and whether its origin may call or not.
func TestSessionForgery(t *testing.T) {
	t.Parallel()
	const (
		nobody  = ""
		refused = "refused"
		inName  = "usr_jane"
		other   = "https://other.shop.example"
	)
	type sent struct{ site, origin, mode string }
	senders := map[sent]struct{ read, write string }{
		{"same-origin", "", "cors"}:        {inName, inName},
		{"same-origin", shop, "cors"}:      {inName, inName},
		{"none", "", "navigate"}:           {inName, refused}, // Typed, or a bookmark.
		{"", shop, ""}:                     {inName, inName},  // An old browser.
		{"", "", ""}:                       {inName, refused}, // An older one, or none: nobody else sees what it reads.
		{"", "null", ""}:                   {refused, refused},
		{"", "http://shop.example", ""}:    {refused, refused}, // Who is on the way can be that.
		{"", "https://SHOP.example", ""}:   {refused, refused},
		{"", other, ""}:                    {refused, refused},
		{"same-site", "", "cors"}:          {refused, refused},
		{"same-site", other, "cors"}:       {refused, refused},
		{"same-site", shop, "cors"}:        {refused, refused},
		{"cross-site", other, "cors"}:      {refused, refused},
		{"cross-site", "", "no-cors"}:      {refused, refused},
		{"cross-site", "", "navigate"}:     {nobody, refused}, // A link; a form.
		{"cross-site", other, "navigate"}:  {nobody, refused},
		{"cross-site", "null", "navigate"}: {nobody, refused},
		{"same-site", "", "navigate"}:      {nobody, refused},
		{"unheard-of", "", "cors"}:         {refused, refused},
		{"same-origin, none", "", "cors"}:  {refused, refused},
		{"SAME-ORIGIN", "", "cors"}:        {refused, refused},
	}
	requests := []struct {
		verb, path, body, content string
		read                      bool
	}{
		{"GET", "/v1/calls/x:watch?count=1", "", "", true},
		{"POST", "/v1/calls/x", "{}", "application/json", false},
		{"POST", callPath, "{}", "application/json", false},
		{"POST", callPath, "", "application/proto", false},
		{"POST", callPath, "{}", "text/plain", false},
		{"POST", callPath, "a=b", "application/x-www-form-urlencoded", false},
		{"POST", callPath, "{}", "multipart/form-data; boundary=x", false},
		{"POST", "/v1/calls/x", "{}", "text/plain", false},
		{"POST", "/v1/calls/x", "a=b", "application/x-www-form-urlencoded", false},
	}
	simple := []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"}
	for name, origins := range map[string][]string{"no other origin may call": nil, "another may": {other}, "all may": {"*"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _ := newShop(t, false, func(c *edge.Config, _ *edge.Limits) { c.Origins = origins })
			var called bool
			var subject string
			d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				called, subject = true, rpc.MetadataOf(ctx).Principal.Subject
				return &parityv1.CallResponse{}, nil
			}
			d.watch = func(ctx context.Context, _ *parityv1.WatchRequest, _ *connect.ServerStream[parityv1.WatchResponse]) error {
				called, subject = true, rpc.MetadataOf(ctx).Principal.Subject
				return nil
			}
			for s, means := range senders {
				for _, r := range requests {
					want := means.write
					if r.read {
						want = means.read
					}
					headers := []string{jane, "Host: shop.example"}
					for name, value := range map[string]string{"Sec-Fetch-Site": s.site, "Origin": s.origin, "Sec-Fetch-Mode": s.mode, "Content-Type": r.content} {
						if value != "" {
							headers = append(headers, name+": "+value)
						}
					}
					called, subject = false, "?"
					got := d.ask(t, r.verb, r.path, r.body, headers...)
					what := fmt.Sprintf("%s %s of %s by %+v", r.verb, r.path, r.content, s)
					isSimple := slices.Contains(simple, r.content)
					switch {
					case called && (isSimple || want == refused || subject != want):
						t.Errorf("%s has called a method as %q, want %q", what, subject, want)
					case !called && !(want == refused && got.status == 403 || isSimple && got.status == 415):
						t.Errorf("%s got %d %s", what, got.status, got.body)
					}
					if got.header.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s is allowed credentials", what)
					}
				}
			}
		})
	}
}

// TestSessionEnds holds that a session which has ended is refused as soon as the guide says, that its page learns why, and that the browser can go on as nobody.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const fresh = 300 * time.Millisecond
			d, _ := newShop(t, far, func(_ *edge.Config, l *edge.Limits) { l.SessionFresh = fresh })
			if got := d.ask(t, "POST", "/v1/calls/x", "{}", jane, here); got.status != 201 {
				t.Fatalf("while it lives: %d %s", got.status, got.body)
			}
			d.session = func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
				return &parityv1.ReadSessionResponse{Session: &webv1.Session{Issuer: shop}}, nil
			}
			ended := time.Now()
			var got answer
			for got.status != 401 {
				sent := time.Now()
				if got = d.ask(t, "POST", "/v1/calls/x", "{}", jane, here); got.status != 401 && sent.Sub(ended) > fresh {
					t.Fatalf("%v after its end it is good", sent.Sub(ended))
				}
			}
			if told := got.failure(t); told.Reason != "SESSION_ENDED" || told.Code != "unauthenticated" {
				t.Errorf("the page is told %+v", told)
			}
			if got := got.header.Get("Set-Cookie"); got != "__Host-cleave_parity=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
				t.Errorf("the browser is told to keep %q", got)
			}
			if got := d.ask(t, "POST", callPath, "{}", jane, here, "Content-Type: application/grpc-web+proto"); got.header.Get("Grpc-Status") != "16" && got.status != 401 {
				t.Errorf("a client of gRPC-Web is told %d %v %s", got.status, got.header, got.body)
			}
		})
	}
}

// TestSessionNotKnown holds that nobody becomes nobody because who is signed in cannot be told; and what is the same for everybody is answered
// all the same.
func TestSessionNotKnown(t *testing.T) {
	t.Parallel()
	for name, session := range map[string]func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error){
		"fails": func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
			return nil, errors.New("the database is away")
		},
		"is slow": func(ctx context.Context, _ *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"panics": func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
			panic("a bug")
		},
		"is of others": func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
			return &parityv1.ReadSessionResponse{Session: &webv1.Session{Issuer: "https://login.example", Subject: "usr_jane"}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _ := newShop(t, true, func(_ *edge.Config, l *edge.Limits) { l.SessionWait = 300 * time.Millisecond })
			d.session = session
			got := d.ask(t, "POST", "/v1/calls/x", "{}", jane, here)
			if told := got.failure(t); got.status != 503 || told.Reason != "SESSION_NOT_KNOWN" || strings.Contains(got.body, "database") || got.header.Get("Set-Cookie") != "" {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
			if got := d.ask(t, "GET", "/v1/pages/x", "", jane, here); got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=60" {
				t.Errorf("what is the same for everybody: got %d %v %s", got.status, got.header, got.body)
			}
			if got := d.ask(t, "POST", "/v1/calls/x", "{}", here); got.status != 201 {
				t.Errorf("nobody: got %d %s", got.status, got.body)
			}
		})
	}
	t.Run("is away", func(t *testing.T) {
		t.Parallel()
		d, _ := newShop(t, true)
		d.module.Close()
		if got := d.ask(t, "POST", "/v1/calls/x", "{}", jane, here); got.status != 503 || got.failure(t).Reason != "SESSION_NOT_KNOWN" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("is cut off", func(t *testing.T) {
		t.Parallel()
		far := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("begun"))
			panic(http.ErrAbortHandler)
		}))
		d, _ := newShop(t, true, func(c *edge.Config, _ *edge.Limits) {
			handler := forward(t, far.URL)
			c.Route = func(string) http.Handler { return handler }
		})
		if got := d.ask(t, "POST", "/v1/calls/x", "{}", jane, here); got.status != 503 || got.failure(t).Reason != "SESSION_NOT_KNOWN" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// TestSessionAsksOnce holds that many calls of a browser at once ask one question, whoever of them goes away.
func TestSessionAsksOnce(t *testing.T) {
	t.Parallel()
	d, asked := newShop(t, true)
	answer, begun, reply := d.session, make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.session = func(ctx context.Context, r *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
		once.Do(func() { close(begun) })
		<-reply
		return answer(ctx, r)
	}
	ctx, leave := context.WithCancel(limited(t))
	gone := make(chan error)
	go func() { // The first, who does not wait.
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, d.url+callPath, strings.NewReader("{}"))
		r.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {strings.TrimPrefix(jane, "Cookie: ")}, "Sec-Fetch-Site": {"same-origin"}}
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			response.Body.Close()
		}
		gone <- err
	}()
	<-begun
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone got %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := d.ask(t, "POST", callPath, "{}", jane, here); got.status != 200 || !strings.Contains(got.body, "usr_jane") {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	for d.Open() < 20 { // They wait at the door.
		time.Sleep(time.Millisecond)
	}
	close(reply)
	all.Wait()
	if asked.Load() != 1 {
		t.Errorf("the module was asked %d times", asked.Load())
	}
}

// TestSessionCookies holds which cookies are not asked about at all, and that whoever tries some has a rate.
func TestSessionCookies(t *testing.T) {
	t.Parallel()
	d, asked := newShop(t, false)
	for name, cookie := range map[string]string{
		"two of them": "Cookie: __Host-cleave_parity=jane; __Host-cleave_parity=jane",
		"a long one":  "Cookie: __Host-cleave_parity=" + strings.Repeat("x", 257),
	} {
		if got := d.ask(t, "POST", "/v1/calls/x", "{}", cookie, here); got.status != 401 || got.failure(t).Reason != "SESSION_ENDED" || got.header.Get("Set-Cookie") == "" || asked.Load() != 0 {
			t.Errorf("%s: got %d %s, asked %d times", name, got.status, got.body, asked.Load())
		}
	}
	limited, asked := newShop(t, false, func(c *edge.Config, _ *edge.Limits) { c.AnonymousRate = 5 })
	status := 0
	for i := 0; status != 429; i++ {
		if i > 1000 {
			t.Fatal("somebody tries cookies for ever")
		}
		status = limited.ask(t, "POST", "/v1/calls/x", "{}", fmt.Sprintf("Cookie: __Host-cleave_parity=guess%d", i), here).status
	}
	if asked.Load() > 100 {
		t.Errorf("the module was asked about %d guesses", asked.Load())
	}
}

// TestSessionsAreBounded holds that who makes cookies up fills no memory, and does not shut out who is signed in.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	d, asked := newShop(t, false)
	send := func(cookie string) int {
		r, err := http.NewRequest(http.MethodPost, callPath, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {"__Host-cleave_parity=" + cookie}, "Sec-Fetch-Site": {"same-origin"}}
		w := &status{header: http.Header{}}
		d.ServeHTTP(w, r)
		return w.code
	}
	for i := range edge.MaxSessions + 100 {
		if got := send(fmt.Sprint(i)); got != 401 {
			t.Fatalf("a cookie that was made up got %d", got)
		}
	}
	if got := d.Sessions(); got > edge.MaxSessions {
		t.Errorf("%d browsers are known", got)
	}
	before := asked.Load()
	if got := send("jane"); got != 200 || asked.Load() != before+1 {
		t.Errorf("Jane got %d", got)
	}
}

// status is an answer of which only the status matters.
type status struct {
	header http.Header
	code   int
}

func (s *status) Header() http.Header         { return s.header }
func (s *status) Write(p []byte) (int, error) { s.code = max(s.code, 200); return len(p), nil }
func (s *status) WriteHeader(code int)        { s.code = code }

// TestSessionsTwice holds that a door whose contracts tell twice who is signed in does not open.
func TestSessionsTwice(t *testing.T) {
	t.Parallel()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "ReadSession tells who is signed in, and so does") {
			t.Errorf("got %s", said)
		}
	}()
	edge.New(edge.Config{Issuer: shop, Services: []*rpc.Service{parityv1cleave.BrowserService, parityv1cleave.BrowserService}, Route: func(string) http.Handler { return http.NotFoundHandler() }})
}
