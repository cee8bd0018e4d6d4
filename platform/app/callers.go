package app

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// admit lets through to the internal port who may call there: the unit is the one of its certificate, it holds the module that says it
// calls, and the map of the house allows that module the call. Without certificates the first two are only claimed.
func (u *unit) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, peer := rpc.CallerOf(r.Header), ""
		if u.certificates.units != nil {
			id, end, err := u.certificates.units.Peer(r)
			if err != nil {
				// What a new connection would give: nobody there, and not a customer who has to sign in.
				u.refuse(w, r, caller, "", rpc.Errorf(connect.CodeUnavailable, "", "who calls is known no more: %w", err))
				return
			}
			ctx, cancel := context.WithDeadline(r.Context(), end)
			defer cancel()
			r, peer = r.WithContext(ctx), id.Unit
		}
		err := u.house.MayCall(caller, r.URL.Path)
		if err == nil && peer != "" && !u.house.Holds(peer, caller) {
			err = rpc.Errorf(connect.CodePermissionDenied, "", "by its certificate the unit %s calls, which does not hold %s", peer, caller)
		}
		if err != nil {
			u.refuse(w, r, caller, peer, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers in the protocol of the caller.
func (u *unit) refuse(w http.ResponseWriter, r *http.Request, caller, peer string, err error) {
	// What comes with a call that is refused is believed for the log, where it belongs with what the caller says of it, and for nothing else.
	said, _ := rpc.DecodeMetadata(r.Header)
	ctx := rpc.WithMetadata(r.Context(), rpc.Metadata{CorrelationID: said.CorrelationID, Trace: said.Trace})
	u.log.WarnContext(ctx, "refused a call at the internal port", "caller", caller, "unit", peer, "procedure", r.URL.Path, "from", r.RemoteAddr, "error", err)
	if writer := connect.NewErrorWriter(); writer.IsSupported(r) {
		_ = writer.Write(w, r, err) // Whoever asked has gone.
		return
	}
	http.Error(w, err.Error(), http.StatusForbidden)
}
