package observability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/topology"
)

// patience bounds every wait. It is generous, because a machine may run other tests at the same time.
const patience = 60 * time.Second

// client keeps no connection: one would be a goroutine that is left at the end.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// program returns the path of a program of the machine.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: apt-get install prometheus prometheus-alertmanager", err)
	}
	return path
}

// prometheus is one that runs with the shipped configuration.
type prometheus struct{ url string }

// startPrometheus starts one that looks at units of a house every second instead of every 15, and sends alerts to an Alertmanager, again
// every second instead of every minute: what it finds before it has found Alertmanager is lost. The rules of processes are changed as the
// test says.
func startPrometheus(t testing.TB, alertmanager string, h *topology.House, rules ...change) *prometheus {
	t.Helper()
	folder := t.TempDir()
	ship(t, folder, "prometheus/prometheus.yml", change{"127.0.0.1:9093", alertmanager}, change{"_interval: 15s", "_interval: 1s"})
	for _, path := range glob(t, shipped+"prometheus/rules/*.yml") {
		path = strings.TrimPrefix(path, shipped)
		changes := rules
		if path != "prometheus/rules/process.yml" {
			changes = nil
		}
		ship(t, folder, path, changes...)
	}
	folder = filepath.Join(folder, "prometheus")
	if err := os.Mkdir(filepath.Join(folder, "targets"), 0o755); err != nil {
		t.Fatal(err)
	}
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var targets []target
	for _, unit := range h.Units() {
		targets = append(targets, target{[]string{strings.TrimPrefix(unit.Admin(), "http://")}, map[string]string{"unit": unit.Name}})
	}
	text, err := json.Marshal(targets) // Which is YAML, too.
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "targets/one-process.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	address := topology.Reserve(t)
	topology.Launch(t, topology.Program{
		Name: "prometheus", Binary: program(t, "prometheus"), Dir: folder,
		Args: []string{"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + address, "--rules.alert.resend-delay=1s"},
	})
	p := &prometheus{"http://" + address}
	awaitOK(t, p.url+"/-/ready")
	return p
}

// awaitOK waits until a URL answers 200.
func awaitOK(t testing.TB, url string) {
	t.Helper()
	await(t, func(ctx context.Context) error { return get(ctx, url, nil) })
}

// await repeats something until it succeeds.
func await(t testing.TB, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var problem error // Of the latest try that had its time.
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || problem == nil {
			problem = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v: %v", patience, problem)
		}
	}
}

// get reads JSON from a URL, or nothing if into is nil.
func get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", url, response.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// query returns what a query finds now. A value that is no number is found, too.
func (p *prometheus) query(ctx context.Context, query string) ([]json.RawMessage, error) {
	var answer struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	err := get(ctx, p.url+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), &answer)
	return answer.Data.Result, err
}

// labelValues returns the values of a label of the series that a selector names.
func (p *prometheus) labelValues(ctx context.Context, label, selector string) ([]string, error) {
	var answer struct {
		Data []string `json:"data"`
	}
	err := get(ctx, p.url+"/api/v1/label/"+label+"/values?"+url.Values{"match[]": {selector}}.Encode(), &answer)
	return answer.Data, err
}

// alert is an alert as the rules have it.
type alert struct {
	Name        string            `json:"name"`
	Query       string            `json:"query"`
	Type        string            `json:"type"`
	Health      string            `json:"health"`
	LastError   string            `json:"lastError"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// rules returns all rules, after each has been evaluated.
func (p *prometheus) rules(t testing.TB) []alert {
	t.Helper()
	var rules []alert
	await(t, func(ctx context.Context) error {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []alert `json:"rules"`
				} `json:"groups"`
			} `json:"data"`
		}
		if err := get(ctx, p.url+"/api/v1/rules", &answer); err != nil {
			return err
		}
		rules = nil
		for _, group := range answer.Data.Groups {
			rules = append(rules, group.Rules...)
		}
		for _, rule := range rules {
			if rule.Health == "unknown" {
				return fmt.Errorf("%s has not been evaluated", rule.Name)
			}
		}
		return nil
	})
	return rules
}
