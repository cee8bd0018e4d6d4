package telemetry

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// decide asks the sampler about a trace of the id, whose parent is recorded or not.
func decide(s sdktrace.Sampler, id trace.TraceID, recorded bool) bool {
	c := trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, Remote: true}
	if recorded {
		c.TraceFlags = trace.FlagsSampled
	}
	parent := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(c))
	return s.ShouldSample(sdktrace.SamplingParameters{ParentContext: parent, TraceID: id}).Decision == sdktrace.RecordAndSample
}

// A client cannot choose an id that is recorded, nor one that is not.
func TestIDOfAClientDecidesNothing(t *testing.T) {
	t.Parallel()
	values, err := load(t, map[string]string{samplerName: "parentbased_traceidratio", samplerArg: "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(values)
	recorded := map[bool]int{}
	const rounds = 1000
	for range rounds {
		recorded[decide(s, trace.TraceID{15: 1}, false)]++ // The lowest ids are always recorded by their ratio.
	}
	if recorded[true] < rounds/4 || recorded[false] < rounds/4 {
		t.Errorf("of %d traces of one id %d are recorded, want about half", rounds, recorded[true])
	}
}

// What a part of the house records, the others do, whatever their own part is.
func TestTraceOfTheHouseGoesOn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"parentbased_always_off", "parentbased_traceidratio", "traceidratio"} {
		values, err := load(t, map[string]string{samplerName: name, samplerArg: "0"})
		if err != nil {
			t.Fatal(err)
		}
		if s := newSampler(values); !decide(s, trace.TraceID{1}, true) || decide(s, trace.TraceID{1}, false) {
			t.Errorf("%s does not record exactly what is recorded elsewhere", name)
		}
	}
}
