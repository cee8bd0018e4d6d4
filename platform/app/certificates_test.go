package app

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/mtls/authority"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// certify sets the certificate of a program.
func certify(t *testing.T, pair authority.Pair, authorities ...*mtlstest.Authority) *mtlstest.Folder {
	t.Helper()
	f := mtlstest.NewFolder(t, pair, authorities...)
	t.Setenv(tlsCert, f.Cert)
	t.Setenv(tlsKey, f.Key)
	t.Setenv(tlsCA, f.CA)
	return f
}

// neighbourhood is a program with the module parity on whose map elsewhere calls it.
func neighbourhood(t *testing.T) Program {
	t.Helper()
	here := (&parity{call: func(context.Context) error { return nil }}).module()
	p := program(t, here, module.Module{Name: "elsewhere", Calls: []*rpc.Service{parityv1cleave.ParityService}})
	p.Modules = []module.Module{here}
	return p
}

// call calls a procedure with a request that is empty, in the name of a module.
func call(t *testing.T, client *http.Client, url, caller string, options ...connect.ClientOption) error {
	t.Helper()
	request := connect.NewRequest(&emptypb.Empty{})
	if caller != "" {
		request.Header().Set("Cleave-Caller", caller)
	}
	_, err := connect.NewClient[emptypb.Empty, emptypb.Empty](client, url, options...).CallUnary(t.Context(), request)
	return err
}

// The procedures of a public and of an internal method.
const (
	parityCall = parityv1connect.ParityServiceCallProcedure
	parityLook = parityv1connect.ParityServiceLookProcedure
)

// TestCallers holds who may call at an internal port, by what is claimed on a laptop, and by certificates.
func TestCallers(t *testing.T) {
	configure(t)
	home := mtlstest.New(t)
	plain := start(t, neighbourhood(t))
	files := certify(t, home.Unit("parity"), home)
	secure := start(t, neighbourhood(t))
	if !strings.HasPrefix(plain.internal, "http://") || !strings.HasPrefix(secure.internal, "https://") {
		t.Fatalf("the internal ports are %s and %s", plain.internal, secure.internal)
	}
	const denied, unknown = connect.CodePermissionDenied, connect.CodeUnauthenticated
	for _, c := range []struct {
		unit, caller, procedure string
		claimed, certified      connect.Code // 0 if the call is let in.
		says                    string
	}{
		{"elsewhere", "elsewhere", parityCall, 0, 0, ""},
		{"elsewhere-edge", "elsewhere", parityCall, 0, 0, ""},
		{"elsewhere", "", parityCall, unknown, unknown, "says which module makes it"},
		{"elsewhere", "parity", parityCall, denied, denied, "by the map of the house parity may not call Call of cleave.platform.parity.v1.ParityService"},
		{"elsewhere", "nobody", parityCall, denied, denied, "nobody may not call"},
		{"parity", "elsewhere", parityCall, 0, denied, "by its certificate the unit parity calls, which does not hold elsewhere"},
		{"nobody", "elsewhere", parityCall, 0, denied, "the unit nobody calls"},
		{"elsewhere", "elsewhere", "/modules/parity/cleave.platform.event.v1.DeliveryService/Deliver", denied, denied, "may not call"},
		{"elsewhere", "edge", parityCall, 0, denied, "does not hold edge"},
		{"edge", "edge", parityCall, 0, 0, ""},
		{"edge", "edge", parityLook, denied, denied, "edge may not call Look"},
		{"edge", "elsewhere", parityCall, 0, denied, "does not hold elsewhere"},
	} {
		client := mtlstest.Client(t, home.Unit(c.unit))
		for name, options := range map[string][]connect.ClientOption{"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
			for port, want := range map[*running]connect.Code{plain: c.claimed, secure: c.certified} {
				err := call(t, client, port.internal+c.procedure, c.caller, options...)
				if want == 0 && err != nil || want != 0 && (connect.CodeOf(err) != want || !connect.IsWireError(err) || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("the unit %s calls %s as %q at %s over %s: %v, want %v", c.unit, c.procedure, c.caller, port.internal, name, err, want)
				}
			}
		}
	}
	for name, pair := range map[string]authority.Pair{"no certificate": {}, "another authority": mtlstest.New(t).Unit("elsewhere")} {
		if err := call(t, mtlstest.Client(t, pair), secure.internal+parityCall, "elsewhere"); err == nil || connect.IsWireError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// On a connection from before, too, nobody is let in whose authority is trusted no more.
	client := mtlstest.Client(t, home.Unit("elsewhere"))
	err := call(t, client, secure.internal+parityCall, "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	files.Trust(mtlstest.New(t))
	for deadline := time.Now().Add(patience); err == nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		err = call(t, client, secure.internal+parityCall, "elsewhere")
	}
	if connect.CodeOf(err) != connect.CodeUnavailable || !connect.IsWireError(err) || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("it gets %v", err)
	}
}

