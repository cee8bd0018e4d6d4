package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/gen/openapi"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
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

// TestOpenAPIErrors holds that an error has the shape that the document says, on every route.
func TestOpenAPIErrors(t *testing.T) {
	t.Parallel()
	door := edge.New(edge.Config{
		Services: contract.Services(), OpenAPI: openapi.Document, Route: func(string) http.Handler { return http.NotFoundHandler() },
		Authenticate: func(*http.Request) (rpc.Principal, error) {
			return rpc.Principal{}, rpc.Errorf(connect.CodeUnauthenticated, "SIGN_IN", "sign in first")
		},
	})
	type schema struct {
		Ref        string `json:"$ref"`
		Required   []string
		Properties map[string]struct{ Type string }
	}
	type response struct {
		Ref     string `json:"$ref"`
		Content map[string]struct{ Schema schema }
	}
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]response
			Page      bool `json:"x-page"` // It has errors of its own.
		}
		Components struct {
			Responses map[string]response
			Schemas   map[string]schema
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]func(any) bool{
		"string": func(value any) bool { _, ok := value.(string); return ok },
		"object": func(value any) bool { _, ok := value.(map[string]any); return ok },
	}
	for path, operations := range document.Paths {
		for verb, operation := range operations {
			if operation.Page {
				continue
			}
			refused := operation.Responses["401"]
			if name, ok := strings.CutPrefix(refused.Ref, "#/components/responses/"); ok {
				refused = document.Components.Responses[name]
			}
			name := strings.TrimPrefix(refused.Content["application/json"].Schema.Ref, "#/components/schemas/")
			shape := document.Components.Schemas[name]
			w := httptest.NewRecorder()
			door.ServeHTTP(w, httptest.NewRequest(strings.ToUpper(verb), strings.NewReplacer("{", "", "}", "").Replace(path), nil))
			var body map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusUnauthorized || len(shape.Required) == 0 {
				t.Fatalf("%s %s: got %d %s, %v, and the document has %q", verb, path, w.Code, w.Body, err, name)
			}
			for _, member := range shape.Required {
				if is := kinds[shape.Properties[member].Type]; is == nil || !is(body[member]) {
					t.Errorf("%s %s: got %s, which is no %s", verb, path, w.Body, name)
				}
			}
		}
	}
}
