package moduletest

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// Query returns the only column of the rows that a statement yields, run by the superuser.
func Query[T any](t testing.TB, h *House, statement string, args ...any) []T {
	t.Helper()
	rows, err := h.admin.Query(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return values
}

// Value returns the single value that a statement yields, run by the superuser.
func Value[T any](t testing.TB, h *House, statement string, args ...any) T {
	t.Helper()
	values := Query[T](t, h, statement, args...)
	if len(values) != 1 {
		t.Fatalf("%s: %d rows, want one", statement, len(values))
	}
	return values[0]
}

// Exec runs a statement as the superuser.
func (h *House) Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := h.admin.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Hurry makes a module's jobs that wait for their time due now. They are begun within a second.
func (h *House) Hurry(t testing.TB, module, kind string) {
	t.Helper()
	h.Exec(t, "UPDATE "+pgx.Identifier{module, "river_job"}.Sanitize()+
		" SET state = 'available', scheduled_at = now() WHERE kind = $1 AND state IN ('scheduled', 'retryable')", kind)
}
