// Package edge is the public door: the one handler that people and apps reach. It serves the public methods of the contracts that it is
// given over Connect, gRPC and gRPC-Web, and hands each request to where the module lives: a handler of this process, or a proxy to
// another. It knows no business word.
//
// It decides who the caller is and what a request may cost. It does not decide what the caller may do: that is the callee's chain.
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/reference"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Config says what the edge serves.
type Config struct {
	// Services are the contracts; only their public methods are served.
	Services []*rpc.Service
	// OpenAPI is the document that describes them, in JSON; nil if there is none.
	OpenAPI []byte
	// Route returns the handler that leads to a module: an [rpc.Server], or what [Forward] returns. It is asked once per module.
	Route func(module string) http.Handler
	// Log takes what went wrong in the edge itself. Nil means nobody reads it.
	Log *slog.Logger
	// Draining is done when the process is about to stop: connections are closed after their next answer. Stopping is done when it stops:
	// streams end then. Nil means never.
	Draining, Stopping context.Context
	// Authenticate says who calls: nobody, if the request does not say. With an error the request is refused; an error that is not a
	// [connect.Error] is the edge's own failure. Nil takes every caller for nobody.
	Authenticate func(*http.Request) (rpc.Principal, error)
	// Issuer is the URL of who signs people in, if that is a module of the house: then the shop's own pages need no token. Empty if not.
	Issuer string
	// Rate is how many requests a second each subject may make, and AnonymousRate each address without one; twice as many at once. Zero
	// means any number.
	Rate, AnonymousRate int
	// Busy is from how many requests at once on those of low priority are refused, and from twice as many on all but those of high
	// priority. Zero means 64 for each processor.
	Busy int
	// Proxies are believed in X-Forwarded-For.
	Proxies []netip.Prefix
	// Trace says that there is somewhere to send spans, so that requests are to have some.
	Trace bool
	// Origins are those of web pages that may call from elsewhere, as [ParseOrigins] returns them.
	Origins []string
}

// Edge is the handler of the public port.
type Edge struct {
	methods            map[string]route // by procedure
	rest               *rest
	pages              pages
	openAPI            []byte
	plain              map[string]http.HandlerFunc // by path
	index              string
	log                *slog.Logger
	trace              bool
	draining, stopping context.Context
	authenticate       func(*http.Request) (rpc.Principal, error)
	sessions           *sessions // Nil where a cookie is nothing.
	proxies            proxies
	origins            *origins

	limits                           limits
	signedIn, anonymous, wrongTokens *rate
	calls, streams                   *slots
	requests, working, held          atomic.Int64 // Of requests: all, and those that a module works at, but for streams.
	refused                          refusals
}

type route struct {
	handler http.Handler
	stream  bool
	room    int           // See [room]; not for a stream.
	maxAge  time.Duration // Of its answers; 0 if they are not kept.
	page    bool          // It serves pages, and nothing else.
}

// New returns the handler of the public port. It panics if the contracts have two things at one path of which one is a page.
func New(c Config) *Edge { return newEdge(c, standard()) }

func newEdge(c Config, l limits) *Edge {
	e := &Edge{
		methods: map[string]route{}, rest: newRest(c.Services), pages: newPages(c.Services), openAPI: c.OpenAPI, log: c.Log, trace: c.Trace, draining: c.Draining, stopping: c.Stopping, authenticate: c.Authenticate,
		proxies: c.Proxies, origins: newOrigins(c.Origins),
		limits: l, signedIn: newRate(c.Rate), anonymous: newRate(c.AnonymousRate), wrongTokens: newRate(c.AnonymousRate),
		calls: newSlots("requests", l.Requests, l.ClientCalls), streams: newSlots("streams", l.Streams, l.ClientStreams),
		refused: newRefusals(),
	}
	e.pages.alone(e.rest)
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.sessions = newSessions(c, l, e.log)
	if e.draining == nil {
		e.draining = context.Background()
	}
	if e.stopping == nil {
		e.stopping = context.Background()
	}
	if e.authenticate == nil {
		e.authenticate = func(*http.Request) (rpc.Principal, error) { return rpc.Principal{}, nil }
	}
	modules := map[string]http.Handler{}
	var lines []string
	for _, service := range c.Services {
		for _, method := range service.Methods {
			if !method.Public {
				continue
			}
			if modules[service.Module] == nil {
				modules[service.Module] = c.Route(service.Module)
			}
			e.methods[method.Procedure] = route{modules[service.Module], method.ServerStream, room(method.Priority, busyFrom(c.Busy), l.Requests), method.MaxAge, method.Pages != nil}
			if method.Pages != nil {
				continue
			}
			lines = append(lines, "  POST "+method.Procedure)
		}
	}
	sort.Strings(lines)
	e.plain = e.plainRoutes()
	if e.openAPI != nil {
		lines = append(lines, "\nHow to call them: GET "+reference.Path+" to read, GET "+openAPIPath+" for programs.")
	}
	e.index = "Cleave. Public methods, over Connect (JSON or protobuf), gRPC and gRPC-Web:\n\n" + strings.Join(lines, "\n") + "\n"
	return e
}

