package conformance

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/cleave-go/cleave/platform/rpc/conformance/internal/connectrpc/conformance/v1"
	"github.com/cleave-go/cleave/platform/rpc/conformance/internal/connectrpc/conformance/v1/conformancev1connect"
)

// service does what the runner's requests tell it. Its client and bidirectional streams are not implemented.
type service struct {
	conformancev1connect.UnimplementedConformanceServiceHandler
	headers *headers
}

func (s *service) Unary(
	ctx context.Context, request *connect.Request[conformancev1.UnaryRequest],
) (*connect.Response[conformancev1.UnaryResponse], error) {
	payload, err := s.answer(ctx, request, request.Msg, request.Msg.GetResponseDefinition())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&conformancev1.UnaryResponse{Payload: payload}), nil
}

func (s *service) IdempotentUnary(
	ctx context.Context, request *connect.Request[conformancev1.IdempotentUnaryRequest],
) (*connect.Response[conformancev1.IdempotentUnaryResponse], error) {
	payload, err := s.answer(ctx, request, request.Msg, request.Msg.GetResponseDefinition())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&conformancev1.IdempotentUnaryResponse{Payload: payload}), nil
}

func (s *service) answer(
	ctx context.Context, request connect.AnyRequest, message proto.Message, wanted *conformancev1.UnaryResponseDefinition,
) (*conformancev1.ConformancePayload, error) {
	info, err := requestInfo(ctx, request.Header(), request.Peer().Query, message)
	if err != nil {
		return nil, err
	}
	out := s.headers.of(request)
	addHeaders(out.ResponseHeader(), wanted.GetResponseHeaders())
	addHeaders(out.ResponseTrailer(), wanted.GetResponseTrailers())
	if err := wait(ctx, wanted.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	if refusal := wanted.GetError(); refusal != nil {
		return nil, failure(refusal, info)
	}
	return &conformancev1.ConformancePayload{Data: wanted.GetResponseData(), RequestInfo: info}, nil
}

func (s *service) ServerStream(
	ctx context.Context,
	request *connect.Request[conformancev1.ServerStreamRequest],
	stream *connect.ServerStream[conformancev1.ServerStreamResponse],
) error {
	info, err := requestInfo(ctx, request.Header(), request.Peer().Query, request.Msg)
	if err != nil {
		return err
	}
	wanted := request.Msg.GetResponseDefinition()
	addHeaders(stream.ResponseHeader(), wanted.GetResponseHeaders())
	addHeaders(stream.ResponseTrailer(), wanted.GetResponseTrailers())
	if len(wanted.GetResponseData()) > 0 {
		if err := stream.Send(nil); err != nil { // The headers come before the first delay.
			return err
		}
	}
	for i, data := range wanted.GetResponseData() {
		if err := wait(ctx, wanted.GetResponseDelayMs()); err != nil {
			return err
		}
		payload := &conformancev1.ConformancePayload{Data: data}
		if i == 0 {
			payload.RequestInfo = info
		}
		if err := stream.Send(&conformancev1.ServerStreamResponse{Payload: payload}); err != nil {
			return err
		}
	}
	if refusal := wanted.GetError(); refusal != nil {
		if len(wanted.GetResponseData()) > 0 {
			info = nil
		}
		return failure(refusal, info)
	}
	return nil
}

// requestInfo tells what arrived.
func requestInfo(
	ctx context.Context, header http.Header, query url.Values, message proto.Message,
) (*conformancev1.ConformancePayload_RequestInfo, error) {
	packed, err := anypb.New(message)
	if err != nil {
		return nil, err
	}
	info := &conformancev1.ConformancePayload_RequestInfo{RequestHeaders: headerList(header), Requests: []*anypb.Any{packed}}
	if deadline, ok := ctx.Deadline(); ok {
		info.TimeoutMs = proto.Int64(time.Until(deadline).Milliseconds())
	}
	if len(query) > 0 {
		info.ConnectGetInfo = &conformancev1.ConformancePayload_ConnectGetInfo{QueryParams: headerList(query)}
	}
	return info, nil
}

// failure returns the error that was asked for, with what arrived as a detail if there is no response to carry it.
func failure(wanted *conformancev1.Error, info *conformancev1.ConformancePayload_RequestInfo) error {
	err := connect.NewError(connect.Code(wanted.GetCode()), errors.New(wanted.GetMessage()))
	add := func(message proto.Message) {
		if detail, detailErr := connect.NewErrorDetail(message); detailErr == nil {
			err.AddDetail(detail)
		}
	}
	for _, detail := range wanted.GetDetails() {
		add(detail)
	}
	if info != nil {
		add(info)
	}
	return err
}

func wait(ctx context.Context, milliseconds uint32) error {
	if milliseconds == 0 {
		return nil
	}
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond): // The runner's case is about time.
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func headerList(header map[string][]string) []*conformancev1.Header {
	var list []*conformancev1.Header
	for name, values := range header {
		list = append(list, &conformancev1.Header{Name: name, Value: values})
	}
	return list
}

func addHeaders(to http.Header, list []*conformancev1.Header) {
	for _, header := range list {
		for _, value := range header.GetValue() {
			to.Add(header.GetName(), value)
		}
	}
}

// headers gives a method the headers and trailers of its answer, which the seam hides: it has no use for them, but the runner
// checks that they arrive, those of errors too. It is an interceptor outside of the seam's own.
type headers struct{ calls sync.Map } // connect.CallInfo by request

func (h *headers) of(request connect.AnyRequest) connect.CallInfo {
	info, _ := h.calls.Load(request)
	return info.(connect.CallInfo)
}

func (h *headers) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
			h.calls.Store(request, info)
			defer h.calls.Delete(request)
		}
		return next(ctx, request)
	}
}

func (h *headers) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (h *headers) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