// TestPeers holds that a unit calls another over TLS, as a module and as the edge, and takes nobody for it who is not.
func TestPeers(t *testing.T) {
	configure(t)
	home := mtlstest.New(t)
	certify(t, home.Unit("parity"), home)
	peer := start(t, neighbourhood(t))
	impostor := func(pair authority.Pair) string {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		}))
		server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{certificate}}, true
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, c := range map[string]struct {
		url  string
		want connect.Code
	}{
		"the module":                {peer.internal, 0},
		"who shows what it expects": {impostor(home.Unit("parity")), 0},
		"another unit":              {impostor(home.Unit("elsewhere")), connect.CodeUnavailable},
		"another authority":         {impostor(mtlstest.New(t).Unit("parity")), connect.CodeUnavailable},
		"somebody on the internet":  {impostor(home.Public()), connect.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t)
			certify(t, home.Unit("elsewhere-edge"), home)
			t.Setenv("CLEAVE_PARITY_URL", c.url)
			p := neighbourhood(t)
			var client parityv1connect.ParityServiceClient
			p.Edge = []*rpc.Service{parityv1cleave.ParityService}
			p.Modules = []module.Module{{
				Name: "elsewhere", Calls: p.Edge, Migrations: noTables,
				Build: func(host *module.Host) ([]rpc.Handler, error) {
					client = parityv1cleave.NewParityServiceClient(host.Calls)
					return nil, nil
				},
			}}
			r := start(t, p)
			_, direct := client.Call(t.Context(), &parityv1.CallRequest{})
			through := call(t, http.DefaultClient, r.public+parityCall, "")
			for way, err := range map[string]error{"the module": direct, "the edge": through} {
				if c.want == 0 && err != nil || c.want != 0 && connect.CodeOf(err) != c.want {
					t.Errorf("%s gets %v, want %v", way, err, c.want)
				}
			}
		})
	}
}

