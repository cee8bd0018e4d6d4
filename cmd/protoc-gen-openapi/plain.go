package main

import (
	"strings"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// addPlain adds the paths of the public port that are no method. The edge serves them.
func (d *document) addPlain() {
	d.Tags = append(d.Tags, members{{"name", "About"}, {"description", "What there is here."}})
	for _, p := range []struct{ path, id, summary, description, kind string }{
		{"/", "index", "List what there is", "The public methods, as text.", "text/plain"},
		{"/openapi.json", "openapi", "Get this document", "This document.", "application/json"},
		{"/docs", "reference", "Read the reference", "All this as a page, from which calls can be made.", "text/html"},
	} {
		schema := members{{"type", "string"}}
		if p.kind == "application/json" {
			schema = members{{"type", "object"}}
		}
		// Nothing can be wrong with the path, and a path is always there.
		_ = d.addOperation(p.path, "get", members{
			{"operationId", p.id}, {"tags", []string{"About"}}, {"summary", p.summary}, {"description", p.description + " Anyone may read it."}, {"security", []members{}},
			{"responses", append(members{{"200", members{
				{"description", p.description}, {"headers", headers()}, {"content", members{{p.kind, members{{"schema", schema}}}}},
			}}}, plainErrors()...)},
		})
	}
}

// addPages adds the pages that a method serves. What they take and answer other standards say, or the pages themselves.
func (d *document) addPages(tag string, pages *platformv1.Pages) error {
	for _, p := range pages.GetPages() {
		var verbs []string
		if p.GetGet() {
			verbs = append(verbs, "get")
		}
		if p.GetPost() {
			verbs = append(verbs, "post")
		}
		for _, verb := range verbs {
			summary := p.GetSummary()
			if verb == "post" && p.GetGet() {
				summary += ": post the form"
			}
			described := members{
				{"operationId", verb + strings.NewReplacer("/", "_", ".", "", "-", "_").Replace(p.GetPath())}, {"tags", []string{tag}},
				{"summary", summary}, {"description", p.GetDescription()}, {"security", []members{}},
			}
			if verb == "post" {
				described = append(described, member{"requestBody", members{{"required", true}, {"content", members{
					{"application/x-www-form-urlencoded", members{{"schema", members{{"type", "object"}}}}},
				}}}})
			}
			kind := members{{p.GetProduces(), members{{"schema", members{{"type", "string"}}}}}}
			if p.GetProduces() == "application/json" {
				kind = members{{p.GetProduces(), members{{"schema", members{{"type", "object"}}}}}}
			}
			described = append(described, member{"responses", members{
				{"200", members{{"description", p.GetDescription()}, {"headers", headers()}, {"content", kind}}},
				{"4XX", members{{"description", "What is wrong, in the same form."}, {"headers", headers()}, {"content", kind}}},
			}}, member{"x-page", true})
			if err := d.addOperation(p.GetPath(), verb, described); err != nil {
				return err
			}
		}
	}
	return nil
}
