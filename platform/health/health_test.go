package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleave-go/cleave/platform/health"
)

// However many want an answer at once or soon after each other, it is asked for once, and it gets old.
func TestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := atomic.Int64{}
		a := health.NewAnswer(time.Second, 2*time.Second, func(context.Context) int64 {
			time.Sleep(500 * time.Millisecond)
			return asked.Add(1)
		})
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() {
				if got, known := a.Get(t.Context()); got != 1 || !known {
					t.Errorf("got %d, %v, want the first", got, known)
				}
			})
		}
		waiting.Wait()
		time.Sleep(999 * time.Millisecond)
		if got, _ := a.Get(t.Context()); got != 1 {
			t.Errorf("before it is old it is asked for again: %d", got)
		}
		time.Sleep(time.Millisecond)
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, known := a.Get(hurried); known {
			t.Error("who cannot wait gets an old answer")
		}
		if got, _ := a.Get(t.Context()); got != 2 {
			t.Errorf("when it is old one gets %d, want the second", got)
		}
	})
}

// client calls gRPC's service of health.
type client struct {
	check, watch *connect.Client[healthv1.HealthCheckRequest, healthv1.HealthCheckResponse]
	list         *connect.Client[healthv1.HealthListRequest, healthv1.HealthListResponse]
}

func (c client) Check(ctx context.Context, r *healthv1.HealthCheckRequest) (healthv1.HealthCheckResponse_ServingStatus, error) {
	answer, err := c.check.CallUnary(ctx, connect.NewRequest(r))
	if err != nil {
		return 0, err
	}
	return answer.Msg.GetStatus(), nil
}

func (c client) Watch(ctx context.Context, r *healthv1.HealthCheckRequest) (*connect.ServerStreamForClient[healthv1.HealthCheckResponse], error) {
	return c.watch.CallServerStream(ctx, connect.NewRequest(r))
}

// port serves a program's health, over HTTP/1.1 and HTTP/2.
func port(t *testing.T, h *health.Health) (string, client) {
	t.Helper()
	mux := http.NewServeMux()
	h.Handle(mux)
	mux.Handle(h.GRPC())
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(h.End)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	web, path := &http.Client{Transport: transport}, server.URL+"/grpc.health.v1.Health/"
	return server.URL, client{
		check: connect.NewClient[healthv1.HealthCheckRequest, healthv1.HealthCheckResponse](web, path+"Check", connect.WithGRPC()),
		watch: connect.NewClient[healthv1.HealthCheckRequest, healthv1.HealthCheckResponse](web, path+"Watch", connect.WithGRPC()),
		list:  connect.NewClient[healthv1.HealthListRequest, healthv1.HealthListResponse](web, path+"List", connect.WithGRPC()),
	}
}

// What gRPC is told follows what is: before the start, when a database goes and comes back, and at the end. A service is as well as what it
// needs; one that is not here is not found, but may be waited for.
func TestGRPC(t *testing.T) {
	t.Parallel()
	h := health.New()
	var down atomic.Bool
	h.Add("database of orders", func(context.Context) error {
		if down.Load() {
			return errors.New("the database of orders does not answer")
		}
		return nil
	})
	h.Add("database of catalog", func(context.Context) error { return nil })
	h.Serve("cleave.orders.v1.OrderService", "database of orders")
	h.Serve("cleave.catalog.v1.CatalogService", "database of catalog")
	url, client := port(t, h)
	check := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		t.Helper()
		answer, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	watch := func(service string) (next func() string) {
		stream, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stream.Close() })
		return func() string {
			if !stream.Receive() {
				return connect.CodeOf(stream.Err()).String()
			}
			return stream.Msg().GetStatus().String()
		}
	}
	next := func(what string, next func() string, want string) {
		t.Helper()
		if got := next(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	orders, all, nobody := watch("cleave.orders.v1.OrderService"), watch(""), watch("cleave.nobody.v1.NobodyService")
	next("orders before the start", orders, "NOT_SERVING")
	next("the program before the start", all, "NOT_SERVING")
	next("nobody", nobody, "SERVICE_UNKNOWN")

	h.Ready()
	next("orders after the start", orders, "SERVING")
	next("the program after the start", all, "SERVING")
	down.Store(true)
	next("orders without a database", orders, "NOT_SERVING")
	next("the program without one", all, "NOT_SERVING")
	if got := check("cleave.catalog.v1.CatalogService"); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("the catalog, which has its database: %s", got)
	}
	if err := health.Ask(t.Context(), url[len("http://"):], health.ReadyPath); err == nil || err.Error() != "the database of orders does not answer" {
		t.Errorf("asked whether it is ready it says %v", err)
	}
	for _, path := range []string{health.LivePath, health.StartupPath} {
		if err := health.Ask(t.Context(), url[len("http://"):], path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	down.Store(false)
	next("orders with it again", orders, "SERVING")
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "cleave.nobody.v1.NobodyService"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a service that is not here: %v, want not_found", err)
	}
	if list, err := client.list.CallUnary(t.Context(), connect.NewRequest(&healthv1.HealthListRequest{})); err != nil || len(list.Msg.GetStatuses()) != 3 {
		t.Errorf("the list is %v, %v", list, err)
	}
	h.Doing("stopping")
	next("orders at the end", orders, "NOT_SERVING")
	h.End()
	next("orders after the end", orders, "unavailable")
}

// Nobody can have so many streams open that nothing is left.
func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	_, client := port(t, health.New())
	open := func() error {
		stream, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			return err
		}
		t.Cleanup(func() { stream.Close() })
		if !stream.Receive() {
			return stream.Err()
		}
		return nil
	}
	for n := range 100 {
		if err := open(); err != nil {
			t.Fatalf("stream %d: %v", n, err)
		}
	}
	if err := open(); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one more: %v, want resource_exhausted", err)
	}
}

// A container may listen on all addresses of IPv6 and have none of its own.
func TestAskWhereThereIsNoIPv6(t *testing.T) {
	t.Parallel()
	h := health.New()
	h.Ready()
	url, _ := port(t, h) // On IPv4 only.
	number := url[strings.LastIndex(url, ":")+1:]
	for _, host := range []string{"", "0.0.0.0", "[::]", "127.0.0.1"} {
		if err := health.Ask(t.Context(), host+":"+number, health.ReadyPath); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
