package main

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
