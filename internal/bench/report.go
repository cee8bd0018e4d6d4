package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/postgres"
)

// report is all that was measured, and on what.
type report struct {
	Date     string `json:"date"`
	System   string `json:"system"`
	Cores    int    `json:"cores"`
	Go       string `json:"go"`
	Postgres string `json:"postgres,omitempty"`
	// Load is the load average of the machine before the run, which tells whether it was quiet; empty where it is not known.
	Load    string   `json:"load_before,omitempty"`
	Figures []figure `json:"figures"`
	// Statements are those of a checkout, first those that take the most time.
	Statements []statement `json:"statements,omitempty"`
}

func newReport(ctx context.Context) *report {
	r := &report{Date: time.Now().Format(time.DateOnly), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	r.Postgres, _ = postgres.Installed(ctx) // Whoever needs it will say that it is missing.
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load, _, _ = strings.Cut(string(load), " ")
	}
	return r
}

// add takes what a part has measured.
func (r *report) add(figures ...figure) { r.Figures = append(r.Figures, figures...) }

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
