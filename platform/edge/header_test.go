package edge_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// raw sends a request as it stands over HTTP/1.1 and returns the answer.
func raw(t *testing.T, d *door, request string) (*http.Response, string) {
	t.Helper()
	conn := dial(t, d)
	go io.WriteString(conn, request) // An answer may come before all is sent.
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// TestEveryAnswer holds what every answer has, whatever was asked: a correlation id, and the headers that keep browsers from doing more
// with it than they should.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a method":             {"POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 200},
		"bad input":            {"POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{", 400},
		"another content type": {"POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx", 415},
		"another verb":         {"GET " + callPath + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		"the index":            {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		"nothing":              {"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		"options of all":       {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		"a tunnel":             {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 404},
		"an echo":              {"TRACE " + callPath + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		"too much":             {"POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n", 413},
		"many headers":         {"GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-Many: x\r\n", 101) + "\r\n", 431},
		"large headers":        {"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", 431},
		"a page elsewhere":     {"POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n", 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, false)
			d.call = fine
			response, text := raw(t, d, c.request)
			if response.StatusCode != c.status {
				t.Errorf("got %d %s, want %d", response.StatusCode, text, c.status)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
				"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
				"Strict-Transport-Security": "", "Server": "", "X-Powered-By": "", // Without TLS, and at any time.
			} {
				if got := response.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if len(response.Header.Values(edge.CorrelationHeader)) != 1 || !rpc.ValidID(response.Header.Get(edge.CorrelationHeader)) {
				t.Errorf("the correlation id is %q", response.Header.Values(edge.CorrelationHeader))
			}
		})
	}
}

// TestManyHeaders holds that headers that are too many or too large are refused in the protocol of the client.
func TestManyHeaders(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, false)
			d.forbid(t)
			for _, header := range []http.Header{{"X-Large": {strings.Repeat("x", 17<<10)}}, {"X-Many": strings.Split(strings.Repeat("x", 101), "")}} {
				ctx, info := connect.NewClientContext(limited(t))
				for name, values := range header {
					info.RequestHeader()[name] = values
				}
				_, err := p.client(t, d.url).Call(ctx, &parityv1.CallRequest{})
				require(t, err, connect.CodeResourceExhausted, "the headers are more than 100 lines or 16384 bytes")
			}
		})
	}
}

// metadataOf returns what a module believes of a request: near what is in its context, and far what is in its headers.
func metadataOf(t *testing.T, r *http.Request) rpc.Metadata {
	t.Helper()
	if metadata := rpc.MetadataOf(r.Context()); metadata.Caller != "" {
		return metadata
	}
	metadata, err := rpc.DecodeMetadata(r.Header)
	if err != nil {
		t.Error(err)
	}
	return metadata
}

