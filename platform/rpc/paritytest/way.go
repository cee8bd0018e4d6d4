package paritytest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Way is one way to call.
type Way struct {
	Name string
	// Local says that caller and callee share a process. The other fields are those of a network way.
	Local bool
	TLS   bool
	// HTTP2 says that the connection speaks HTTP/2 only, and otherwise HTTP/1.1 only.
	HTTP2    bool
	Protocol []connect.ClientOption
}

// Ways returns every way to call, the one in this process first.
func Ways() []Way {
	return []Way{
		{Name: "in-process", Local: true},
		{Name: "Connect HTTP/1.1"},
		{Name: "Connect h2c", HTTP2: true},
		{Name: "Connect TLS", HTTP2: true, TLS: true},
		{Name: "gRPC h2c", HTTP2: true, Protocol: []connect.ClientOption{connect.WithGRPC()}},
		{Name: "gRPC-Web HTTP/1.1", Protocol: []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

// Serve serves handler until the test ends and returns where a client of this way finds it. It is for network ways only.
func (w Way) Serve(t testing.TB, handler http.Handler) rpc.Peer {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A case that breaks connections is no news.
	server.Config.Protocols = w.protocols()
	transport := &http.Transport{Protocols: w.protocols()}
	if w.TLS {
		server.EnableHTTP2 = w.HTTP2
		server.StartTLS()
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return rpc.Peer{URL: server.URL, Client: &http.Client{Transport: transport}, Options: w.Protocol}
}

func (w Way) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!w.HTTP2)
	p.SetHTTP2(w.HTTP2 && w.TLS)
	p.SetUnencryptedHTTP2(w.HTTP2 && !w.TLS)
	return p
}
