package paritytest

import (
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Way is one way to call.
type Way struct {
	Name string
	// Local says that caller and callee share a process. The other fields are those of a network way.
	Local bool
	// TLS says that they show each other certificates.
	TLS bool
	// HTTP2 says that the connection speaks HTTP/2 only, and otherwise HTTP/1.1 only.
	HTTP2 bool
	// Policies says that the caller has what a unit calls others with, see platform/resilience.
	Policies bool
	Protocol []connect.ClientOption
}

// Ways returns every way to call, the one in this process first.
func Ways() []Way {
	return []Way{
		{Name: "in-process", Local: true},
		{Name: "Connect HTTP/1.1"},
		{Name: "Connect h2c", HTTP2: true},
		{Name: "Connect mutual TLS", HTTP2: true, TLS: true},
		{Name: "Connect h2c with policies", HTTP2: true, Policies: true},
		{Name: "gRPC h2c", HTTP2: true, Protocol: []connect.ClientOption{connect.WithGRPC()}},
		{Name: "gRPC-Web HTTP/1.1", Protocol: []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

// Serve serves handler until the test ends and returns where a client of this way finds it. It is for network ways only.
func (w Way) Serve(t testing.TB, handler http.Handler) rpc.Peer {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A case that breaks connections is no news.
	server.Config.Protocols = w.protocols()
	client := &http.Client{Transport: &http.Transport{Protocols: w.protocols()}}
	if w.TLS {
		home := mtlstest.New(t)
		config := source(t, home, "parity").ServerConfig()
		config.NextProtos = []string{"h2"}
		// Not StartTLS: it would add a certificate of its own.
		server.Listener = tls.NewListener(server.Listener, config)
		client.Transport = source(t, home, "caller").Transport(func() *http.Transport {
			return &http.Transport{Protocols: w.protocols(), IdleConnTimeout: time.Minute}
		}, func(mtls.ID) error { return nil })
	}
	server.Start()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	peer := rpc.Peer{URL: server.URL, Client: client, Options: w.Protocol}
	if w.TLS {
		peer.URL = "https" + strings.TrimPrefix(peer.URL, "http")
	}
	if w.Policies {
		network, err := resilience.New(resilience.Config{Timeout: patience, Calls: 100, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(network.Close)
		peer.Around = network.Add("parity", nil, nil).Around
	}
	return peer
}

// source returns the certificate of a unit.
func source(t testing.TB, home *mtlstest.Authority, unit string) *mtls.Source {
	s, err := mtls.Open(mtlstest.NewFolder(t, home.Unit(unit), home).Files, mtlstest.TrustDomain, func(mtls.ID) error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w Way) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!w.HTTP2)
	p.SetHTTP2(w.HTTP2 && w.TLS)
	p.SetUnencryptedHTTP2(w.HTTP2 && !w.TLS)
	return p
}
