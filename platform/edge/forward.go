package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Forward returns a handler that leads to the module at a URL.
func Forward(module string, target *url.URL, transport http.RoundTripper, log *slog.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			_ = rpc.MetadataOf(r.In.Context()).Encode(r.Out.Header) // Strings can be encoded.
			if deadline, ok := r.In.Context().Deadline(); ok {
				tell(r.Out.Header, time.Until(deadline))
			}
		},
		Transport:     transport,
		FlushInterval: -1, // Items of a stream go on at once.
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ModifyResponse: func(r *http.Response) error {
			for _, s := range secured { // The edge says them itself, and a proxy adds to what is there.
				r.Header.Del(s.name)
			}
			r.Header.Del(CorrelationHeader)
			endWell(r, module, log)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var said *connect.Error
			switch {
			case errors.As(err, &said): // By the transport, for the client.
				refuse(w, r, said)
			case errors.Is(err, context.DeadlineExceeded):
				refuse(w, r, connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded))
			case errors.Is(err, context.Canceled):
				refuse(w, r, connect.NewError(connect.CodeCanceled, context.Canceled))
			default:
				log.WarnContext(r.Context(), "module did not answer", "module", module, "error", err)
				refuse(w, r, connect.NewError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", module)))
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As a client of a module has, who calls over the network. How it ended the span of the request says.
		ctx, span := rpc.StartSpan(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
		if span.IsRecording() {
			r = r.WithContext(ctx)
		}
		proxy.ServeHTTP(w, r)
	})
}
