package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/cmd/internal/demo"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/postgres"
	"github.com/cleave-go/cleave/platform/topology"
)

// patience is after how long a test that hangs fails. No test that passes comes near it.
const patience = time.Minute

// drainDelay is how long the process serves on after it has said that it is not ready.
const drainDelay = 500 * time.Millisecond

// sku is in the demo catalogue.
const sku = "MUG-OAK-SMALL"

// privateDatabase follows one process and its private PostgreSQL through stops, kills and starts.
func privateDatabase(t *testing.T, binaries *topology.Binaries) {
	data := dataFolder(t)
	internal := "127.0.0.1:1"
	house := topology.Start(t, topology.Unit{
		Name: "all", Binary: binaries.Build(t, "cmd/all"), Edge: true,
		Env: map[string]string{"CLEAVE_DATA_DIR": data, "CLEAVE_INTERNAL_ADDR": internal, "CLEAVE_DRAIN_DELAY": drainDelay.String()},
	})
	unit := house.Unit("all")
	shopper := newShopper(t, house.Public())
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	available := func(t *testing.T) int64 {
		t.Helper()
		pieces, err := shopper.Available(ctx, sku)
		if err != nil {
			t.Fatal(err)
		}
		return pieces
	}

	t.Run("is filled when it is new", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "cleave demo", Binary: binaries.Build(t, "cmd/cleave"), Args: []string{"demo", "--url", house.Public()}})
		if code != 0 || !strings.HasSuffix(process.Stdout(), "\nEvery order ended as it should.\n") {
			t.Errorf("cleave demo ended with %d and said %s%s", code, process.Stdout(), process.Stderr())
		}
	})
	t.Run("comes without an internal port", func(t *testing.T) {
		// All modules are here, so nobody calls from elsewhere. That port 1 could not be opened is one proof, this is another.
		if conn, err := net.Dial("tcp", internal); err == nil {
			conn.Close()
			t.Error("the internal port is open")
		}
		if !strings.Contains(unit.Process().Stderr(), `"internal":""`) {
			t.Error("the log does not say that there is no internal port")
		}
	})
	t.Run("belongs to one process", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "second", Binary: binaries.Build(t, "cmd/all"), Env: map[string]string{
			"CLEAVE_DATA_DIR": data, "CLEAVE_PUBLIC_ADDR": "127.0.0.1:0", "CLEAVE_ADMIN_ADDR": "127.0.0.1:0",
		}})
		if code != 1 || !strings.HasPrefix(process.LastLine(), "all: ") || !strings.Contains(process.LastLine(), "in use") {
			t.Errorf("a second process ended with %d and said %q", code, process.LastLine())
		}
	})

	before := available(t)
	t.Run("loses nothing when the process is stopped under load", func(t *testing.T) {
		accepted := stopUnderLoad(t, unit, shopper)
		requireClean(t, unit)
		unit.Restart(t)
		for _, orderID := range accepted {
			order, err := shopper.Watch(ctx, orderID, 0)
			if err != nil || order.GetState() != ordersv1.OrderState_ORDER_STATE_CONFIRMED {
				t.Errorf("order %s was accepted and ended %v, %v", orderID, order.GetState(), err)
			}
		}
		if got, want := available(t), before-int64(len(accepted)); got != want {
			t.Errorf("%d pieces are left, want %d: the data were not kept or filled in again", got, want)
		}
	})

	t.Run("is adopted when the process was killed", func(t *testing.T) {
		before := available(t)
		order, err := shopper.Buy(ctx, "pm_card_visa", map[string]int64{sku: 1})
		if err != nil {
			t.Fatal(err)
		}
		unit.Kill()
		unit.Restart(t)
		unit.Process().Expect(t, "adopted the private PostgreSQL")
		kept, err := shopper.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: order.GetId()})
		if err != nil || kept.GetOrder().GetState() != ordersv1.OrderState_ORDER_STATE_CONFIRMED {
			t.Errorf("the order is %v, %v", kept.GetOrder().GetState(), err)
		}
		if got := available(t); got != before-1 {
			t.Errorf("%d pieces are left, want %d", got, before-1)
		}
	})

	t.Run("stops cleanly while somebody watches", func(t *testing.T) {
		end := watch(t, ctx, shopper)
		began := time.Now()
		unit.Process().Stop(t)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the stop took %v: it waited for whoever watches", took)
		}
		if err := <-end; connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("the watch ended with %v, want unavailable", err)
		}
		requireClean(t, unit)
	})

	t.Run("takes the process with it when it dies", func(t *testing.T) {
		process := topology.Launch(t, topology.Program{Name: "all", Binary: binaries.Build(t, "cmd/all"), Env: map[string]string{
			"CLEAVE_DATA_DIR": data, "CLEAVE_PUBLIC_ADDR": "127.0.0.1:0", "CLEAVE_ADMIN_ADDR": "127.0.0.1:0",
		}})
		process.Expect(t, `"msg":"ready"`)
		if err := syscall.Kill(serverPID(t, data), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if code := process.Wait(t); code != 1 || !strings.HasPrefix(process.LastLine(), "all: the private PostgreSQL has stopped") {
			t.Errorf("it ended with %d and said %q", code, process.LastLine())
		}
	})
}

