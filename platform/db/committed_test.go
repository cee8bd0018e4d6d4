package db_test

import (
	"context"
	"slices"
	"testing"

	"github.com/cleave-go/cleave/platform/db"
)

func TestAfterCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for _, c := range []struct {
		name string
		fail func(ctx context.Context, tx tx, attempt int) error
		want []string
	}{
		{"committed", func(context.Context, tx, int) error { return nil }, []string{"row is there: true", "second"}},
		{"rolled back", func(context.Context, tx, int) error { return errAnything }, nil},
		{"commits in the third attempt", func(ctx context.Context, tx tx, attempt int) error {
			if attempt < 3 {
				return fail(ctx, tx, "40001")
			}
			return nil
		}, []string{"row is there: true", "second"}},
		{"fails to commit", func(ctx context.Context, tx tx, _ int) error {
			_ = fail(ctx, tx, "23505")
			return nil
		}, nil},
	} {
		var ran []string
		attempt := 0
		err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			attempt++
			if err := insert(ctx, tx, c.name); err != nil {
				return err
			}
			db.AfterCommit(ctx, func() {
				if slices.Contains(names(t, s), c.name) {
					ran = append(ran, "row is there: true")
				}
				if n := s.Pool().Stat().AcquiredConns(); n != 0 {
					t.Errorf("%s: it holds %d connections", c.name, n)
				}
			})
			db.AfterCommit(ctx, func() { ran = append(ran, "second") })
			return c.fail(ctx, tx, attempt)
		})
		if (err == nil) != (c.want != nil) || !slices.Equal(ran, c.want) {
			t.Errorf("%s: %q ran (%v), want %q", c.name, ran, err, c.want)
		}
	}
	ran := false
	if db.AfterCommit(bounded(t), func() { ran = true }); !ran {
		t.Error("without a transaction it did not run at once")
	}
	released(t, s)
}
