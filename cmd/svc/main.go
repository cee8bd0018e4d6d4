// Command svc is a part of Cleave: the modules that its build tags name, for a container of their own.
//
//	go build -tags "orders payments" ./cmd/svc
//
// A tagged file per module adds it to the program; what no tag names is not linked.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/platform/app"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/module"
)

// program is what the tagged files add to.
var program = app.Program{Name: "svc", Map: house.Map}

func main() {
	if problem := check(tags()); problem != "" {
		fmt.Fprintln(os.Stderr, "svc: "+problem)
		os.Exit(2)
	}
	app.Main(program)
}

// check says what is wrong with the tags that the binary was built with, or "".
func check(tags []string) string {
	m, err := module.ParseMap(house.Map)
	if err != nil {
		return err.Error()
	}
	known := append(m.Names(), "edge")
	if len(program.Modules) == 0 && len(program.Edge) == 0 {
		return fmt.Sprintf("nothing is in this binary: build it with tags for the modules it shall hold, for instance go build -tags %q ./cmd/svc; there are %s",
			"orders payments", strings.Join(known, ", "))
	}
	for _, tag := range tags {
		if !slices.Contains(known, tag) && tag != fault.Tag {
			return fmt.Sprintf("the build tag %q names no module: there are %s", tag, strings.Join(known, ", "))
		}
	}
	return ""
}

// tags returns the build tags of this binary.
func tags() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, setting := range info.Settings {
		if setting.Key == "-tags" {
			return strings.FieldsFunc(setting.Value, func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	return nil
}
