package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// maxSessions bounds the browsers that are remembered, twice: see [sessions].
	maxSessions = 1 << 13
	// maxCookie is how long a cookie can be that is looked at, in bytes.
	maxCookie = 256
)

// The reasons of refusals, for the page that called.
const (
	reasonEnded    = "SESSION_ENDED"
	reasonNotKnown = "SESSION_NOT_KNOWN" // Not at present.
)

// sessions take who is signed in at a browser for the caller, by a cookie, so that no page holds a token. Whom a cookie is of says the
// module that signs people in: it is asked over the seam by the hash of the cookie, and what it says is believed for a few seconds. So a
// session that has ended is refused that soon, and the module is asked that often for each browser.
//
// What was answered is kept in two generations, each as long as it is believed. When there is no more room, what comes new is asked for
// each time until the generation ends.
type sessions struct {
	method  *rpc.Method
	handler http.Handler // Leads to the module.
	issuer  string       // Of whom it signs in; its origin is that of the shop's own pages.
	cookie  string
	secure  bool
	public  []*rpc.Method
	log     *slog.Logger
	fresh   time.Duration // For how long an answer is believed.
	wait    time.Duration // For how long one is waited for.

	asking     singleflight.Group
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]signedIn
	born       time.Time // Of young.
}

// signedIn is who is signed in at a browser: nobody, if the session has ended.
type signedIn struct {
	principal rpc.Principal // Its slices are shared and never changed.
	until     time.Time
}

// newSessions returns the sessions of a house whose people the issuer signs in, or nil if no contract tells of any, or there is no issuer.
// It panics if two do.
func newSessions(c Config, l limits, log *slog.Logger) *sessions {
	var s *sessions
	for _, service := range c.Services {
		for _, method := range service.Methods {
			switch {
			case method.SessionCookie == "" || c.Issuer == "":
			case s != nil:
				panic(fmt.Sprintf("edge: %s tells who is signed in, and so does %s", method.Procedure, s.method.Procedure))
			default:
				s = &sessions{method: method, handler: c.Route(service.Module), log: log}
			}
		}
	}
	if s == nil {
		return nil
	}
	for _, service := range c.Services {
		s.public = append(s.public, slices.DeleteFunc(slices.Clone(service.Methods), func(m *rpc.Method) bool { return !m.Public })...)
	}
	s.issuer = strings.TrimSuffix(c.Issuer, "/")
	s.cookie, s.secure = s.method.SessionCookie, strings.HasPrefix(s.issuer, "https://")
	if s.secure { // Then nothing but this host can have set it.
		s.cookie = "__Host-" + s.cookie
	}
	s.fresh, s.wait = l.SessionFresh, l.SessionWait
	s.young, s.old = map[[sha256.Size]byte]signedIn{}, map[[sha256.Size]byte]signedIn{}
	return s
}

// shown returns the cookie by which somebody at a browser calls; "" if there is none, or it does not count. It counts for what the shop's
// own pages send, and what their visitor gets by himself; a link from elsewhere is followed as by nobody, and everything else from
// elsewhere is refused, also where its origin may call: it may as itself.
func (s *sessions) shown(a *answer, r *http.Request) (string, error) {
	cookies := r.CookiesNamed(s.cookie)
	if len(cookies) == 0 {
		return "", nil
	}
	read := got(a, r)
	if !s.own(r.Header, read) {
		if read && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			return "", nil
		}
		return "", &refusal{code: connect.CodePermissionDenied, status: http.StatusForbidden,
			why: "only pages of " + s.issuer + " call in the name of who is signed in there, and their browser says where they are: call without cookies"}
	}
	if len(cookies) > 1 || len(cookies[0].Value) > maxCookie {
		s.remove(a)
		return "", ended()
	}
	return cookies[0].Value, nil
}

// own reports whether a page of the shop's own origin has sent a request, by the word of the browser. To read, it is enough that none says
// otherwise: nobody else sees the answer.
func (s *sessions) own(header http.Header, read bool) bool {
	if site := header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || read && site == "none"
	}
	origin, said := header["Origin"]
	return said && len(origin) == 1 && origin[0] == s.issuer || !said && read
}

// remove takes the cookie from the browser, so that it can go on as nobody.
func (s *sessions) remove(a *answer) {
	http.SetCookie(a, &http.Cookie{Name: s.cookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode})
}

// ended refuses the cookie of a session that is none any more. The call is not carried out in nobody's name: its page believes that somebody
// is signed in.
func ended() error {
	return rpc.Errorf(connect.CodeUnauthenticated, reasonEnded, "nobody is signed in at this browser any more: sign in, or call again as nobody")
}

