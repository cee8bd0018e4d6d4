package app

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// visitor calls the public port of a program whose one method notes who calls.
type visitor struct {
	*running
	seen rpc.Principal
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	v := &visitor{}
	p := &parity{call: func(ctx context.Context) error {
		v.seen = rpc.MetadataOf(ctx).Principal
		return nil
	}}
	program := program(t, p.module())
	program.Edge = []*rpc.Service{parityv1cleave.ParityService}
	v.running = start(t, program)
	return v
}

// call calls with an Authorization header, unless it is empty, and returns the status and the sentence.
func (v *visitor) call(t *testing.T, authorization string) (status int, body string) {
	t.Helper()
	v.seen = rpc.Principal{}
	port := v.public[strings.LastIndex(v.public, ":"):]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1"+port+"/cleave.platform.parity.v1.ParityService/Call", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestIssuer holds that a program with an issuer takes people for who their tokens say, and nobody for the development user; and that
// it is ready, and there for everybody else, while the issuer is down.
func TestIssuer(t *testing.T) {
	configure(t)
	issuer := authtest.Start(t)
	issuer.Down(true)
	for name, value := range issuer.Env() {
		t.Setenv(name, value)
	}
	t.Setenv(oidcRolesClaim, "realm_access.roles")
	t.Setenv(corsOrigins, "*") // Only where there is a development user does this stop the start.
	v := newVisitor(t)
	token := issuer.Mint(issuer.Claims("usr_jane").With(authtest.Claims{"realm_access": map[string]any{"roles": []string{"staff"}}, "scope": "orders:read"}))
	if status, body := v.call(t, "Bearer "+token); status != http.StatusServiceUnavailable || !strings.Contains(body, "access tokens cannot be checked") {
		t.Errorf("with a token while the issuer is down: %d %s", status, body)
	}
	if status, body := v.call(t, ""); status != http.StatusOK || !v.seen.Anonymous() {
		t.Errorf("without a token while the issuer is down: %d %s, the module saw %+v", status, body, v.seen)
	}
	issuer.Down(false)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		status, body := v.call(t, "Bearer "+token)
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with a token when the issuer is back: %d %s", status, body)
		}
	}
	if want := (rpc.Principal{Subject: "usr_jane", Roles: []string{"staff"}, Scopes: []string{"orders:read"}}); !reflect.DeepEqual(v.seen, want) {
		t.Errorf("the module saw %+v, want %+v", v.seen, want)
	}
	if status, body := v.call(t, ""); status != http.StatusOK || !v.seen.Anonymous() {
		t.Errorf("without a token: %d %s, the module saw %+v", status, body, v.seen)
	}
	if status, body := v.call(t, "Bearer x"); status != http.StatusUnauthorized || !strings.Contains(body, "not a signed JWT") {
		t.Errorf("with a bad token: %d %s, the module saw %+v", status, body, v.seen)
	}
}

// TestNoIssuer holds who calls where nobody can sign in: the development user on loopback, and nobody where the network may call. The
// log says so.
func TestNoIssuer(t *testing.T) {
	for addr, c := range map[string]struct{ user, says string }{
		"127.0.0.1:0": {developmentUser, "nobody has to sign in"},
		":0":          {"", "nobody can sign in"},
	} {
		t.Run(addr, func(t *testing.T) {
			configure(t)
			t.Setenv(publicAddr, addr)
			v := newVisitor(t)
			if status, body := v.call(t, ""); status != http.StatusOK || v.seen.Subject != c.user {
				t.Errorf("%d %s, the module saw %+v", status, body, v.seen)
			}
			if status, _ := v.call(t, "Bearer x"); status != http.StatusUnauthorized {
				t.Errorf("a token that nobody can check: %d", status)
			}
			if !strings.Contains(v.said.String(), c.says) {
				t.Errorf("the log says %s", v.said)
			}
		})
	}
}