// ServeHTTP serves one request.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.trace {
		var end func()
		w, r, end = openTrace(w, r)
		defer end()
	}
	page, visits := e.pages.find(r)
	foreign, bare := e.foreign(r, page, visits) // Of the request as it came: REST makes a POST of everything.
	switch isBare, below := e.rest.below(r); {
	case visits:
		page.serve(w, r, bare, e.door(foreign))
	case below:
		e.rest.serve(w, r, isBare, e.door(foreign))
	default:
		e.receive(w, r, foreign)
	}
}

// door returns [Edge.receive] for those who make one request of another first.
func (e *Edge) door(foreign *refusal) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { e.receive(w, r, foreign) }
}

// foreign refuses what comes from elsewhere and may not, and reports whether it may only without its cookies.
func (e *Edge) foreign(r *http.Request, p page, visits bool) (refused *refusal, bare bool) {
	refused = e.origins.check(r, visits)
	if refused != nil && visits && p.FromAnywhere && r.Method == http.MethodPost {
		return nil, true
	}
	return refused, false
}

// receive serves a request that is one of Connect, gRPC or gRPC-Web, or has become one, and refuses a foreign one.
func (e *Edge) receive(w http.ResponseWriter, r *http.Request, foreign *refusal) {
	requestID, correlationID := id.New("req"), r.Header.Get(CorrelationHeader)
	if !rpc.ValidID(correlationID) { // Then the request is all there is to join, and its number will do.
		correlationID = "cor" + strings.TrimPrefix(requestID, "req")
	}
	a := &answer{ResponseWriter: w, http2: r.ProtoMajor == 2}
	a.Header().Set(CorrelationHeader, correlationID)
	secure(a.Header(), r)
	if e.draining.Err() != nil {
		a.Header().Set("Connection", "close") // Over HTTP/2 this lets what runs on the connection end, and nothing new begin.
	}
	defer a.caught(e.log, r)
	if err := e.serve(a, r, requestID, correlationID, foreign); err != nil {
		e.refused.count(w, err)
		refuse(a, r, err)
	}
}

