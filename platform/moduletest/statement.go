package moduletest

import (
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Statement is one that a module has run.
type Statement struct {
	SQL  string
	Args []any
}

// statements keeps the statements of modules while a test wants them.
type statements struct {
	mu   sync.Mutex
	on   bool
	seen []Statement
}

func (s *statements) note(sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on {
		s.seen = append(s.seen, Statement{sql, slices.Clone(args)})
	}
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.note(data.SQL, data.Args)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	s.note(data.SQL, data.Args)
}

func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Statements returns what all modules run while do does what a test wants to know about, also what they do meanwhile by themselves.
func (h *House) Statements(do func()) []Statement {
	h.statements.mu.Lock()
	h.statements.on, h.statements.seen = true, nil
	h.statements.mu.Unlock()
	do()
	h.statements.mu.Lock()
	defer h.statements.mu.Unlock()
	h.statements.on = false
	return h.statements.seen
}
