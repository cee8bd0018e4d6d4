package observability

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what this test reads of one.
type dashboard struct {
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
			Datasource source
		}
	}
	Annotations struct {
		List []struct {
			Name, Expr string
			Datasource source
		}
	}
}

type source struct{ Type, UID string }

type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  source
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Links       []struct{ Title, URL string }
	Targets     []struct {
		RefID, Expr string
		Datasource  source
	}
}

// dashboards returns those that are shipped, by file.
func dashboards(t testing.TB) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, path := range glob(t, shipped+"grafana/dashboards/*.json") {
		var d dashboard
		if err := json.Unmarshal([]byte(read(t, path)), &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = d
	}
	return all
}

// TestDashboards holds what Grafana would stumble over, which is not here to try, and what a reader needs.
func TestDashboards(t *testing.T) {
	t.Parallel()
	// Where the data are is chosen at the top of each dashboard, so the uid of no source is written down in any.
	chosen := source{"prometheus", "${datasource}"}
	uids := map[string]string{}
	for file, d := range dashboards(t) {
		if other := uids[d.UID]; other != "" || d.UID == "" || len(d.UID) > 40 {
			t.Errorf("%s has the uid %q, as %q has, or it is none: 1 to 40 characters", file, d.UID, other)
		}
		uids[d.UID] = file
		if d.Title == "" || d.SchemaVersion != 39 {
			t.Errorf("%s has the title %q and is written in version %d", file, d.Title, d.SchemaVersion)
		}
		ids := map[int]bool{}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			name := fmt.Sprintf("%s, panel %q", file, p.Title)
			if ids[p.ID] || p.ID == 0 || p.Title == "" {
				t.Errorf("%s has the id %d again, or no title", name, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s lies over %q or beyond the edge", name, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != chosen || len(p.Targets) == 0 {
				t.Errorf("%s lacks a description, a unit, the chosen source or a query", name)
			}
			refs := map[string]bool{}
			for _, target := range p.Targets {
				if refs[target.RefID] || target.RefID == "" || target.Datasource != chosen {
					t.Errorf("%s has a query with the id %q again, or of another source", name, target.RefID)
				}
				refs[target.RefID] = true
			}
			for _, link := range p.Links {
				runbook, ours := strings.CutPrefix(link.URL, runbookURL)
				if !ours {
					t.Errorf("%s links to %s", name, link.URL)
					continue
				}
				read(t, runbooks+runbook)
			}
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" && v.Datasource != chosen {
				t.Errorf("%s: the variable %s asks another source", file, v.Name)
			}
		}
	}
}

// asked is a query of a dashboard.
type asked struct{ file, title, query string }

// queries returns all queries of the dashboards as Grafana would send them with everything chosen.
func queries(t testing.TB) []asked {
	t.Helper()
	// What $__rate_interval is with a scrape every second.
	filled := strings.NewReplacer("$__rate_interval", "4s")
	variable := regexp.MustCompile(`\$\w+|\$\{\w+[^}]*\}`)
	var all []asked
	for file, d := range dashboards(t) {
		fill := func(query string) string {
			query = filled.Replace(query)
			for _, v := range d.Templating.List {
				query = strings.ReplaceAll(query, "$"+v.Name, ".*")
			}
			if left := variable.FindAllString(query, -1); left != nil {
				if !strings.Contains(query, "label_replace") || slices.ContainsFunc(left, func(name string) bool { return name != "$1" }) {
					t.Errorf("%s asks %s, in which %v is no variable of it", file, query, left)
				}
			}
			return query
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				all = append(all, asked{file, p.Title, fill(target.Expr)})
			}
		}
		for _, a := range d.Annotations.List {
			all = append(all, asked{file, "annotation " + a.Name, fill(a.Expr)})
		}
		for _, v := range d.Templating.List {
			if v.Type == "datasource" {
				continue
			}
			var query struct{ Query string }
			if err := json.Unmarshal(v.Query, &query); err != nil {
				t.Fatalf("%s: variable %s: %v", file, v.Name, err)
			}
			all = append(all, asked{file, "variable " + v.Name, query.Query})
		}
	}
	slices.SortFunc(all, func(a, b asked) int { return strings.Compare(a.file+a.title, b.file+b.title) })
	return all
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// ask returns how much a query of a dashboard finds.
func (p *prometheus) ask(ctx context.Context, query string) (int, error) {
	if parts := labelValues.FindStringSubmatch(query); parts != nil {
		found, err := p.labelValues(ctx, parts[2], parts[1])
		return len(found), err
	}
	found, err := p.query(ctx, query)
	return len(found), err
}
