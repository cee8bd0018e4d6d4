package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The price of a call, and of its parts. Compare what one run prints: the figures of a noisy machine mean little by themselves.
//
//	go test -run '^$' -bench . -benchmem ./platform/rpc

// benchPayload has ten fields that are set.
func benchPayload() *parityv1.Payload {
	return &parityv1.Payload{
		Text: "usr_01JQ8Z4", Data: []byte("0123456789abcdef"), Texts: []string{"red", "large"}, Maybe: proto.String("note"),
		Child: &parityv1.Payload{Text: "EUR", Large: 1999}, Time: &timestamppb.Timestamp{Seconds: 1_700_000_000},
		Kind: parityv1.Kind_KIND_ONE, Ratio: 0.19, Flag: proto.Bool(true), Large: 42,
	}
}

// benchService answers with what it is asked with.
type benchService struct {
	parityv1connect.UnimplementedParityServiceHandler
}

func (benchService) Call(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{Payload: request.GetPayload()}, nil
}

func (benchService) Look(context.Context, *parityv1.LookRequest) (*parityv1.LookResponse, error) {
	return &parityv1.LookResponse{}, nil
}

func benchServer(b *testing.B) *rpc.Server {
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(benchService{})); err != nil {
		b.Fatal(err)
	}
	return server
}

func benchClient(directory *rpc.Directory) parityv1connect.ParityServiceClient {
	return parityv1cleave.NewParityServiceClient(directory.Caller("caller", []*rpc.Service{parityv1cleave.ParityService}))
}

// benchContext is that of a callee who calls on: it can end, and has a principal.
func benchContext(b *testing.B) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	b.Cleanup(cancel)
	return rpc.WithMetadata(ctx, rpc.Metadata{
		Principal: rpc.Principal{Subject: "usr_1", Roles: []string{"customer"}}, CorrelationID: "cor-1", RequestID: "req-1",
	})
}

func benchCall(b *testing.B, client parityv1connect.ParityServiceClient) {
	ctx, request := benchContext(b), &parityv1.CallRequest{Case: "bench", Payload: benchPayload()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Call(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	b.Run("in-process", func(b *testing.B) {
		benchCall(b, benchClient(rpc.NewDirectory(benchServer(b), []string{"parity"}, nil)))
	})
	b.Run("Connect in memory", func(b *testing.B) {
		server := benchServer(b)
		peer := rpc.Peer{URL: "http://parity", Client: &http.Client{Transport: rpc.NewMemoryTransport(server)}}
		benchCall(b, benchClient(rpc.NewDirectory(server, nil, func(string) rpc.Peer { return peer })))
	})
	b.Run("Connect over loopback h2c", func(b *testing.B) {
		server := benchServer(b)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		host := &http.Server{Handler: server, Protocols: protocols}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = host.Serve(listener)
		}()
		transport := &http.Transport{Protocols: protocols}
		b.Cleanup(func() {
			transport.CloseIdleConnections()
			_ = host.Close()
			<-served
		})
		peer := rpc.Peer{URL: "http://" + listener.Addr().String(), Client: &http.Client{Transport: transport}}
		benchCall(b, benchClient(rpc.NewDirectory(server, nil, func(string) rpc.Peer { return peer })))
	})
}

// The least that a call can cost: no fields, no rules.
func BenchmarkEmptyCallInProcess(b *testing.B) {
	client := benchClient(rpc.NewDirectory(benchServer(b), []string{"parity"}, nil))
	ctx, request := benchContext(b), &parityv1.LookRequest{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Look(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// Two copies are made of a call: of the request and of the response.
func BenchmarkCopies(b *testing.B) {
	request, response := &parityv1.CallRequest{Case: "bench", Payload: benchPayload()}, &parityv1.CallResponse{Payload: benchPayload()}
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var to, from rpc.Copier
			parityv1cleave.CopyCallRequest(&to, request)
			parityv1cleave.CopyCallResponse(&from, response)
		}
	})
	b.Run("proto.Clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			proto.Clone(request)
			proto.Clone(response)
		}
	})
	b.Run("encoded and decoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for from, to := range map[proto.Message]proto.Message{request: new(parityv1.CallRequest), response: new(parityv1.CallResponse)} {
				encoded, err := proto.Marshal(from)
				if err != nil {
					b.Fatal(err)
				}
				if err := proto.Unmarshal(encoded, to); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// A callee's context ends with the call.
func BenchmarkContext(b *testing.B) {
	ctx := benchContext(b)
	b.ReportAllocs()
	for b.Loop() {
		_, cancel := context.WithCancel(ctx)
		cancel()
	}
}

// A caller does not wait for a callee that ignores its context, so the callee has a goroutine of its own.
func BenchmarkGoroutine(b *testing.B) {
	ctx := benchContext(b)
	b.ReportAllocs()
	for b.Loop() {
		done := make(chan struct{}, 1)
		go func() { done <- struct{}{} }()
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// The chain is the error boundary, the access rule and validation, with rules of the message and without.
func BenchmarkChain(b *testing.B) {
	server := benchServer(b)
	for name, c := range map[string]struct {
		method  *rpc.Method
		request proto.Message
	}{
		"with rules":    {parityv1cleave.ParityService.Methods[0], &parityv1.CallRequest{Case: "bench", Payload: benchPayload()}},
		"without rules": {parityv1cleave.ParityService.Methods[1], &parityv1.LookRequest{Case: "bench"}},
	} {
		run := rpc.Chain(server, parityv1cleave.ParityService, c.method)
		b.Run(name, func(b *testing.B) {
			ctx := rpc.CalleeContext(benchContext(b), c.method)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run(ctx, c.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a call costs more because it is measured and could be a span of a trace, while there is nowhere to send traces to.
func BenchmarkObserve(b *testing.B) {
	method := parityv1cleave.ParityService.Methods[0]
	run := rpc.Observe(benchServer(b), parityv1cleave.ParityService, method, func(context.Context, proto.Message) (proto.Message, error) { return nil, nil })
	ctx := rpc.CalleeContext(benchContext(b), method)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := run(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}
