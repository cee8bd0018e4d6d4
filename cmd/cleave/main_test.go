package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
)

// run runs the tool and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := command()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// nobody returns a URL at which nobody answers.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

// TestDemo shops where that cannot go well. That it goes well in a real shop is held by the scenarios.
func TestDemo(t *testing.T) {
	t.Parallel()
	empty := http.NewServeMux()
	empty.Handle(catalogv1connect.NewCatalogServiceHandler(catalogv1connect.UnimplementedCatalogServiceHandler{}))
	other := httptest.NewServer(empty)
	t.Cleanup(other.Close)
	stranger := httptest.NewUnstartedServer(empty)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	url := nobody(t)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"nobody answers", []string{"demo", "--url", url}, "nobody answers at " + url + ": start it with make run, or name another with --url"},
		{"something else answers", []string{"demo", "--url", other.URL}, "browse: " + connect.CodeUnimplemented.String()},
		{"no URL", []string{"demo", "--url", "shop"}, "shop"},
		{"no time", []string{"demo", "--url", other.URL, "--timeout", "1ns"}, "deadline"},
		{"an authority that nobody knows", []string{"demo", "--url", stranger.URL}, "name the file of the authority in SSL_CERT_FILE"},
		{"nobody answers the seed", []string{"seed", "--url", url}, "nobody answers at " + url + ": start it with make run, or name another with --url"},
		{"a word too many", []string{"demo", "now"}, `unknown command "now" for "cleave demo"`},
		{"an unknown command", []string{"shop"}, `unknown command "shop" for "cleave"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s in one line", err, c.want)
			}
		})
	}
}

// TestTokenStays holds that a token is shown to whom it is for, and not to whom that one points.
func TestTokenStays(t *testing.T) {
	t.Parallel()
	shown := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown <- "elsewhere " + r.Header.Get("Authorization") }))
	t.Cleanup(elsewhere.Close)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- "shop " + r.Header.Get("Authorization")
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(shop.Close)
	if _, err := run(t, "seed", "--url", shop.URL, "--token", "secret"); err == nil {
		t.Error("the seed has gone well")
	}
	close(shown)
	if first := <-shown; first != "shop Bearer secret" {
		t.Errorf("the first request was %q", first)
	}
	for more := range shown {
		t.Errorf("and then %q", more)
	}
}

// TestHelp holds that each command names its flags with their defaults.
func TestHelp(t *testing.T) {
	t.Parallel()
	for command, flags := range map[string][]string{
		"demo": {"--url string", `(default "http://127.0.0.1:8080")`, "--timeout duration", "(default " + time.Minute.String() + ")"},
		"seed": {"--url string", `(default "http://127.0.0.1:8080")`, "--token string", "CLEAVE_TOKEN"},
		"":     {"demo", "seed"},
	} {
		printed, err := run(t, strings.Fields(command+" --help")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range flags {
			if !strings.Contains(printed, flag) {
				t.Errorf("cleave %s --help does not say %s:\n%s", command, flag, printed)
			}
		}
	}
}
