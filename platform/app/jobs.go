package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cleave-go/cleave/platform/job"
)

// jobsTimeout is how long the page waits for the databases.
const jobsTimeout = 5 * time.Second

// jobsPage shows the operator what the modules of this unit owe themselves, and lets him retry what they have given up.
type jobsPage struct {
	mu      sync.Mutex
	modules []moduleJobs
}

type moduleJobs struct {
	name   string
	client *job.Client
}

// moduleOverview is what the page says of a module.
type moduleOverview struct {
	Module string `json:"module"`
	*job.Overview
	// Problem says why there is no overview. It does not keep those of other modules away.
	Problem string `json:"problem,omitempty"`
}

func (p *jobsPage) add(module string, client *job.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.modules = append(p.modules, moduleJobs{module, client})
}

func (p *jobsPage) all() []moduleJobs {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.modules[:len(p.modules):len(p.modules)]
}

// handle serves the page. That a browser retries a job only from the page itself is seen to by guardOperator.
func (p *jobsPage) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /jobs", p.html)
	mux.HandleFunc("GET /jobs.json", p.json)
	mux.HandleFunc("POST /jobs/{module}/{id}/retry", p.retry)
}

// overviews asks all modules side by side.
func (p *jobsPage) overviews(ctx context.Context) []moduleOverview {
	ctx, cancel := context.WithTimeout(ctx, jobsTimeout)
	defer cancel()
	modules := p.all()
	all := make([]moduleOverview, len(modules))
	var waiting sync.WaitGroup
	for i, m := range modules {
		all[i].Module = m.name
		waiting.Go(func() {
			overview, err := m.client.Overview(ctx)
			if err != nil {
				all[i].Problem = err.Error()
				return
			}
			all[i].Overview = &overview
		})
	}
	waiting.Wait()
	return all
}

func (p *jobsPage) json(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(p.overviews(r.Context())) // Whoever asked has gone.
}

func (p *jobsPage) html(w http.ResponseWriter, r *http.Request) {
	modules := p.overviews(r.Context())
	shown, found := choose(modules, r.FormValue("module"))
	if !found {
		http.Error(w, noSuchModule, http.StatusNotFound)
		return
	}
	var page bytes.Buffer
	if err := jobsTemplate.Execute(&page, map[string]any{"Modules": modules, "Shown": shown}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// No script, and no other site may show the page in a frame to have its buttons pressed.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	_, _ = page.WriteTo(w) // Whoever asked has gone.
}

// choose returns the module of a name, or without one the module that needs an operator most. There is none if there are no modules.
func choose(modules []moduleOverview, name string) (shown *moduleOverview, found bool) {
	most := -1
	for i, m := range modules {
		if name != "" && m.Module == name {
			return &modules[i], true
		}
		if need := m.need(); name == "" && need > most {
			shown, most = &modules[i], need
		}
	}
	return shown, name == ""
}

// need says how much a module needs an operator: nobody knows of its jobs, some are kept, some fail.
func (m moduleOverview) need() int {
	switch {
	case m.Overview == nil:
		return 3
	case m.States[0].Count > 0:
		return 2
	case m.States[1].Count > 0:
		return 1
	}
	return 0
}

const noSuchModule = "this process has no such module: ask the one that serves it"

func (p *jobsPage) retry(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.Error(w, "the id of a job is a number", http.StatusBadRequest)
		return
	}
	for _, m := range p.all() {
		if m.name != r.PathValue("module") {
			continue
		}
		ctx, cancel := context.WithTimeout(r.Context(), jobsTimeout)
		defer cancel()
		switch err := m.client.Retry(ctx, id); {
		case errors.Is(err, job.ErrNotKept):
			http.Error(w, err.Error(), http.StatusConflict)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			http.Redirect(w, r, "/jobs?module="+m.name, http.StatusSeeOther)
		}
		return
	}
	http.Error(w, noSuchModule, http.StatusNotFound)
}

// roughly is a duration in two units at the most.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

