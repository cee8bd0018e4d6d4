package app

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/telemetry"
)

// Whoever follows a piece of business through the logs finds also that a unit refused a call of it.
func TestLineOfARefusedCallBelongsToItsBusiness(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := httptest.NewRequest(http.MethodPost, "/cleave.orders.v1.OrderService/GetOrder", nil)
	if err := (rpc.Metadata{CorrelationID: "cor-1", Caller: "catalog"}).Encode(r.Header); err != nil {
		t.Fatal(err)
	}
	u := &unit{log: telemetry.NewLog(file, "json", slog.LevelInfo)}
	u.refuse(httptest.NewRecorder(), r, "catalog", "", errors.New("catalog does not call it"))
	line, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(line), `"correlation_id":"cor-1"`) {
		t.Errorf("it says %s", line)
	}
}
