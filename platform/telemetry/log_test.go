package telemetry

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/cleave-go/cleave/platform/rpc"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

// written returns what a log of the format writes into a file.
func written(t *testing.T, format string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx := rpc.WithMetadata(t.Context(), rpc.Metadata{CorrelationID: "cor-1", Trace: traceparent})
	log := NewLog(file, format, slog.LevelInfo).With("module", "orders")
	log.DebugContext(ctx, "not said")
	log.InfoContext(ctx, "it is done", "order", "ord_1")
	content, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// What is logged in the context of a call says of which business and which trace that is, though nobody says so where it is logged.
func TestLineSaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	var line map[string]string
	if err := json.Unmarshal([]byte(written(t, "auto")), &line); err != nil {
		t.Fatalf("a log that is no terminal is not one line of JSON: %v", err)
	}
	for key, want := range map[string]string{
		"level": "INFO", "msg": "it is done", "module": "orders", "order": "ord_1", "correlation_id": "cor-1",
		"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
	} {
		if line[key] != want {
			t.Errorf("%s is %q, want %q", key, line[key], want)
		}
	}
}

// What is no terminal gets no colours, also if it is text.
func TestLineForPeople(t *testing.T) {
	t.Parallel()
	want := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} INF it is done {31}module=orders order=ord_1 correlation_id=cor-1 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7\n$`)
	if got := written(t, "text"); !want.MatchString(got) {
		t.Errorf("the line is %q", got)
	}
}
