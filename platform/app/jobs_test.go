package app

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/job"
)

// jobsOf starts a program, puts jobs into its module that nobody works, and returns it with how to look into its database.
func jobsOf(t *testing.T, inserts ...string) (*running, *pgx.Conn) {
	t.Helper()
	configure(t)
	return jobsAt(t, inserts...)
}

// jobsAt is jobsOf in the environment as it is.
func jobsAt(t *testing.T, inserts ...string) (*running, *pgx.Conn) {
	t.Helper()
	r := start(t, program(t, (&parity{}).module()))
	conn, err := pgx.Connect(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	for _, insert := range inserts {
		if _, err := conn.Exec(t.Context(), insert); err != nil {
			t.Fatal(err)
		}
	}
	return r, conn
}

// kept is a job that has used up its attempts, with an error that a page must not take for its own text.
const kept = `INSERT INTO parity.river_job (id, kind, queue, args, max_attempts, attempt, state, finalized_at, errors)
	VALUES (1000001, 'parity.mail', 'elsewhere', '{"secret": "of a person"}', 3, 3, 'discarded', now() - interval '1 hour',
	ARRAY['{"error": "first"}', '{"error": "<script>no such mailbox</script>"}']::jsonb[])`

func TestJobsPageShowsWhatIsOwed(t *testing.T) {
	r, _ := jobsOf(t, kept, `INSERT INTO parity.river_job (kind, queue, args, max_attempts, attempt, state, scheduled_at, errors)
		VALUES ('parity.hook', 'elsewhere', '{}', 3, 1, 'retryable', now() + interval '1 hour', ARRAY['{"error": "connection refused"}']::jsonb[])`,
		`INSERT INTO parity.river_job (kind, queue, args, max_attempts, state) SELECT 'parity.many', 'elsewhere', '{}', 3, 'available' FROM generate_series(1, 10001)`)
	body := fetch(t, http.MethodGet, r.admin+"/jobs", nil, http.StatusOK)
	for _, want := range []string{"<h2>parity</h2>", ">kept</th>", "<strong>1</strong>", ">10000+</td>", "available: 20 of 10000+", "1 h 0 min ago", "parity.mail", "3 of 3", "&lt;script&gt;no such mailbox", "connection refused",
		`action="/jobs/parity/1000001/retry"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q:\n%.2000s", want, body)
		}
	}
	if n := strings.Count(body, "<td>parity.many</td>"); n != 20 {
		t.Errorf("the page lists %d jobs of a state, want 20", n)
	}
	for _, never := range []string{"<script", "of a person", "src=", "//"} { // Nor does it need anything from elsewhere.
		if strings.Contains(body, never) {
			t.Errorf("the page contains %q", never)
		}
	}
	if named := fetch(t, http.MethodGet, r.admin+"/jobs?module=parity", nil, http.StatusOK); !strings.Contains(named, "parity.mail") {
		t.Errorf("the page of the module is\n%.2000s", named)
	}
	fetch(t, http.MethodGet, r.admin+"/jobs?module=nobody", nil, http.StatusNotFound)
	var modules []struct {
		Module string
		States []struct {
			Name  string
			Count int
			Jobs  []struct {
				Kind      string
				LastError string `json:"last_error"`
			}
		}
	}
	if err := json.Unmarshal([]byte(fetch(t, http.MethodGet, r.admin+"/jobs.json", nil, http.StatusOK)), &modules); err != nil {
		t.Fatal(err)
	}
	if len(modules) != 1 || modules[0].Module != "parity" || modules[0].States[0].Name != "discarded" || modules[0].States[0].Jobs[0].Kind != "parity.mail" {
		t.Errorf("the JSON is %+v, want a module parity with a kept mail first", modules)
	}
}

func TestKeptJobIsRetriedFromThePageOnly(t *testing.T) {
	r, conn := jobsOf(t, kept)
	state := func() (s string) {
		if err := conn.QueryRow(t.Context(), "SELECT concat_ws(' ', state, attempt, max_attempts) FROM parity.river_job WHERE id = 1000001").Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	url := r.admin + "/jobs/parity/1000001/retry"
	for name, header := range map[string]http.Header{
		"another site":                   {"Sec-Fetch-Site": {"cross-site"}, "Origin": {r.admin}},
		"a neighbour":                    {"Sec-Fetch-Site": {"same-site"}},
		"another site of an old browser": {"Origin": {"https://elsewhere.example"}},
	} {
		fetch(t, http.MethodPost, url, header, http.StatusForbidden)
		if got := state(); got != "discarded 3 3" {
			t.Fatalf("%s has made it %s", name, got)
		}
	}
	same := http.Header{"Sec-Fetch-Site": {"same-origin"}}
	fetch(t, http.MethodGet, url, nil, http.StatusNotFound)
	fetch(t, http.MethodPost, r.admin+"/jobs/nobody/1000001/retry", same, http.StatusNotFound)
	fetch(t, http.MethodPost, r.admin+"/jobs/parity/1000002/retry", same, http.StatusConflict)
	fetch(t, http.MethodPost, url, same, http.StatusSeeOther)
	if got := state(); got != "available 3 4" {
		t.Errorf("the job is %s, want it available for one more attempt", got)
	}
	fetch(t, http.MethodPost, url, same, http.StatusConflict)
	if got := state(); got != "available 3 4" {
		t.Errorf("who presses twice has made it %s", got)
	}
	for name, header := range map[string]http.Header{"a tool": nil, "an old browser": {"Origin": {r.admin}}} {
		if _, err := conn.Exec(t.Context(), "UPDATE parity.river_job SET state = 'discarded', attempt = 4, finalized_at = now() WHERE id = 1000001"); err != nil {
			t.Fatal(err)
		}
		fetch(t, http.MethodPost, url, header, http.StatusSeeOther)
		if got := state(); !strings.HasPrefix(got, "available ") {
			t.Errorf("%s has made it %s", name, got)
		}
	}
}

// Without being told which module to show, the page shows the one that needs somebody.
func TestJobsPageBeginsWhereHelpIsNeeded(t *testing.T) {
	t.Parallel()
	well := func(kept, retrying int) *job.Overview {
		return &job.Overview{States: []job.State{{Name: "discarded", Count: kept}, {Name: "retryable", Count: retrying}}}
	}
	for want, modules := range map[string][]moduleOverview{
		"first":    {{Module: "first", Overview: well(0, 0)}, {Module: "other", Overview: well(0, 0)}},
		"retrying": {{Module: "first", Overview: well(0, 0)}, {Module: "retrying", Overview: well(0, 1)}},
		"kept":     {{Module: "retrying", Overview: well(0, 9)}, {Module: "kept", Overview: well(1, 0)}},
		"away":     {{Module: "kept", Overview: well(1, 0)}, {Module: "away", Problem: "no database"}},
	} {
		if shown, found := choose(modules, ""); !found || shown.Module != want {
			t.Errorf("%v is shown, want %s", shown, want)
		}
	}
	if shown, found := choose(nil, ""); !found || shown != nil {
		t.Errorf("without modules %v is shown", shown)
	}
}

// A database that is away must not hide the others' jobs, nor the page.
func TestJobsPageSaysWhatItCannotSee(t *testing.T) {
	r, conn := jobsOf(t)
	if _, err := conn.Exec(t.Context(), "ALTER TABLE parity.river_job RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	if body := fetch(t, http.MethodGet, r.admin+"/jobs", nil, http.StatusOK); !strings.Contains(body, `role="alert">look at the jobs of parity`) {
		t.Errorf("the page does not say what is wrong:\n%s", body)
	}
}

// fetch makes a request as a browser does, without following a redirect, and returns the body of the answer.
func fetch(t *testing.T, method, url string, header http.Header, want int) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != want {
		t.Fatalf("%s %s with %v: %d, want %d: %s", method, url, header, response.StatusCode, want, body)
	}
	return string(body)
}
