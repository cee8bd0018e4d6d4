package edge

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/rpc"
)

// traceHeader is where a client says of which trace its request is (W3C Trace Context).
const traceHeader = "Traceparent"

// traced is an answer whose status the span of the request shall have: also what REST makes of it.
type traced struct {
	http.ResponseWriter
	status int
}

func (t *traced) WriteHeader(status int) {
	if t.status < http.StatusOK {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap leads to everything else that the connection can do.
func (t *traced) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// openTrace begins the trace of a request, refused or not. What it returns at the end ends the span.
func openTrace(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, func()) {
	verb := known(r.Method)
	ctx, span := rpc.OpenTrace(r.Context(), r.Header.Get(traceHeader), verb, trace.WithSpanKind(trace.SpanKindServer))
	r = r.WithContext(ctx)
	if !span.IsRecording() {
		return w, r, func() {}
	}
	span.SetAttributes(semconv.HTTPRequestMethodKey.String(verb), semconv.NetworkProtocolVersion(strconv.Itoa(r.ProtoMajor)))
	answer := &traced{ResponseWriter: w}
	return answer, r, func() {
		status := answer.status
		if status == 0 { // The body has begun without it.
			status = http.StatusOK
		}
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		}
		span.End()
	}
}

// known returns the verb of a request, and what the convention has for one that nobody knows.
func known(verb string) string {
	switch verb {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return verb
	}
	return "_OTHER"
}

// nameTrace names the span of a request after its route, which is known now.
func nameTrace(a *answer, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	if !span.IsRecording() {
		return
	}
	verb, route := r.Method, r.URL.Path
	if plain, ok := a.ResponseWriter.(*restAnswer); ok && plain.route != nil {
		verb, route = plain.request.Method, plain.route.method.Route.Path
	}
	span.SetName(known(verb) + " " + route)
	span.SetAttributes(semconv.HTTPRoute(route), semconv.HTTPRequestMethodKey.String(known(verb)))
}

// traceOf returns the traceparent that the module gets: of the span of the request, or if there are none, what the client says.
func (e *Edge) traceOf(r *http.Request) string {
	if e.trace {
		return rpc.FormatTrace(trace.SpanContextFromContext(r.Context()))
	}
	if foreign := r.Header.Get(traceHeader); foreign != "" {
		return rpc.FormatTrace(rpc.ForeignTrace(foreign))
	}
	return ""
}
