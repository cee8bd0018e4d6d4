// Command migratenew writes the next migration of a module: the difference between what its migrations make and what its ent schema
// says. It needs the PostgreSQL programs on this machine, of which it starts a throwaway server.
//
//	go run ./internal/tools/migratenew orders add_notes
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/cleave-go/cleave/platform/postgres"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: migratenew MODULE NAME")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "migratenew:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, module, name string) error {
	// ent builds a program beside the schema to read it, and only there may that program import it.
	if err := os.Chdir(filepath.Join("modules", module, "internal", "ent")); err != nil {
		return err
	}
	graph, err := entc.LoadGraph("./schema", &gen.Config{})
	if err != nil {
		return fmt.Errorf("read the schema of %s: %w", module, err)
	}
	tables, err := graph.Tables()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "cleave-migrate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	// atlas wants a file of checksums beside the migrations, which nobody else needs: it gets one in a copy.
	migrations := filepath.Join("..", "..", "migrations")
	replay := filepath.Join(scratch, "migrations")
	if err := os.CopyFS(replay, os.DirFS(migrations)); err != nil {
		return err
	}
	dir, err := sqltool.NewGooseDir(replay)
	if err != nil {
		return err
	}
	sum, err := dir.Checksum()
	if err != nil {
		return err
	}
	if err := migrate.WriteSumFile(dir, sum); err != nil {
		return err
	}
	// The user that the server runs as has to reach the folder.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	server, err := postgres.Start(ctx, postgres.Options{Dir: filepath.Join(scratch, "postgres")})
	if err != nil {
		return err
	}
	defer server.Stop(ctx) //nolint:errcheck
	db, err := sql.Open("pgx", server.URL())
	if err != nil {
		return err
	}
	defer db.Close()
	// Migrations may speak of the module's role.
	if _, err := db.ExecContext(ctx, "CREATE ROLE cleave_"+module); err != nil {
		return err
	}
	// ent compares with the migrations replayed in an empty schema of this database.
	m, err := schema.NewMigrate(entsql.OpenDB(dialect.Postgres, db), schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay),
		schema.WithDropColumn(true), schema.WithDropIndex(true), schema.WithFormatter(sqltool.GooseFormatter), schema.WithErrNoPlan(true))
	if err != nil {
		return err
	}
	if err := m.NamedDiff(ctx, name, tables...); errors.Is(err, migrate.ErrNoPlan) {
		return errors.New("the migrations make what the schema says already")
	} else if err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(replay, "*_"+name+".sql"))
	if err != nil {
		return err
	}
	for _, file := range made {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		target := filepath.Join(migrations, filepath.Base(file))
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return err
		}
		fmt.Println(filepath.Join("modules", module, "migrations", filepath.Base(file)))
	}
	return nil
}