// stopUnderLoad asks the process to stop while many call it. As a balancer does, they send nothing new once it says that it is not
// ready. It returns the ids of the orders that were accepted, and fails the test if anything else was not.
func stopUnderLoad(t *testing.T, unit *topology.Running, shopper *demo.Shopper) []string {
	t.Helper()
	load := newLoad(t, shopper)
	load.begin(8)
	load.await(t, 40)
	unit.Process().Signal(syscall.SIGTERM)
	red := time.Now()
	for unit.NotReady(t.Context()) == "" {
		if time.Since(red) > patience {
			t.Fatal("the process does not say that it is not ready")
		}
	}
	// It still serves: a balancer needs a moment to learn of it.
	if _, err := shopper.Available(t.Context(), sku); err != nil {
		t.Errorf("not ready, it does not serve any more: %v", err)
	}
	load.end()
	if code := unit.Process().Wait(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	return load.accepted
}

// watch watches an order that does not settle. It returns when the watch has begun; how it ends comes over the channel.
func watch(t *testing.T, ctx context.Context, shopper *demo.Shopper) <-chan error {
	t.Helper()
	cart, err := shopper.Carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
	if err != nil {
		t.Fatal(err)
	}
	cartID := cart.GetCart().GetId()
	if _, err := shopper.Carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: id.New("rq"), CartId: cartID, Sku: sku, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	quote, err := shopper.Carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID})
	if err != nil {
		t.Fatal(err)
	}
	order, err := shopper.Orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{
		RequestId: id.New("rq"), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_provider_down",
	})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := shopper.Orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: order.GetOrder().GetId()})
	if err != nil || !stream.Receive() {
		t.Fatalf("the watch did not begin: %v", errors.Join(err, stream.Err()))
	}
	ends := make(chan error, 1)
	go func() {
		for stream.Receive() {
		}
		ends <- stream.Err()
		stream.Close()
	}()
	return ends
}

// requireClean requires that the process has stopped its database in order.
func requireClean(t *testing.T, unit *topology.Running) {
	t.Helper()
	log := unit.Process().Stderr()
	for _, text := range []string{"did not stop cleanly", "cut off", `"level":"ERROR"`} {
		if strings.Contains(log, text) {
			t.Errorf("the log of the stop says %q", text)
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(log), `"msg":"stopped"}`) {
		t.Error("the log does not end with the stop")
	}
}

// dataFolder returns an empty folder that also PostgreSQL's own user can reach, and removes the database in it at the end.
func dataFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := postgres.Remove(context.Background(), filepath.Join(dir, "postgres")); err != nil {
			t.Errorf("remove the private database: %v", err)
		}
	})
	return dir
}

// serverPID returns the process id of the private PostgreSQL.
func serverPID(t *testing.T, data string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// newShopper returns a customer with connections of their own.
func newShopper(t *testing.T, url string) *demo.Shopper {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return demo.NewShopper(&http.Client{Transport: transport}, url, io.Discard)
}
