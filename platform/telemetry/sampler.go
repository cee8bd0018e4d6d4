package telemetry

import (
	"math/rand/v2"
	"strconv"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/config"
)

// samplers are those of the standard, and make what decides about traces that begin here.
var samplers = map[string]func(ratio float64) sdktrace.Sampler{
	"always_on":                always,
	"always_off":               nil, // No trace at all.
	"traceidratio":             sdktrace.TraceIDRatioBased,
	"parentbased_always_on":    always,
	"parentbased_always_off":   func(float64) sdktrace.Sampler { return sdktrace.NeverSample() },
	"parentbased_traceidratio": sdktrace.TraceIDRatioBased,
}

func always(float64) sdktrace.Sampler { return sdktrace.AlwaysSample() }

// newSampler returns the sampler that is set, or nil if nothing is to be traced.
func newSampler(values config.Values) sdktrace.Sampler {
	ratio := 1.0
	if text := values.String(samplerArg); text != "" {
		ratio, _ = strconv.ParseFloat(text, 64) // Checked by the setting.
	}
	root := samplers[values.String(samplerName)]
	if root == nil {
		return nil
	}
	return sampler{root(ratio)}
}

// sampler records what is a part of a recorded trace of the house, and decides about all others as if they began here. Only those are
// asked about that come from outside: within the house nobody begins a span of a trace that is not recorded.
//
// A client chooses the id of its trace, so the decision does not depend on it: whoever knows the ratio could choose one that is recorded.
type sampler struct{ root sdktrace.Sampler }

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if parent.IsSampled() {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: parent.TraceState()}
	}
	if parent.HasTraceID() {
		for i := range p.TraceID {
			p.TraceID[i] = byte(rand.Uint32())
		}
	}
	return s.root.ShouldSample(p)
}

func (s sampler) Description() string { return "ParentBased{root:" + s.root.Description() + "}" }
