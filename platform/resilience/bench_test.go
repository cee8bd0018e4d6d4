package resilience_test

import (
	"context"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/resilience"
)

// What the policies cost a call that goes well, without the network.
func BenchmarkPolicies(b *testing.B) {
	network, err := resilience.New(resilience.Config{Timeout: patience, Calls: 100, Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(network.Close)
	answer := connect.NewResponse(&parityv1.LookResponse{})
	call := network.Add("parity", nil, nil).Around("caller", parityv1cleave.ParityService).WrapUnary(
		func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) { return answer, nil })
	request := connect.NewRequest(&parityv1.LookRequest{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := call(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}