// TestForeignHeaders holds that no client can set, spell differently, double or take away a header that modules believe, nor hand them
// anything else that is not for them; near and far.
func TestForeignHeaders(t *testing.T) {
	t.Parallel()
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"usr_somebody","roles":["admin"]}`))
	for name, lines := range map[string]string{
		"set":                      "Cleave-Principal: " + admin + "\r\nCleave-Caller: orders\r\nCleave-Request-Id: x\r\nCleave-Correlation-Id: x\r\n",
		"small letters":            "cleave-principal: " + admin + "\r\ncleave-caller: orders\r\n",
		"capitals":                 "CLEAVE-PRINCIPAL: " + admin + "\r\nCLEAVE-CALLER: orders\r\n",
		"underscores":              "Cleave_Principal: " + admin + "\r\nCleave_Caller: orders\r\n",
		"twice":                    "Cleave-Principal: " + admin + "\r\nCleave-Principal: " + admin + "\r\n",
		"taken away":               "Connection: Cleave-Principal, Cleave-Caller, Cleave-Correlation-Id\r\n",
		"taken away, in capitals":  "Connection: CLEAVE-PRINCIPAL\r\nConnection: cleave-caller, close\r\n",
		"the correlation id":       "Connection: X-Correlation-Id, Content-Type\r\n",
		"an upgrade":               "Connection: Upgrade, Cleave-Principal\r\nUpgrade: websocket\r\n",
		"secrets":                  "Cookie: session=1\r\nProxy-Authorization: Basic x\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-Ip: 192.0.2.1\r\n",
		"another way to say verbs": "X-Http-Method-Override: GET\r\nX-Original-Url: /admin\r\nX-Rewrite-Url: /admin\r\n",
	} {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", name, far), func(t *testing.T) {
				t.Parallel()
				var seen http.Header
				var metadata rpc.Metadata
				module := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen, metadata = r.Header.Clone(), metadataOf(t, r) })
				d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
					c.Route = func(string) http.Handler {
						if far {
							return forward(t, serve(t, module).URL)
						}
						return module
					}
				})
				response, text := raw(t, d, "POST "+callPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"+lines+"X-Correlation-Id: mine\r\n\r\n{}")
				if response.StatusCode != http.StatusOK || response.Header.Get(edge.CorrelationHeader) != "mine" {
					t.Fatalf("got %d %v %s", response.StatusCode, response.Header, text)
				}
				if metadata.Principal.Subject != user.Subject || metadata.Caller != rpc.EdgeCaller || metadata.CorrelationID != "mine" || !strings.HasPrefix(metadata.RequestID, "req_") {
					t.Errorf("the module saw %+v", metadata)
				}
				known := "Accept Accept-Encoding Content-Length Content-Type User-Agent"
				if far {
					known += " Connect-Timeout-Ms Cleave-Principal Cleave-Caller Cleave-Request-Id Cleave-Correlation-Id"
				}
				for name, values := range seen {
					if !strings.Contains(" "+known+" ", " "+name+" ") || len(values) != 1 {
						t.Errorf("the module saw %s: %q", name, values)
					}
				}
			})
		}
	}
}

// TestOnePath holds that a method has one path, and that what is not public has none, however it is spelt.
func TestOnePath(t *testing.T) {
	t.Parallel()
	const public, internal = callPath, "/cleave.platform.parity.v1.ParityService/Look"
	for _, far := range []bool{false, true} {
		t.Run(fmt.Sprintf("far: %v", far), func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, far)
			d.call = fine
			for _, target := range []string{
				internal, "/" + internal, internal + "/", "/." + internal, "/x/.." + internal, public + "/../Look", public + "/%2e%2e/Look", "/modules/parity" + internal,
				"/%63" + internal[2:], strings.Replace(internal, "/Look", "%2fLook", 1), strings.Replace(internal, "/Look", "%2FLook", 1), strings.Replace(internal, "/Look", "%252fLook", 1),
				strings.Replace(internal, "/Look", `\Look`, 1), internal + "%00", public + "%00", internal + ";x=1", public + ";x=1", strings.ToUpper(internal), strings.ToLower(public),
				"http://localhost" + internal, "http://localhost:9080" + internal, public + "/", "/" + public, "//localhost" + public, "/%63" + public[2:],
				strings.Replace(public, "/Call", "%2fCall", 1), "/metrics", "/debug/pprof/", "/debug/pprof/profile", "/livez", "/readyz", "/modules", "/jobs",
				"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check", "/.git/config", "/.env",
			} {
				for _, verb := range []string{"POST", "GET", "PUT", "connect"} {
					response, text := raw(t, d, verb+" "+target+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
					if response.StatusCode != http.StatusNotFound || !strings.Contains(text, `"code":"unimplemented"`) {
						t.Errorf("%s %s: got %d %s", verb, target, response.StatusCode, text)
					}
				}
			}
			// An absolute path is what proxies send; it means the same.
			if response, text := raw(t, d, "POST http://localhost"+public+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"); response.StatusCode != http.StatusOK {
				t.Errorf("an absolute path: got %d %s", response.StatusCode, text)
			}
		})
	}
}

// TestHSTS holds that browsers are told to stay with TLS where there is TLS, but for what is a developer's own machine: a browser would
// keep it for every other port of that.
func TestHSTS(t *testing.T) {
	t.Parallel()
	door := serveTLS(t, edge.New(edge.Config{Services: nil}))
	const stay = "max-age=31536000; includeSubDomains"
	for host, want := range map[string]string{
		"shop.example": stay, "shop.example:8443": stay, "localhost.example": stay, "notlocalhost": stay, "192.0.2.1": stay, "": "", // It has the address then.
		"localhost": "", "localhost:8443": "", "LOCALHOST.": "", "shop.localhost:8443": "", "127.0.0.1:8443": "", "127.1.2.3": "", "[::1]:8443": "", "[::1]": "",
	} {
		r, err := http.NewRequestWithContext(limited(t), http.MethodGet, door.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := door.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: it is %q, want %q", host, got, want)
		}
	}
}

// TestDrain holds that a process that is about to stop serves on, and lets go of its connections: of HTTP/1.1 with the next answer, of
// HTTP/2 when what runs on them has ended.
func TestDrain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		d.call = fine
		begun, end := make(chan struct{}), make(chan struct{})
		d.watch = func(_ context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
			begun <- struct{}{}
			<-end
			return stream.Send(&parityv1.WatchResponse{})
		}
		conns := &counter{}
		transport := &http.Transport{Protocols: versions(!p.http2, p.http2), DialContext: conns.dial}
		t.Cleanup(transport.CloseIdleConnections)
		client := parityv1connect.NewParityServiceClient(&http.Client{Transport: transport}, d.url, p.options...)
		call := func() {
			t.Helper()
			if _, err := client.Call(limited(t), &parityv1.CallRequest{}); err != nil {
				t.Errorf("a call failed: %v", err)
			}
		}
		call()
		watched := make(chan error, 1)
		go func() {
			stream, err := client.Watch(limited(t), &parityv1.WatchRequest{})
			if err == nil {
				for stream.Receive() {
				}
				err = stream.Err()
				stream.Close()
			}
			watched <- err
		}()
		<-begun
		d.drain()
		call()
		before := conns.n.Load()
		call()
		if conns.n.Load() == before {
			t.Error("the connection is used after it was said that the process is about to stop")
		}
		close(end)
		if err := <-watched; err != nil {
			t.Errorf("a stream that was open: %v", err)
		}
	})
}
