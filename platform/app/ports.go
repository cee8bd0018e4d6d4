package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/mtls"
)

// Limits of every port. A body is not limited in time, because it may be a stream; its messages are limited in size.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// ports are the listeners of a unit. Those that it does not need are nil.
type ports struct{ public, internal, admin net.Listener }

// listen opens the ports before anything else is done, because a port that is taken is the most likely thing to go wrong.
func (u *unit) listen() (ports, error) {
	var p ports
	var err error
	open := func(setting, addr string) (net.Listener, error) {
		listener, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%s is taken: stop the program that listens there, or set %s", addr, setting)
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w: correct %s", addr, err, setting)
		}
		u.onStop(func(context.Context) { listener.Close() })
		return listener, nil
	}
	if len(u.Edge) > 0 {
		if p.public, err = open(publicAddr, u.publicAddr()); err != nil {
			return p, err
		}
	}
	if u.needsInternal() {
		if p.internal, err = open(internalAddr, u.values.String(internalAddr)); err != nil {
			return p, err
		}
	}
	if err := u.checkInternal(p.internal); err != nil {
		return p, err
	}
	p.admin, err = open(adminAddr, u.values.String(adminAddr))
	return p, err
}

// checkInternal refuses an internal port where any machine could call as any module, unless somebody has said that this is guarded
// against otherwise.
func (u *unit) checkInternal(listener net.Listener) error {
	if listener == nil || isLoopback(listener) || u.certificates.units != nil || u.values.String(internalTLS) == "off" {
		return nil
	}
	return fmt.Errorf("%s is %s, which other machines reach, and without certificates any of them could call as any module: set %s, %s and %s, "+
		"or %s=off if a mesh or a network policy lets only units of the house in", internalAddr, listener.Addr(), tlsCert, tlsKey, tlsCA, internalTLS)
}

// publicAddr returns the address of the public port. PORT, which hosts of containers set, stands in for one that is not set.
func (u *unit) publicAddr() string {
	if port := u.values.String("PORT"); port != "" && !u.values.IsSet(publicAddr) {
		return ":" + port
	}
	return u.values.String(publicAddr)
}

// needsInternal reports whether anybody outside of this process calls the modules in it.
func (u *unit) needsInternal() bool {
	if len(u.Modules) == 0 {
		return false
	}
	local := u.local()
	for _, name := range u.house.Names() {
		if !local[name] {
			return true
		}
	}
	return len(u.Edge) == 0
}

// newServer returns a server of HTTP/1.1 and HTTP/2.
func (u *unit) newServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(u.log.Handler(), slog.LevelWarn),
	}
}

// serveInternal serves the modules for other units.
func (u *unit) serveInternal(listener net.Listener, handler http.Handler) {
	mux := http.NewServeMux()
	mux.Handle(u.health.GRPC()) // For whoever is a unit, or stands beside one.
	mux.Handle("/", u.admit(handler))
	server := u.newServer(mux)
	if units := u.certificates.units; units != nil {
		server.TLSConfig, server.ConnContext = units.ServerConfig(), units.ConnContext
	} else {
		u.log.Warn("the internal port is plain HTTP: whoever reaches it can say that he is any module, and call as it", "addr", listener.Addr().String())
	}
	u.serveHTTP(server, listener)
}

// servePublic serves people and apps.
func (u *unit) servePublic(listener net.Listener, door *edge.Edge) {
	server := u.newServer(door)
	door.Bound(server)
	if u.certificates.public != nil {
		server.TLSConfig = u.certificates.public.PublicConfig()
	}
	u.serveHTTP(server, door.Listener(listener))
}

// serveHTTP serves until the unit stops, with TLS if the server has a configuration for it. It returns at once.
func (u *unit) serveHTTP(server *http.Server, listener net.Listener) {
	go func() {
		serve := server.Serve
		if server.TLSConfig != nil {
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			u.fail(fmt.Errorf("serve %s: %w", listener.Addr(), err))
		}
	}()
	u.onStop(func(ctx context.Context) {
		if err := server.Shutdown(ctx); err != nil {
			u.log.Warn("requests were cut off", "addr", listener.Addr().String(), "error", err)
			server.Close()
		}
	})
}

// isLoopback reports whether only this machine can reach the listener.
func isLoopback(listener net.Listener) bool {
	addr, ok := listener.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// url returns the address of a listener as one can type it, or "".
func url(listener net.Listener, certificates *mtls.Source) string {
	switch {
	case listener == nil:
		return ""
	case certificates != nil:
		return "https://" + listener.Addr().String()
	}
	return "http://" + listener.Addr().String()
}
