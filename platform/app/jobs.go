package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// handle serves the page. A browser may retry a job only from the page itself, not from another site's.
func (p *jobsPage) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /jobs", p.html)
	mux.HandleFunc("GET /jobs.json", p.json)
	mux.Handle("POST /jobs/{module}/{id}/retry", http.NewCrossOriginProtection().Handler(http.HandlerFunc(p.retry)))
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
	var page bytes.Buffer
	if err := jobsTemplate.Execute(&page, p.overviews(r.Context())); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// No script, and no other site may show the page in a frame to have its buttons pressed.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	_, _ = page.WriteTo(w) // Whoever asked has gone.
}

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
			http.Redirect(w, r, "/jobs", http.StatusSeeOther)
		}
		return
	}
	http.Error(w, "this process has no such module: ask the one that serves it", http.StatusNotFound)
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
	// when is a time as seen from now.
	"when": func(now, t time.Time) string {
		d := t.Sub(now).Round(time.Second)
		if d < 0 {
			return (-d).String() + " ago"
		}
		return "in " + d.String()
	},
}).Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Jobs</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; }
caption, th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
caption { font-weight: 600; }
th, td { border-bottom: 1px solid #8884; }
td:last-child { overflow-wrap: anywhere; }
</style>
<h1>Jobs</h1>
<p>What the modules of this process owe themselves. A job that is kept has used up its attempts and waits for a decision.</p>
{{range $m := .}}<h2>{{.Module}}</h2>
{{if .Problem}}<p role="alert">{{.Problem}}</p>{{else}}<p>{{range $i, $s := .States}}{{if $i}} · {{end}}{{call .Name}} {{.Count}}{{if .More}}+{{end}}{{end}}</p>
{{range $s := .States}}{{if .Jobs}}<table>
<caption>{{call .Name}}{{if eq .Name "running"}}, for the longest time first{{end}}</caption>
<tr><th>job</th><th>kind</th><th>attempt</th><th>{{if eq .Name "running"}}begun{{else if (index .Jobs 0).FinalizedAt}}ended{{else}}due{{end}}</th><th>{{if eq .Name "discarded"}}decide{{end}}</th><th>last error</th></tr>
{{range .Jobs}}<tr><td>{{.ID}}</td><td>{{.Kind}}</td><td>{{.Attempt}} of {{.MaxAttempts}}</td>
<td>{{if .FinalizedAt}}{{when $m.Now .FinalizedAt}}{{else if and (eq $s.Name "running") .AttemptedAt}}{{when $m.Now .AttemptedAt}}{{else}}{{when $m.Now .ScheduledAt}}{{end}}</td>
<td>{{if eq $s.Name "discarded"}}<form method="post" action="/jobs/{{$m.Module}}/{{.ID}}/retry"><button>Retry</button></form>{{end}}</td>
<td>{{.LastError}}</td></tr>
{{end}}</table>
{{end}}{{end}}{{end}}{{else}}<p>There are no modules in this process, or they are still starting.</p>
{{end}}`))
