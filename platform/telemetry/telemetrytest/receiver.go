// Package telemetrytest receives what processes send over OTLP, as a collector does.
package telemetrytest

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds a request, in bytes.
const maxBody = 16 << 20

// Receiver keeps all that it is sent. It may be used concurrently.
type Receiver struct {
	server *httptest.Server

	mu      sync.Mutex
	header  http.Header   // of the last request
	changed chan struct{} // Closed when something comes.
	spans   []Span
	metrics map[string]bool
	logs    []Line
}

// Span is a span, and the process that sent it.
type Span struct {
	*tracev1.Span
	Service  string
	Instance string
}

// Trace returns the id of its trace, in hexadecimal digits.
func (s Span) Trace() string { return fmt.Sprintf("%x", s.GetTraceId()) }

// Text returns an attribute as text, "" if there is none.
func (s Span) Text(name string) string { return text(s.GetAttributes(), name) }

// Line is a line of a log.
type Line struct {
	*logsv1.LogRecord
	Service string
}

// Trace returns the id of the trace that it belongs to, in hexadecimal digits.
func (l Line) Trace() string { return fmt.Sprintf("%x", l.GetTraceId()) }

// Text returns an attribute as text, "" if there is none.
func (l Line) Text(name string) string { return text(l.GetAttributes(), name) }

func text(attributes []*commonv1.KeyValue, name string) string {
	for _, a := range attributes {
		if a.GetKey() != name {
			continue
		}
		switch value := a.GetValue().GetValue().(type) {
		case *commonv1.AnyValue_StringValue:
			return value.StringValue
		case *commonv1.AnyValue_IntValue:
			return fmt.Sprint(value.IntValue)
		case *commonv1.AnyValue_BoolValue:
			return fmt.Sprint(value.BoolValue)
		}
	}
	return ""
}

// Start returns a receiver at a port of its own. It is to be closed.
func Start() *Receiver {
	r := &Receiver{changed: make(chan struct{}), metrics: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.takeTraces)
	mux.HandleFunc("POST /v1/metrics", r.takeMetrics)
	mux.HandleFunc("POST /v1/logs", r.takeLogs)
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.header = request.Header
		r.mu.Unlock()
		mux.ServeHTTP(w, request)
	}))
	return r
}

// URL is for OTEL_EXPORTER_OTLP_ENDPOINT.
func (r *Receiver) URL() string { return r.server.URL }

// Close ends the receiver. What is sent to it then is refused.
func (r *Receiver) Close() { r.server.Close() }

// Spans returns the spans of a trace that have come until now, in the order of their beginnings.
func (r *Receiver) Spans(trace string) []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Span
	for _, s := range r.spans {
		if s.Trace() == trace {
			found = append(found, s)
		}
	}
	return found
}

// All returns all spans that have come until now.
func (r *Receiver) All() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// HasMetric reports whether a service has sent a metric.
func (r *Receiver) HasMetric(service, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.metrics[service+" "+name]
}

// Lines returns the lines of logs that have come until now.
func (r *Receiver) Lines() []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Line(nil), r.logs...)
}

// Header returns the headers of what has come last.
func (r *Receiver) Header() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.header
}

// Await waits until a condition holds of what has come, or ctx is done. It reports whether it does.
func (r *Receiver) Await(ctx context.Context, condition func() bool) bool {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if condition() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return condition()
		}
	}
}

// keep runs fn and tells those who wait.
func (r *Receiver) keep(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Receiver) takeTraces(w http.ResponseWriter, request *http.Request) {
	var sent collectortraces.ExportTraceServiceRequest
	if !read(w, request, &sent) {
		return
	}
	r.keep(func() {
		for _, process := range sent.GetResourceSpans() {
			for _, scope := range process.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					r.spans = append(r.spans, Span{span, service(process.GetResource()), text(process.GetResource().GetAttributes(), "service.instance.id")})
				}
			}
		}
	})
	answer(w, &collectortraces.ExportTraceServiceResponse{})
}

func (r *Receiver) takeMetrics(w http.ResponseWriter, request *http.Request) {
	var sent collectormetrics.ExportMetricsServiceRequest
	if !read(w, request, &sent) {
		return
	}
	r.keep(func() {
		for _, process := range sent.GetResourceMetrics() {
			for _, scope := range process.GetScopeMetrics() {
				for _, metric := range scope.GetMetrics() {
					r.metrics[service(process.GetResource())+" "+metric.GetName()] = true
				}
			}
		}
	})
	answer(w, &collectormetrics.ExportMetricsServiceResponse{})
}

func (r *Receiver) takeLogs(w http.ResponseWriter, request *http.Request) {
	var sent collectorlogs.ExportLogsServiceRequest
	if !read(w, request, &sent) {
		return
	}
	r.keep(func() {
		for _, process := range sent.GetResourceLogs() {
			for _, scope := range process.GetScopeLogs() {
				for _, record := range scope.GetLogRecords() {
					r.logs = append(r.logs, Line{record, service(process.GetResource())})
				}
			}
		}
	})
	answer(w, &collectorlogs.ExportLogsServiceResponse{})
}

func service(process *resourcev1.Resource) string {
	return text(process.GetAttributes(), "service.name")
}

// read reads a request, and reports whether it could.
func read(w http.ResponseWriter, r *http.Request, into proto.Message) bool {
	body := io.Reader(http.MaxBytesReader(w, r.Body, maxBody))
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return false
		}
		body = unzipped
	}
	content, err := io.ReadAll(io.LimitReader(body, maxBody))
	if err == nil {
		err = proto.Unmarshal(content, into)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func answer(w http.ResponseWriter, message proto.Message) {
	content, _ := proto.Marshal(message) // It is empty.
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(content) // Whoever sent has gone.
}