// serve takes a request from the door to its module, or returns why it goes no further.
func (e *Edge) serve(a *answer, r *http.Request, requestID, correlationID string, foreign *refusal) error {
	defer e.requests.Add(-1)
	if e.requests.Add(1) > int64(e.limits.Requests) {
		return busy()
	}
	if refused := e.checkHeader(r.Header); refused != nil {
		return refused
	}
	if e.origins.answer(a, r) {
		return nil
	}
	if foreign != nil {
		return foreign
	}
	route, ok := e.find(r)
	// The module sees these metadata, and no header that a client could have made them of.
	told := rpc.Metadata{Caller: rpc.EdgeCaller, RequestID: requestID, CorrelationID: correlationID, Trace: e.traceOf(r)}
	client, err := e.admit(a, r, &told, ok && !route.page && route.maxAge == 0)
	if err != nil {
		return err
	}
	if !ok {
		return e.other(a, r)
	}
	nameTrace(a, r)
	slots, timeout := e.calls, e.limits.Call
	if route.stream {
		slots, timeout = e.streams, e.limits.Stream
	}
	if refused := slots.take(client); refused != nil {
		return refused
	}
	defer slots.release(client)
	body, refused := e.hold(r)
	if refused != nil {
		return refused
	}
	defer e.letGo(body)
	unfolded, refused := e.unfolds(r.Header, body)
	if refused != nil {
		return refused
	}
	defer e.fold(unfolded)
	switch partly := r.Body.(type) {
	case *restBody:
		body, err = partly.complete(body)
	case *pageBody:
		body, err = partly.complete(body, e.network(r))
	}
	if err != nil {
		return err
	}

	if !route.stream {
		defer e.working.Add(-1)
		// Now that the body is here. Somebody who sends one slowly gives the shop nothing to do, and could shut others out.
		if e.working.Add(1) > int64(route.room) {
			return shed()
		}
	}

	ctx, cancel := context.WithTimeout(rpc.WithMetadata(r.Context(), told), shorter(timeout, r.Header))
	defer cancel()
	if route.stream {
		defer context.AfterFunc(e.stopping, cancel)()
		defer a.stream(e.limits.Item)()
	}
	inner := r.WithContext(ctx)
	inner.Header = passOn(r.Header)
	give(inner, body)
	if route.maxAge > 0 && got(a, r) {
		whole := &kept{ResponseWriter: a, request: r, maxAge: route.maxAge}
		route.handler.ServeHTTP(whole, inner)
		whole.finish()
		return nil
	}
	route.handler.ServeHTTP(a, inner)
	return nil
}

// admit finds out who calls, and returns whose requests are counted, unless there are too many of them. A cookie counts where it may matter who
// calls, and there is no Authorization header. Wrong tokens and cookies are counted where they come from, and where too many come from none is
// looked at.
func (e *Edge) admit(a *answer, r *http.Request, told *rpc.Metadata, matters bool) (client, error) {
	now := time.Now()
	from := client{network: e.network(r)}
	shown, cookie := len(r.Header["Authorization"]) > 0, ""
	var err error
	if !shown && matters && e.sessions != nil && r.Header["Cookie"] != nil {
		if cookie, err = e.sessions.shown(a, r); err != nil {
			return from, err
		}
	}
	if e.wrongTokens != nil && (shown || cookie != "") {
		if _, wait := e.wrongTokens.look(from, now, false); wait > 0 {
			return from, tooMany(wait)
		}
	}
	if cookie != "" {
		told.Principal, err = e.sessions.find(rpc.WithMetadata(r.Context(), *told), cookie)
		if rpc.Reason(err) == reasonEnded {
			e.sessions.remove(a)
		}
	} else {
		told.Principal, err = e.authenticate(r)
	}
	if err != nil {
		if e.wrongTokens != nil && connect.CodeOf(err) == connect.CodeUnauthenticated {
			e.wrongTokens.take(from, now)
		}
		return from, err
	}
	caller, rate := from, e.anonymous
	if !told.Principal.Anonymous() && !rpc.IsGuest(told.Principal.Subject) { // Anybody can be as many guests as he likes.
		caller, rate = client{subject: told.Principal.Subject}, e.signedIn
	}
	if rate == nil {
		return caller, nil
	}
	left, wait := rate.take(caller, now)
	rate.tell(a.Header(), left, wait)
	if wait > 0 {
		return caller, tooMany(wait)
	}
	return caller, nil
}

// find returns where a method lives. Every method has one path, spelt in one way. One that serves pages is reached by these alone.
func (e *Edge) find(r *http.Request) (route, bool) {
	found, ok := e.methods[r.URL.Path]
	if _, page := r.Body.(*pageBody); page != found.page {
		return route{}, false
	}
	return found, ok && r.URL.RawPath == "" && (r.Method == http.MethodPost || r.Method == http.MethodGet)
}

// other answers what is no public method. Whichever protocol a client speaks, it sees the code unimplemented.
func (e *Edge) other(w http.ResponseWriter, r *http.Request) error {
	if serve := e.plainRoute(r); serve != nil {
		serve(w, r)
		return nil
	}
	// Whoever reads the status, as curl and scanners do, understands 404 better than Connect's 501.
	return &refusal{code: connect.CodeUnimplemented, status: http.StatusNotFound, why: "there is no such public method; GET / lists them"}
}
