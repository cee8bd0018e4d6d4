package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1connect"
)

// forgetful is a module that forgets, unless it is away.
type forgetful struct {
	personv1connect.UnimplementedPersonServiceHandler
	away   bool
	erased []string // Under which ids.
}

func (f *forgetful) EraseEmail(_ context.Context, r *personv1.EraseEmailRequest) (*personv1.EraseEmailResponse, error) {
	if f.away {
		return nil, connect.NewError(connect.CodeUnavailable, context.DeadlineExceeded)
	}
	f.erased = append(f.erased, r.GetErasureId())
	return &personv1.EraseEmailResponse{}, nil
}

// TestPeopleEraseEmail has an address forgotten while a module is away: what has been done has one report, however often it takes.
func TestPeopleEraseEmail(t *testing.T) {
	t.Parallel()
	names := []string{"catalog", "identity", "inventory", "notifications", "orders", "payments"}
	modules := map[string]*forgetful{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(names) })
	for _, name := range names {
		modules[name] = &forgetful{}
		path, handler := personv1connect.NewPersonServiceHandler(modules[name])
		mux.Handle("/modules/"+name+path, http.StripPrefix("/modules/"+name, handler))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	erase := []string{"people", "erase", "--email", "grace@example.org", "--admin", server.URL}
	modules["catalog"].away = true // It is asked last.
	printed, err := run(t, erase...)
	erasureID := regexp.MustCompile("ers_[0-9a-f]{32}").FindString(printed)
	if err == nil || erasureID == "" || !strings.Contains(err.Error(), "--erasure "+erasureID) || strings.Contains(printed, "grace") {
		t.Fatalf("while a module is away it says %q: %v", printed, err)
	}
	modules["catalog"].away = false
	if printed, err := run(t, append(erase, "--erasure", erasureID)...); err != nil {
		t.Fatalf("again: %q: %v", printed, err)
	}
	if got := modules["orders"].erased; !slices.Equal(got, []string{erasureID, erasureID}) {
		t.Errorf("orders reports under %q, want %q twice", got, erasureID)
	}
	if got := modules["catalog"].erased; !slices.Equal(got, []string{erasureID}) {
		t.Errorf("catalog reports under %q, want %q", got, erasureID)
	}
	if _, err := run(t, "people", "erase", "usr_1", "--erasure", erasureID, "--admin", server.URL); err == nil || !strings.Contains(err.Error(), "--email") {
		t.Errorf("a person under the id of an erasure of an address: %v", err)
	}
}
