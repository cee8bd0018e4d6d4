package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// patience is after how long a test that hangs fails.
const patience = 30 * time.Second

// noTables are the migrations of a module that keeps nothing.
var noTables = fstest.MapFS{"migrations/00001_nothing.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}

// parity is the module of a service that does what a test says.
type parity struct {
	parityv1connect.UnimplementedParityServiceHandler
	watch func(context.Context, *connect.ServerStream[parityv1.WatchResponse]) error
	call  func(context.Context) error
}

func (p *parity) Call(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{}, p.call(ctx)
}

func (p *parity) Watch(ctx context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
	return p.watch(ctx, stream)
}

// module returns the module, which declares what it serves.
func (p *parity) module() module.Module {
	return module.Module{
		Name: "parity", Serves: []*rpc.Service{parityv1cleave.ParityService}, Migrations: noTables,
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{parityv1cleave.NewParityServiceHandler(p)}, nil
		},
	}
}

// program returns a program of modules whose map is drawn from them.
func program(t *testing.T, modules ...module.Module) Program {
	t.Helper()
	text, err := json.Marshal(module.NewMap(modules))
	if err != nil {
		t.Fatal(err)
	}
	return Program{Name: "test", Modules: modules, Map: text}
}

// configure sets the environment of a program: a database of its own, and ports that the system chooses.
func configure(t *testing.T) {
	t.Helper()
	t.Setenv("DATABASE_URL", postgrestest.Database(t))
	for _, name := range []string{publicAddr, internalAddr, adminAddr} {
		t.Setenv(name, "127.0.0.1:0")
	}
	t.Setenv("CLEAVE_LOG_LEVEL", "error")
}

// fails starts a program that must not start, and returns why it did not.
func fails(t *testing.T, p Program) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	u, err := p.load()
	if err == nil {
		err = u.serve(ctx)
	}
	if err == nil {
		t.Fatal("it started")
	}
	return err.Error()
}

// running is a program at work.
type running struct {
	*unit
	stopNow context.CancelFunc
	ended   chan error
	// The URLs of its ports; empty for those that are not open.
	public, internal, admin string
	said                    *buffer // Its log.
}

// start starts a program and waits until it is ready. It is stopped at the end of the test.
func start(t *testing.T, p Program) *running {
	t.Helper()
	u, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	u.log = slog.New(slog.NewJSONHandler(&log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{unit: u, stopNow: cancel, ended: make(chan error, 1), said: &log}
	go func() { r.ended <- u.serve(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	for deadline := time.Now().Add(patience); !u.health.Report(t.Context()).Ready; time.Sleep(time.Millisecond) {
		select {
		case err := <-r.ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not ready")
		}
	}
	r.public, r.internal, r.admin = log.addresses(t)
	return r
}

// buffer is a log.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// addresses waits for the line that tells where the program listens.
func (b *buffer) addresses(t *testing.T) (public, internal, admin string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for line := range strings.Lines(b.String()) {
			var record struct{ Msg, Public, Internal, Admin string }
			if err := json.Unmarshal([]byte(line), &record); err == nil && record.Msg == "ready" {
				return record.Public, record.Internal, record.Admin
			}
		}
	}
	t.Fatal("the log does not say that the program is ready")
	return "", "", ""
}

// stop stops the program, unless it was stopped.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.stopNow()
	select {
	case err, open := <-r.ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
		if open {
			close(r.ended)
		}
	case <-time.After(patience):
		t.Fatal("it did not stop")
	}
}
