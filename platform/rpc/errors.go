package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxErrorMessage and maxErrorDetails bound what an error carries, in bytes: gRPC puts both into HTTP trailers.
const (
	maxErrorMessage = 2 << 10
	maxErrorDetails = 4 << 10
)

// Errorf returns an error with a code, a reason and a sentence for people. The reason is for machines: capitals and underscores,
// for instance OUT_OF_STOCK. It travels as google.rpc.ErrorInfo (AIP-193), whose domain is "cleave"; [Reason] reads it.
func Errorf(code connect.Code, reason, format string, args ...any) error {
	err := connect.NewError(code, fmt.Errorf(format, args...))
	if reason != "" {
		if detail, detailErr := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: reason, Domain: "cleave"}); detailErr == nil {
			err.AddDetail(detail)
		}
	}
	return err
}

// Reason returns the reason that [Errorf] put into the error, here or on the other side of a call, or "".
func Reason(err error) string {
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		return ""
	}
	for _, detail := range connectErr.Details() {
		if value, err := detail.Value(); err == nil {
			if info, ok := value.(*errdetails.ErrorInfo); ok {
				return info.GetReason()
			}
		}
	}
	return ""
}

// NotFound returns a not_found error that names the thing and its id.
func NotFound(thing, id string) error {
	return Errorf(connect.CodeNotFound, "", "%s %q not found", thing, id)
}

// seal makes of a method's error what may leave the callee: a code, a message and details, and nothing behind them. Errors that
// are not a [connect.Error] become internal without their text, which is logged here.
func seal(ctx context.Context, log *slog.Logger, method *Method, err error) *connect.Error {
	var connectErr *connect.Error
	if errors.As(err, &connectErr) && connectErr != nil && validCode(connectErr.Code()) {
		// What stands beside an unavailable error is for the log: which connection, which server.
		if connectErr.Code() == connect.CodeUnavailable && !errors.Is(connectErr, err) {
			log.LogAttrs(ctx, slog.LevelWarn, "method is unavailable", append(callAttrs(ctx, method), slog.String("error", err.Error()))...)
		}
		return rebuild(connectErr)
	}
	if connectErr == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return contextError(err)
	}
	log.LogAttrs(ctx, slog.LevelError, "method failed", append(callAttrs(ctx, method), slog.String("error", err.Error()))...)
	return internal()
}

func validCode(code connect.Code) bool {
	return code >= connect.CodeCanceled && code <= connect.CodeUnauthenticated
}

// rebuild copies what of an error travels. The result stands for itself: it wraps nothing, so errors.Is cannot see through a call.
// Spaces around the message are dropped, because the trailers of gRPC-Web drop them.
func rebuild(err *connect.Error) *connect.Error {
	message := strings.Trim(strings.ToValidUTF8(err.Message(), "\uFFFD"), " ")
	if len(message) > maxErrorMessage {
		message = strings.ToValidUTF8(message[:maxErrorMessage], "") + "…"
	}
	sealed := connect.NewWireError(err.Code(), errors.New(message))
	size := 0
	for _, detail := range err.Details() {
		value := detail.Bytes() // A copy.
		if size += len(value) + len(detail.Type()); size > maxErrorDetails {
			break
		}
		packed := &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type(), Value: value}
		if copied, err := connect.NewErrorDetail(packed); err == nil {
			sealed.AddDetail(copied)
		}
	}
	return sealed
}

func internal() *connect.Error {
	return connect.NewWireError(connect.CodeInternal, errors.New("internal error"))
}

// unavailable says that nobody answers for a module. It names no address.
func unavailable(module string) *connect.Error {
	return connect.NewWireError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", module))
}

// contextError says that a deadline passed or that the caller gave up. It wraps nothing, because it does not when the callee was
// the first to notice.
func contextError(err error) *connect.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return connect.NewWireError(connect.CodeDeadlineExceeded, errors.New(context.DeadlineExceeded.Error()))
	}
	return connect.NewWireError(connect.CodeCanceled, errors.New(context.Canceled.Error()))
}

// requestError says what is wrong with a request that the wire would refuse, and responseError with a response.
func requestError(err error) *connect.Error {
	if errors.Is(err, errTooLarge) {
		return connect.NewWireError(connect.CodeResourceExhausted, fmt.Errorf("request: %w", err))
	}
	return connect.NewWireError(connect.CodeInvalidArgument, fmt.Errorf("request: %w", err))
}

func responseError(err error) *connect.Error {
	if errors.Is(err, errTooLarge) {
		return connect.NewWireError(connect.CodeResourceExhausted, fmt.Errorf("response: %w", err))
	}
	return internal()
}

// callAttrs say in a log which call it was.
func callAttrs(ctx context.Context, method *Method) []slog.Attr {
	m := MetadataOf(ctx)
	return []slog.Attr{
		slog.String("procedure", method.Procedure), slog.String("caller", m.Caller), slog.String("request_id", m.RequestID),
	}
}
