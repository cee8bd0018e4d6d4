package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/platform/module"
)

// TestLinked holds that a binary links the modules that its tags name, and no other.
func TestLinked(t *testing.T) {
	t.Parallel()
	for _, tag := range append(moduleNames(t), "edge") {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			var want []string
			if tag != "edge" {
				want = []string{tag}
			}
			if got := linked(t, tag); !slices.Equal(got, want) {
				t.Errorf("with the tag %s it links the modules %v", tag, got)
			}
		})
	}
	t.Run("two", func(t *testing.T) {
		t.Parallel()
		if got := linked(t, "payments", "orders"); !slices.Equal(got, []string{"orders", "payments"}) {
			t.Errorf("with two tags it links the modules %v", got)
		}
	})
}

// TestTaggedFiles holds that every module of the house has a file here.
func TestTaggedFiles(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../modules/*/module.go")
	if err != nil || len(folders) != len(moduleNames(t)) {
		t.Errorf("there are %d modules and %d on the map: run make generate (%v)", len(folders), len(moduleNames(t)), err)
	}
	for _, name := range moduleNames(t) {
		if _, err := os.Stat(name + ".go"); err != nil {
			t.Errorf("module %s cannot be built apart: %v", name, err)
		}
	}
}

// linked returns the modules that a binary with these tags links, sorted.
func linked(t *testing.T, tags ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", strings.Join(tags, ","), ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, match := range regexp.MustCompile(`(?m)^github.com/cleave-go/cleave/modules/([a-z0-9]+)$`).FindAllSubmatch(out, -1) {
		modules = append(modules, string(match[1]))
	}
	slices.Sort(modules)
	return modules
}

func moduleNames(t *testing.T) []string {
	t.Helper()
	m, err := module.ParseMap(house.Map)
	if err != nil {
		t.Fatal(err)
	}
	return m.Names()
}