// find returns whom a cookie is of. It waits no longer than the context, nor than there is hope.
func (s *sessions) find(ctx context.Context, cookie string) (rpc.Principal, error) {
	sum := sha256.Sum256([]byte(cookie))
	now := time.Now()
	found, known := s.get(sum, now)
	if !known {
		select {
		case answer := <-s.asking.DoChan(string(sum[:]), func() (any, error) {
			principal, err := s.ask(context.WithoutCancel(ctx), sum[:]) // Others wait for it, too.
			if err != nil {
				s.log.WarnContext(ctx, "nobody can tell who is signed in at a browser", "error", err)
				return nil, err
			}
			found := signedIn{principal, now.Add(s.fresh)} // From before it was asked.
			s.put(sum, found)
			return found, nil
		}):
			if answer.Err != nil {
				return rpc.Principal{}, rpc.Errorf(connect.CodeUnavailable, reasonNotKnown, "who is signed in at this browser cannot be told at present: call again")
			}
			found, _ = answer.Val.(signedIn)
		case <-ctx.Done(): // The client has gone.
			return rpc.Principal{}, connect.NewError(connect.CodeCanceled, ctx.Err())
		}
	}
	if found.principal.Anonymous() {
		return rpc.Principal{}, ended()
	}
	return found.principal, nil
}

// get returns what is known of a cookie, by its hash.
func (s *sessions) get(sum [sha256.Size]byte, now time.Time) (signedIn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.young[sum]
	if !known {
		found, known = s.old[sum]
	}
	return found, known && now.Before(found.until)
}

// put remembers what was answered.
func (s *sessions) put(sum [sha256.Size]byte, found signedIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.born) >= s.fresh {
		s.young, s.old = map[[sha256.Size]byte]signedIn{}, s.young
		s.born = now
	}
	if len(s.young) < maxSessions {
		s.young[sum] = found
	}
}

// ask asks the module. Its answer goes the way of all requests, near and far.
func (s *sessions) ask(ctx context.Context, sum []byte) (principal rpc.Principal, err error) {
	defer func() {
		if recover() != nil { // A proxy says so that an answer was cut off. Here it would take the process along.
			err = errors.New("the answer was cut off")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	message := s.method.NewRequest().ProtoReflect()
	message.Set(only(message), protoreflect.ValueOfBytes(sum))
	body, err := proto.Marshal(message.Interface())
	if err != nil {
		return principal, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.method.Procedure, nil)
	if err != nil {
		return principal, err
	}
	r.Header = http.Header{contentType: {"application/proto"}, "Connect-Protocol-Version": {"1"}}
	give(r, body)
	answer := &heard{header: http.Header{}}
	s.handler.ServeHTTP(answer, r)
	if answer.status > http.StatusOK {
		return principal, fmt.Errorf("the answer has the status %d", answer.status)
	}
	response := s.method.NewResponse()
	if err := proto.Unmarshal(answer.body.Bytes(), response); err != nil {
		return principal, err
	}
	session, _ := response.ProtoReflect().Get(only(response.ProtoReflect())).Message().Interface().(*webv1.Session)
	if session.GetSubject() == "" {
		return principal, nil
	}
	if session.GetIssuer() != s.issuer {
		return principal, fmt.Errorf("the session is of the issuer %s, and the tokens that are accepted are of %s", session.GetIssuer(), s.issuer)
	}
	return rpc.Principal{Subject: session.GetSubject(), Roles: session.GetRoles(), Scopes: s.scopes(session.GetRoles())}, nil
}

// scopes returns those of what somebody with the roles may call: the shop's own pages need no leave of his to do what he can.
func (s *sessions) scopes(roles []string) []string {
	var scopes []string
	for _, method := range s.public {
		a := method.Access
		may := a.Who != rpc.InRole || slices.ContainsFunc(a.Roles, func(role string) bool { return slices.Contains(roles, role) })
		if may && a.Scope != "" && !slices.Contains(scopes, a.Scope) {
			scopes = append(scopes, a.Scope)
		}
	}
	return scopes
}

// heard is the answer to a question of the edge's own.
type heard struct {
	header http.Header
	status int // 0 before it begins.
	body   bytes.Buffer
}

func (h *heard) Header() http.Header { return h.header }

func (h *heard) WriteHeader(status int) {
	if h.status == 0 && status >= http.StatusOK {
		h.status = status
	}
}

func (h *heard) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if h.body.Len()+len(p) > maxForm {
		return 0, errTooLong
	}
	return h.body.Write(p)
}

// FlushError does nothing: nobody waits for a part.
func (h *heard) FlushError() error { return nil }
