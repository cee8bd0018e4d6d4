// Package edge is the public door: the one handler that people and apps reach. It serves the public methods of the contracts that it is
// given over Connect, gRPC and gRPC-Web, and hands each request to where the module lives: a handler of this process, or a proxy to
// another. It knows no business word.
//
// It decides who the caller is and what a request may cost. It does not decide what the caller may do: that is the callee's chain.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sort"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The longest that a request may take, whatever its client asks for.
const (
	unaryTimeout  = 30 * time.Second
	streamTimeout = 15 * time.Minute
)

// CorrelationHeader carries the correlation id: a client may choose one, and every answer has it.
const CorrelationHeader = "X-Correlation-Id"

// Config says what the edge serves.
type Config struct {
	// Services are the contracts; only their public methods are served.
	Services []*rpc.Service
	// OpenAPI is the document that describes them, in JSON; nil if there is none.
	OpenAPI []byte
	// Route returns the handler that leads to a module. It is asked once per module.
	Route func(module string) http.Handler
	// Stopping is done when the process stops: streams end then. Nil means never.
	Stopping context.Context
	// Authenticate says who calls: nobody, if the request does not say. With an error the request is refused; an error that is not a
	// [connect.Error] is the edge's own failure. Nil takes every caller for nobody.
	Authenticate func(*http.Request) (rpc.Principal, error)
}

// Edge is the handler of the public port.
type Edge struct {
	methods      map[string]route // by procedure
	rest         *rest
	openAPI      []byte
	index        string
	authenticate func(*http.Request) (rpc.Principal, error)
	stopping     context.Context
}

type route struct {
	handler http.Handler
	timeout time.Duration
	stream  bool
}

// New returns the handler of the public port.
func New(c Config) *Edge {
	e := &Edge{methods: map[string]route{}, rest: newRest(c.Services), openAPI: c.OpenAPI, stopping: c.Stopping, authenticate: c.Authenticate}
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
			timeout := unaryTimeout
			if method.ServerStream {
				timeout = streamTimeout
			}
			e.methods[method.Procedure] = route{modules[service.Module], timeout, method.ServerStream}
			lines = append(lines, "  POST "+method.Procedure)
		}
	}
	sort.Strings(lines)
	e.index = "Cleave. Public methods, over Connect (JSON or protobuf), gRPC and gRPC-Web:\n\n" + strings.Join(lines, "\n") + "\n"
	return e
}

// ServeHTTP serves one request.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.rest.serve(w, r, e.serve) {
		e.serve(w, r)
	}
}

func (e *Edge) serve(w http.ResponseWriter, r *http.Request) {
	metadata := rpc.Metadata{
		Caller: rpc.EdgeCaller, RequestID: id.New("req"), CorrelationID: r.Header.Get(CorrelationHeader), Trace: r.Header.Get("Traceparent"),
	}
	if !rpc.ValidID(metadata.CorrelationID) {
		metadata.CorrelationID = id.New("cor")
	}
	w.Header().Set(CorrelationHeader, metadata.CorrelationID)
	route, ok := e.methods[r.URL.Path]
	if !ok {
		e.other(w, r)
		return
	}
	var err error
	if metadata.Principal, err = e.authenticate(r); err != nil {
		refuse(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), route.timeout)
	defer cancel()
	if route.stream {
		defer context.AfterFunc(e.stopping, cancel)()
	}
	inner := r.Clone(ctx)
	// This sets every header that modules believe, and removes those that the client sent.
	if err := metadata.Encode(inner.Header); err != nil {
		writeError(w, r, connect.NewError(connect.CodeInternal, errors.New("internal error")))
		return
	}
	// Modules have the principal; a token that they do not see is one that they cannot use, log or lose.
	inner.Header.Del("Authorization")
	route.handler.ServeHTTP(&challenger{ResponseWriter: w}, inner)
}

// other answers what is no public method. Whichever protocol a client speaks, it sees the code unimplemented.
func (e *Edge) other(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, e.index)
		return
	}
	if r.URL.Path == openAPIPath && e.openAPI != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		e.serveDocument(w, r)
		return
	}
	err := connect.NewError(connect.CodeUnimplemented, errors.New("there is no such public method; GET / lists them"))
	if streams(r.Header) {
		writeError(w, r, err)
		return
	}
	// Whoever reads the status, as curl and scanners do, understands 404 better than Connect's 501.
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, "{\"code\":%q,\"message\":%q}\n", err.Code(), err.Message())
}

// Forward returns a handler that leads to the module at a URL.
func Forward(module string, target *url.URL, transport http.RoundTripper, log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport:     transport,
		FlushInterval: -1, // Items of a stream go on at once.
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ModifyResponse: func(r *http.Response) error {
			endWell(r, module, log)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			switch {
			case errors.Is(err, errWrongBody):
				writeError(w, r, connect.NewError(connect.CodeInvalidArgument, errWrongBody))
			case errors.Is(err, context.DeadlineExceeded):
				writeError(w, r, connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded))
			case errors.Is(err, context.Canceled):
				writeError(w, r, connect.NewError(connect.CodeCanceled, context.Canceled))
			default:
				log.Warn("module did not answer", "module", module, "error", err)
				writeError(w, r, connect.NewError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", module)))
			}
		},
	}
}

// writeError answers in the protocol that the client speaks.
func writeError(w http.ResponseWriter, r *http.Request, err *connect.Error) {
	if writer := connect.NewErrorWriter(); writer.IsSupported(r) {
		_ = writer.Write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintf(w, "{\"code\":%q,\"message\":%q}\n", err.Code(), err.Message())
}
