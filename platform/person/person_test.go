package person_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1connect"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// bundle is a club with letters, members and a till, and one that knows nobody.
type bundle struct {
	*moduletest.House
	db     *db.DB
	people *person.Client
}

func setup(t *testing.T) *bundle {
	b := &bundle{}
	b.House = moduletest.Start(t, module.Module{
		Name: "club",
		Holds: []person.Holding{
			{Table: "letter", Of: "member = $1", Email: "email = $1", Shows: []string{"id", "text"}},
			{Table: "member", Of: "id = $1", Shows: []string{"id", "name"}, Anonymise: "name = ''"},
			{Table: "till", Of: "member = $1", Key: "number", Shows: []string{"number", "cents"}, Keeps: true},
		},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte(`-- +goose Up
			CREATE TABLE letter (id text PRIMARY KEY, member text NOT NULL, email text NOT NULL, text text NOT NULL);
			CREATE TABLE member (id text PRIMARY KEY, name text NOT NULL);
			CREATE TABLE till (number bigint PRIMARY KEY, member text NOT NULL, cents bigint NOT NULL);`)}},
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			b.db, b.people = host.DB, host.People
			return nil, nil
		},
	}, module.Module{
		Name: "shed", Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte("-- +goose Up\nCREATE TABLE spade (id text PRIMARY KEY);")}},
		Build: func(*module.Host) ([]rpc.Handler, error) { return nil, nil },
	})
	b.Exec(t, `INSERT INTO club.letter SELECT 'let_' || n, 'usr_' || n % 2, 'm' || n % 2 || '@example.org', 'Dear ' || n FROM generate_series(1, 900) AS n`)
	b.Exec(t, `INSERT INTO club.member VALUES ('usr_0', 'Ada'), ('usr_1', 'Bob')`)
	b.Exec(t, `INSERT INTO club.till SELECT n, 'usr_' || n % 2, 100 FROM generate_series(1, 10) AS n`)
	b.Exec(t, `INSERT INTO club.cleave_request (caller, method, request_id, fingerprint, response) SELECT 'usr_' || n, 'm', 'r', '', 'Ada' FROM generate_series(0, 1) AS n`)
	return b
}

func (b *bundle) operator(module string) personv1connect.PersonServiceClient {
	return personv1cleave.NewPersonServiceClient(b.Caller("operator", personv1cleave.PersonService.Of(module)).At(module))
}

func (b *bundle) erase(t *testing.T, subject string) {
	t.Helper()
	must(t, b.db.Tx(moduletest.As(t, ""), func(ctx context.Context, tx pgx.Tx) error { return b.people.Erase(ctx, tx, subject) }))
}

// report returns what a module reports, a word for each place.
func (b *bundle) report(t *testing.T, module, subject string) (places int, says string) {
	t.Helper()
	answer, err := b.operator(module).GetReport(moduletest.As(t, ""), &personv1.GetReportRequest{Subject: subject})
	must(t, err)
	return len(answer.GetPlaces()), written(answer.GetErasures())
}

func written(erasures []*personv1.Erasure) string {
	var words []string
	for _, e := range erasures {
		words = append(words, fmt.Sprintf("%s %s %d", e.GetPlace(), strings.ToLower(strings.TrimPrefix(e.GetDone().String(), "DONE_")), e.GetRows()))
	}
	return strings.Join(words, ", ")
}

// export returns how many rows of a person each place has, and all of them.
func (b *bundle) export(t *testing.T, subject string) (counts map[string]int, all string) {
	t.Helper()
	stream, err := b.operator("club").StreamExport(moduletest.As(t, ""), &personv1.StreamExportRequest{Subject: subject})
	must(t, err)
	defer stream.Close()
	counts = map[string]int{}
	for stream.Receive() {
		counts[stream.Msg().GetPlace()] += len(stream.Msg().GetRows())
		all += strings.Join(stream.Msg().GetRows(), "\n") + "\n"
	}
	must(t, stream.Err())
	return counts, all
}

