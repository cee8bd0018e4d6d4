package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Forward returns a handler that leads to the module at a URL.
func Forward(module string, target *url.URL, transport http.RoundTripper, log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
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
				log.Warn("module did not answer", "module", module, "error", err)
				refuse(w, r, connect.NewError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", module)))
			}
		},
	}
}
