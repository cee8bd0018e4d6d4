package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// TestProcess runs the provider as people do.
func TestProcess(t *testing.T) {
	binary := topology.NewBinaries(t).Build(t, "cmd/sandbox")

	t.Run("without a database", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "sandbox", Binary: binary})
		if code != 1 || !strings.HasPrefix(process.LastLine(), "sandbox: DATABASE_URL is not set") {
			t.Errorf("it ended with %d and said %q", code, process.LastLine())
		}
	})

	t.Run("remembers", func(t *testing.T) {
		program := topology.Program{Name: "sandbox", Binary: binary, Env: map[string]string{
			"DATABASE_URL": postgrestest.Database(t), "CLEAVE_SANDBOX_ADDR": "127.0.0.1:0",
		}}
		p := provider{http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
		start := func() *topology.Process {
			process := topology.Launch(t, program)
			process.Expect(t, "the sandbox provider listens on")
			_, p.url, _ = strings.Cut(process.LastLine(), "listens on ")
			return process
		}
		visa := sandbox.Authorization{Reference: "ord_1", Amount: 1000, Currency: "EUR", PaymentMethod: sandbox.MethodVisa}

		process := start()
		var first, again sandbox.Answer
		p.call(t, http.MethodPost, "/v1/charges", "k1", visa, &first)
		process.Kill()
		process = start()
		p.call(t, http.MethodPost, "/v1/charges", "k1", visa, &again)
		if first.ChargeID == "" || again != first {
			t.Errorf("before the kill it was %v, after it %v", first, again)
		}

		p.call(t, http.MethodPost, "/v1/control", "", sandbox.Control{Down: true}, nil)
		if response, err := p.send(http.MethodPost, "/v1/charges", "k2", visa); err == nil {
			response.Body.Close()
			t.Errorf("down, it answered %s", response.Status)
		}
		check := topology.Program{Name: "healthcheck", Binary: binary, Args: []string{"healthcheck"}, Env: map[string]string{"CLEAVE_SANDBOX_ADDR": strings.TrimPrefix(p.url, "http://")}}
		if process, code := topology.Run(t, check); code != 0 || process.Stdout() != "ready\n" {
			t.Errorf("of a process that plays dead healthcheck ended with %d and said %q", code, process.LastLine())
		}
		p.call(t, http.MethodPost, "/v1/control", "", sandbox.Control{LoseReplies: 1}, nil)
		if response, err := p.send(http.MethodPost, "/v1/charges", "k2", visa); err == nil {
			response.Body.Close()
			t.Errorf("the reply was to be lost, it is %s", response.Status)
		}
		p.call(t, http.MethodPost, "/v1/control", "", sandbox.Control{}, nil)

		var page sandbox.Page
		p.call(t, http.MethodGet, "/v1/charges", "", nil, &page)
		if len(page.Charges) != 2 || page.Charges[0].ID != first.ChargeID || page.Charges[0].Operations[0].Requests != 2 ||
			page.Charges[1].Operations[0].Key != "k2" || page.Charges[1].Operations[0].Requests != 1 {
			t.Errorf("the log is %+v", page)
		}
		process.Stop(t)
		if process, code := topology.Run(t, check); code != 1 || !strings.HasPrefix(process.LastLine(), "sandbox: not ready: nobody answers at 127.0.0.1:") {
			t.Errorf("of nobody healthcheck ended with %d and said %q", code, process.LastLine())
		}
	})
}

// provider is the process as its callers see it.
type provider struct {
	url  string
	http *http.Client
}

func (p provider) send(method, path, key string, request any) (*http.Response, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set(sandbox.KeyHeader, key)
	return p.http.Do(r)
}

func (p provider) call(t *testing.T, method, path, key string, request, reply any) {
	t.Helper()
	response, err := p.send(method, path, key, request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if reply == nil {
		return
	}
	if err := json.NewDecoder(response.Body).Decode(reply); err != nil {
		t.Fatal(err)
	}
}