// Of one person nothing is left but what the module keeps; of the other everything. The report says so, and is the same when it is done again.
func TestErase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before, shown := b.export(t, "usr_0")
	if fmt.Sprint(before) != "map[letter:450 member:1 till:5]" || !strings.Contains(shown, `"Ada"`) || strings.Contains(shown, "Bob") || strings.Count(shown, "Dear") != 450 {
		t.Errorf("an export of %v: %.200s", before, shown)
	}
	if places, says := b.report(t, "club", "usr_0"); places != 4 || says != "" {
		t.Errorf("before: %d places, %q", places, says)
	}
	b.erase(t, "usr_0")
	const want = "cleave_request erased 1, letter erased 450, member anonymised 1, till kept 5"
	if _, says := b.report(t, "club", "usr_0"); says != want {
		t.Errorf("it reports %q, want %q", says, want)
	}
	after, shown := b.export(t, "usr_0")
	if fmt.Sprint(after) != "map[member:1 till:5]" || strings.Contains(shown, "Ada") {
		t.Errorf("what is left: %v %s", after, shown)
	}
	if others, _ := b.export(t, "usr_1"); fmt.Sprint(others) != "map[letter:450 member:1 till:5]" {
		t.Errorf("of the other there is %v", others)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM club.cleave_request"); n != 1 {
		t.Errorf("%d answers are kept, want the other's", n)
	}
	if places, says := b.report(t, "shed", "usr_0"); places != 0 || says != "" {
		t.Errorf("who knows nobody reports %d places, %q", places, says)
	}
	b.Exec(t, "INSERT INTO club.letter VALUES ('late', 'usr_0', '', 'Dear late one')")
	b.erase(t, "usr_0")
	if _, says := b.report(t, "club", "usr_0"); !strings.Contains(says, "letter erased 451") || !strings.Contains(says, "till kept 5") {
		t.Errorf("with a late letter it reports %q", says)
	}
}

// What comes by an e-mail address alone is erased by it, and the report does not tell it.
func TestEraseEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := &personv1.EraseEmailRequest{Email: "M1@example.org", ErasureId: "ers_" + strings.Repeat("0", 32)}
	for range 2 { // The answer may be lost.
		answer, err := b.operator("club").EraseEmail(moduletest.As(t, ""), r)
		must(t, err)
		if got := written(answer.GetErasures()); got != "letter erased 450" {
			t.Errorf("it reports %q", got)
		}
	}
	if places, says := b.report(t, "club", r.GetErasureId()); places != 1 || says != "letter erased 450" {
		t.Errorf("later it reports %d places, %q", places, says)
	}
	if told := moduletest.Query[string](t, b.House, "SELECT e::text FROM club.cleave_erasure AS e"); slices.ContainsFunc(told, func(row string) bool { return strings.Contains(row, "m1") }) {
		t.Errorf("the report tells the address: %q", told)
	}
}

// Whoever is about to write something of a person goes first or is refused, also when both come at once.
func TestLiving(t *testing.T) {
	t.Parallel()
	b := setup(t)
	write := func(subject string, meanwhile func()) error {
		return b.db.Tx(moduletest.As(t, ""), func(ctx context.Context, tx pgx.Tx) error {
			if err := b.people.Living(ctx, tx, subject); err != nil {
				return err
			}
			if meanwhile != nil {
				meanwhile()
			}
			_, err := tx.Exec(ctx, "INSERT INTO letter VALUES ('new ' || $1::text, $1, '', 'Dear you')", subject)
			return err
		})
	}
	erased := make(chan struct{})
	must(t, write("usr_0", func() {
		go func() {
			defer close(erased)
			b.erase(t, "usr_0")
		}()
		moduletest.Eventually(t, "the erasure waits", func() bool {
			return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 1
		})
	}))
	<-erased
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM club.letter WHERE member = 'usr_0'"); n != 0 {
		t.Errorf("%d letters are left", n)
	}
	if err := write("usr_0", nil); connect.CodeOf(err) != connect.CodeFailedPrecondition || rpc.Reason(err) != "ERASED" {
		t.Errorf("a letter to somebody who is forgotten: %v", err)
	}
	must(t, write("usr_1", nil))
}

// Nobody takes a report back.
func TestReportStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.erase(t, "usr_0")
	if _, err := b.db.Pool().Exec(t.Context(), "DELETE FROM cleave_erasure"); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("the module takes its report back: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
