package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/gen/openapi"
	"github.com/cleave-go/cleave/platform/edge"
)

// TestOpenAPI holds that the document has every route of the public port, and the port every route of the document.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	door := edge.New(edge.Config{Services: contract.Services(), OpenAPI: openapi.Document, Route: func(string) http.Handler { return http.NotFoundHandler() }})
	var document struct {
		Paths map[string]map[string]struct {
			Procedure string `json:"x-connect-procedure"`
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, operations := range document.Paths {
		for verb, operation := range operations {
			described = append(described, strings.ToUpper(verb)+" "+path)
			if operation.Procedure != "" {
				described = append(described, "POST "+operation.Procedure)
			}
		}
	}
	// The document names variables as JSON does.
	variable := regexp.MustCompile(`\{[^}]*\}`)
	var served []string
	for _, route := range door.Routes() {
		served = append(served, variable.ReplaceAllString(route, "{}"))
	}
	for i, route := range described {
		described[i] = variable.ReplaceAllString(route, "{}")
	}
	slices.Sort(described)
	slices.Sort(served)
	if len(served) < 30 || !slices.Equal(described, served) {
		t.Errorf("the document has\n%s\nthe port has\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
}
