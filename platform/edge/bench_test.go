package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// BenchmarkREST compares a call over REST with the same over Connect in JSON, without a network.
func BenchmarkREST(b *testing.B) {
	d := &door{call: func(_ context.Context, r *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		return &parityv1.CallResponse{Payload: r.GetPayload()}, nil
	}}
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(d)); err != nil {
		b.Fatal(err)
	}
	port := edge.New(edge.Config{Services: []*rpc.Service{parityv1cleave.ParityService}, Route: func(string) http.Handler { return server }})
	const payload = `"payload":{"text":"some text of a customer","texts":["one","two"],"counts":{"a":"1"},"items":[{"text":"a"},{"text":"b"}]}`
	for _, c := range []struct {
		name, path, body string
		status           int
	}{
		{"Connect", "/cleave.platform.parity.v1.ParityService/Call", `{"case":"x",` + payload + `}`, 200},
		{"REST", "/v1/calls/x", "{" + payload + "}", 201},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				port.ServeHTTP(w, r)
				if w.Code != c.status {
					text, _ := io.ReadAll(w.Body)
					b.Fatalf("got %d %s", w.Code, text)
				}
			}
		})
	}
}