var jobsTemplate = template.Must(template.New("jobs").Funcs(template.FuncMap{
	// call is what operators call a state.
	"call": func(state string) string {
		switch state {
		case "discarded":
			return "kept"
		case "retryable":
			return "retrying"
		}
		return state
	},
	// moment is the time of a job that matters in a state: when it ended, began, or is due.
	"moment": func(state string, j job.Job) time.Time {
		switch {
		case j.FinalizedAt != nil:
			return *j.FinalizedAt
		case state == "running" && j.AttemptedAt != nil:
			return *j.AttemptedAt
		}
		return j.ScheduledAt
	},
	// when is a time as seen from now.
	"when": func(now, t time.Time) string {
		if d := t.Sub(now); d > 0 {
			return "in " + roughly(d)
		}
		return roughly(now.Sub(t)) + " ago"
	},
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	// urgent says which states an operator looks for.
	"urgent": func(s job.State) bool { return s.Count > 0 && (s.Name == "discarded" || s.Name == "retryable") },
}).Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Jobs{{with .Shown}} of {{.Module}}{{end}}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem 2rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; margin-bottom: 1.5rem; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; white-space: nowrap; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; border-bottom: 1px solid #8884; white-space: nowrap; }
td.error { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 20rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.none { opacity: .5; }
[aria-current] { font-weight: 600; }
button { font: inherit; }
</style>
<h1>Jobs</h1>
<p>What the modules of this process owe themselves. A job that is kept has used up its attempts and waits for a decision.</p>
{{if .Shown}}<div><table>
<tr><th>module</th>{{range .Modules}}{{if .Overview}}{{range .States}}<th>{{call .Name}}</th>{{end}}{{break}}{{end}}{{end}}</tr>
{{range .Modules}}<tr><td><a href="/jobs?module={{.Module}}"{{if eq .Module $.Shown.Module}} aria-current="page"{{end}}>{{.Module}}</a></td>
{{- if .Problem}}<td class="error" colspan="7"><span role="alert">{{.Problem}}</span></td>{{else}}{{range .States}}<td class="number{{if not .Count}} none{{end}}">
{{- if urgent .}}<strong>{{.Count}}{{if .More}}+{{end}}</strong>{{else}}{{.Count}}{{if .More}}+{{end}}{{end}}</td>{{end}}{{end}}</tr>
{{end}}</table></div>
{{with $m := .Shown}}<h2>{{.Module}}</h2>
{{if .Overview}}{{range $s := .States}}{{if .Jobs}}<div><table>
<caption>{{call .Name}}{{if eq .Name "running"}}, for the longest time first{{end}}{{if gt .Count (len .Jobs)}}: {{len .Jobs}} of {{.Count}}{{if .More}}+{{end}}{{end}}</caption>
<tr><th>job</th><th>kind</th><th>attempt</th><th>{{if eq .Name "running"}}begun{{else if (index .Jobs 0).FinalizedAt}}ended{{else}}due{{end}}</th>
{{- if eq .Name "discarded"}}<th>decide</th>{{end}}{{if ne .Name "completed"}}<th>last error</th>{{end}}</tr>
{{range .Jobs}}<tr><td class="number">{{.ID}}</td><td>{{.Kind}}</td><td>{{.Attempt}} of {{.MaxAttempts}}</td>
{{- $t := moment $s.Name .}}<td><time datetime="{{stamp $t}}" title="{{stamp $t}}">{{when $m.Now $t}}</time></td>
{{- if eq $s.Name "discarded"}}<td><form method="post" action="/jobs/{{$m.Module}}/{{.ID}}/retry"><button aria-label="Retry job {{.ID}}">Retry</button></form></td>{{end}}
{{- if ne $s.Name "completed"}}<td class="error">{{.LastError}}</td>{{end}}</tr>
{{end}}</table></div>
{{end}}{{end}}{{end}}{{end}}{{else}}<p>There are no modules in this process, or they are still starting.</p>
{{end}}
`))