// TestCertificateSettings holds what stops a start, and where peers are looked for by default.
func TestCertificateSettings(t *testing.T) {
	home := mtlstest.New(t)
	f := mtlstest.NewFolder(t, home.Unit("parity"), home)
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"a certificate alone": {
			map[string]string{tlsCert: f.Cert}, "certificate of this unit: CLEAVE_TLS_CERT_FILE is set: set CLEAVE_TLS_KEY_FILE and CLEAVE_TLS_CA_FILE, too",
		},
		"no authority": {
			map[string]string{tlsCert: f.Cert, tlsKey: f.Key}, "certificate of this unit: CLEAVE_TLS_CERT_FILE is set: set CLEAVE_TLS_CA_FILE, too",
		},
		"a key of the public port alone": {
			map[string]string{publicTLSKey: f.Key}, "certificate of the public port: CLEAVE_PUBLIC_TLS_KEY_FILE is set: set CLEAVE_PUBLIC_TLS_CERT_FILE, too",
		},
		"no file": {
			map[string]string{tlsCert: "nowhere", tlsKey: f.Key, tlsCA: f.CA}, "certificate of this unit: open nowhere: no such file or directory",
		},
		"the certificate of another unit": {
			map[string]string{tlsCert: f.Cert, tlsKey: f.Key, tlsCA: f.CA},
			"certificate of this unit: " + f.Cert + ": it is of the unit parity, which does not hold edge: take the certificate of spiffe://cleave/parity-edge, or name what the unit holds in the units of the map, see CLEAVE_MAP_FILE",
		},
		"another trust domain": {
			map[string]string{tlsCert: f.Cert, tlsKey: f.Key, tlsCA: f.CA, trustDomain: "shop.example"},
			"certificate of this unit: " + f.Cert + ": the certificate is of spiffe://cleave/parity, and the trust domain is shop.example",
		},
		"a peer with TLS": {
			map[string]string{"CLEAVE_ELSEWHERE_URL": "https://elsewhere"},
			"module elsewhere is at https://elsewhere: set CLEAVE_TLS_CERT_FILE, CLEAVE_TLS_KEY_FILE and CLEAVE_TLS_CA_FILE, for this unit to show who it is",
		},
		"a peer with TLS in capitals": {
			map[string]string{"CLEAVE_ELSEWHERE_URL": "HTTPS://elsewhere"}, "CLEAVE_ELSEWHERE_URL: is not a URL that begins with http:// or https:// and ends with the host, nor a list of such",
		},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			p := neighbourhood(t)
			p.Edge = []*rpc.Service{parityv1cleave.ParityService}
			if got := fails(t, p); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		certified bool
		env, want string
	}{
		"plain":                       {false, "", "http://elsewhere:9080"},
		"with certificates":           {true, "", "https://elsewhere:9080"},
		"with certificates, as asked": {true, "http://{module}:9080", "http://elsewhere:9080"},
		"with a pattern":              {true, "https://{module}.shop:443/", "https://elsewhere.shop:443"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.certified {
				certify(t, home.Unit("parity"), home)
			}
			t.Setenv(peerPattern, c.env)
			u, err := neighbourhood(t).load()
			if err != nil {
				t.Fatal(err)
			}
			if err := u.openCertificates(); err != nil {
				t.Fatal(err)
			}
			defer u.stop()
			if got := u.peerURL("elsewhere"); got != c.want {
				t.Errorf("elsewhere is at %s, want %s", got, c.want)
			}
		})
	}
}

// TestPublicTLS holds that the public port speaks TLS to people who know only the authority, in both versions of HTTP.
func TestPublicTLS(t *testing.T) {
	configure(t)
	home := mtlstest.New(t)
	f := mtlstest.NewFolder(t, home.Public())
	t.Setenv(publicTLSCert, f.Cert)
	t.Setenv(publicTLSKey, f.Key)
	p := neighbourhood(t)
	p.Edge = []*rpc.Service{parityv1cleave.ParityService}
	r := start(t, p)
	for _, version := range []int{1, 2} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == 1)
		protocols.SetHTTP2(version == 2)
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: home.Pool(), MaxVersion: tls.VersionTLS12}}
		client := &http.Client{Transport: transport}
		t.Cleanup(transport.CloseIdleConnections)
		response, err := client.Get(r.public)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.ProtoMajor != version {
			t.Errorf("GET / over HTTP/%d is answered %s over %s", version, response.Status, response.Proto)
		}
		if _, err := parityv1connect.NewParityServiceClient(client, r.public).Call(t.Context(), &parityv1.CallRequest{}); err != nil {
			t.Errorf("a call over HTTP/%d: %v", version, err)
		}
	}
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: home.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if response, err := (&http.Client{Transport: old}).Get(r.public); err == nil {
		response.Body.Close()
		t.Error("the public port speaks TLS 1.1")
	}
}
