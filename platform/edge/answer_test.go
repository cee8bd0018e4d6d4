package edge_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestAuthenticate holds that a module sees who was authenticated and nothing of how, and nobody who was not.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		authenticate func(*http.Request) (rpc.Principal, error)
		want         string
	}{
		"somebody":              {asUser, "usr_test"},
		"nobody":                {func(*http.Request) (rpc.Principal, error) { return rpc.Principal{}, nil }, ""},
		"where nobody signs in": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen http.Header
			var metadata rpc.Metadata
			door := edge.New(edge.Config{
				Services: []*rpc.Service{parityv1cleave.ParityService}, Authenticate: c.authenticate,
				Route: func(string) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen, metadata = r.Header, metadataOf(t, r) })
				},
			})
			post(t, serve(t, door).URL, http.Header{
				"Authorization": {"Bearer secret"}, "Cleave-Principal": {base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"usr_somebody"}`))},
			}, "{}")
			if metadata.Principal.Subject != c.want || metadata.Caller != "edge" {
				t.Errorf("the module saw %+v", metadata)
			}
			if token := seen.Values("Authorization"); len(token) > 0 {
				t.Errorf("the module saw the token %q", token)
			}
		})
	}
}

// TestRefused holds that who is refused learns it in the protocol that it speaks, and that no module does.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, refusing(t, func() error {
				err := connect.NewError(connect.CodeUnauthenticated, errors.New("the token is bad"))
				err.Meta().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
				return err
			})).URL
			_, err := p.client(t, url).Call(limited(t), &parityv1.CallRequest{})
			require(t, err, connect.CodeUnauthenticated, "the token is bad")
			var connectErr *connect.Error
			if errors.As(err, &connectErr); connectErr.Meta().Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Errorf("the answer has %v", connectErr.Meta())
			}
			stream, err := p.client(t, url).Watch(limited(t), &parityv1.WatchRequest{})
			if err == nil {
				stream.Receive()
				err = errors.Join(stream.Err(), stream.Close())
			}
			if connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("the stream ended with %v", err)
			}
		})
	}
	t.Run("an error of the edge's own", func(t *testing.T) {
		t.Parallel()
		url := serve(t, refusing(t, func() error { return errors.New("hunter2") })).URL
		_, err := protocols[0].client(t, url).Call(limited(t), &parityv1.CallRequest{})
		require(t, err, connect.CodeInternal, "internal error")
	})
	t.Run("no protocol", func(t *testing.T) {
		t.Parallel()
		url := serve(t, refusing(t, func() error { return connect.NewError(connect.CodeUnauthenticated, errors.New("the token is bad")) })).URL
		response, body := post(t, url, http.Header{"Content-Type": {"text/plain"}}, "{}")
		if response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(body, `"code":"unauthenticated"`) {
			t.Errorf("got %d %v %s", response.StatusCode, response.Header, body)
		}
	})
}

// TestChallenge holds that an answer with the status 401 says how to sign in also when a module has given it.
func TestChallenge(t *testing.T) {
	t.Parallel()
	for _, far := range []bool{false, true} {
		d := newDoor(t, far)
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("sign in"))
		}
		response, _ := post(t, d.url, http.Header{"Content-Type": {"application/json"}}, "{}")
		if response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("far: %v: got %d %v", far, response.StatusCode, response.Header)
		}
	}
}

// refusing is a door that lets nobody in.
func refusing(t *testing.T, why func() error) *edge.Edge {
	return edge.New(edge.Config{
		Services:     []*rpc.Service{parityv1cleave.ParityService},
		Authenticate: func(*http.Request) (rpc.Principal, error) { return rpc.Principal{}, why() },
		Route: func(string) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the module was called") })
		},
	})
}

// post calls a method as curl does.
func post(t *testing.T, url string, header http.Header, body string) (response *http.Response, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(limited(t), http.MethodPost, url+"/cleave.platform.parity.v1.ParityService/Call", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close, r.Header = true, header
	if response, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(read)
}
