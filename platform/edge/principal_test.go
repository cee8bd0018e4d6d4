package edge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The development user is whoever sits at this machine: not who comes through a proxy, nor a web page whose name leads here.
func TestDevelopmentUserIsOnThisMachine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*http.Request)
		known  bool
	}{
		"by address":        {func(*http.Request) {}, true},
		"by name":           {func(r *http.Request) { r.Host = "localhost:8080" }, true},
		"another name":      {func(r *http.Request) { r.Host = "rebound.example:8080" }, false},
		"another address":   {func(r *http.Request) { r.Host = "192.0.2.1" }, false},
		"through a proxy":   {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, false},
		"through a proxy 2": {func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.1") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, false)
			var seen rpc.Principal
			d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				seen = rpc.MetadataOf(ctx).Principal
				return &parityv1.CallResponse{}, nil
			}
			request, err := http.NewRequestWithContext(limited(t), http.MethodPost, d.url+"/cleave.platform.parity.v1.ParityService/Call", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			test.change(request)
			answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Fatal(answer.Status)
			}
			if seen.Anonymous() == test.known {
				t.Errorf("the module saw %+v", seen)
			}
		})
	}
}
