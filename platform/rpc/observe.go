package rpc

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
)

// CallBuckets are those of every histogram of calls, in seconds.
var CallBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newDurations() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rpc_server_call_duration_seconds", Buckets: CallBuckets,
		Help: "How long calls took that this process served, by service, method and what became of them: ok, or the code of the error.",
	}, []string{"rpc_service", "rpc_method", "rpc_response_status_code"})
}

// Metrics returns the metrics of the calls that the server serves: how many there were, how they ended and how long they took.
func (s *Server) Metrics() prometheus.Collector { return s.durations }

// observe measures every call of a method and, where its trace is recorded, makes a span of it. It is outside of the boundary, so it sees
// what the caller sees.
func (s *Server) observe(service *Service, method *Method, next Next) Next {
	ok := s.durations.WithLabelValues(service.Name, method.Name, "ok")
	kind := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(callAttributes(service, method)...)}
	return func(ctx context.Context, request proto.Message) (proto.Message, error) {
		c, span := callOf(ctx), noSpan
		traced := Sampled(c.metadata.Trace)
		began := time.Now()
		if traced {
			ctx, span = tracer.Start(withParent(ctx, c.metadata.Trace), spanName(method), kind...)
			span.SetAttributes(attrCaller.String(c.metadata.Caller), attrCorrelationID.String(c.metadata.CorrelationID))
			// Nobody has seen the metadata yet.
			c.metadata.Trace = FormatTrace(span.SpanContext())
		}
		response, err := next(ctx, request)
		took := time.Since(began).Seconds()
		if err == nil {
			ok.Observe(took)
		} else {
			s.durations.WithLabelValues(service.Name, method.Name, connect.CodeOf(err).String()).Observe(took)
		}
		if traced {
			endCall(span, err, calleesFault(err))
		}
		return response, err
	}
}

// startCall begins the span of a call that goes over the network, if its trace is recorded, and has the metadata carry it.
func (i *callerInterceptor) startCall(ctx context.Context, method *Method, metadata *Metadata) (context.Context, trace.Span) {
	if !Sampled(metadata.Trace) {
		return ctx, noSpan
	}
	ctx, span := tracer.Start(withParent(ctx, metadata.Trace), spanName(method), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(callAttributes(i.service, method)...), trace.WithAttributes(attrCaller.String(metadata.Caller)))
	metadata.Trace = FormatTrace(span.SpanContext())
	return ctx, span
}

// endCall ends the span of a call. By convention an error is not always one of the span, too: the callee has not failed who refuses.
func endCall(span trace.Span, err error, failed bool) {
	if err != nil {
		span.SetAttributes(semconv.RPCResponseStatusCode(connect.CodeOf(err).String()))
	}
	if !failed {
		err = nil
	}
	EndSpan(span, err)
}

// calleesFault reports whether an error is the fault of the method and not of who calls it.
func calleesFault(err error) bool {
	if err == nil {
		return false
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnknown, connect.CodeDeadlineExceeded, connect.CodeUnimplemented, connect.CodeInternal, connect.CodeUnavailable, connect.CodeDataLoss:
		return true
	}
	return false
}

// spanName is the full name of a method, without the slash that makes a path of it.
func spanName(method *Method) string { return strings.TrimPrefix(method.Procedure, "/") }

func callAttributes(service *Service, method *Method) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.RPCSystemNameConnectrpc, semconv.RPCMethod(spanName(method)), attrModule.String(service.Module)}
}
