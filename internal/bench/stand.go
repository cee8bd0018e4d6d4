package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cleave-go/cleave/platform/postgres"
)

// stand is what a shop is measured on: cmd/all as a program, and a PostgreSQL with the default settings that holds the demo catalogue.
type stand struct {
	dir    string
	binary string
	server *postgres.Server
	admin  *pgxpool.Pool // the superuser in the shop's database
	// firstStart is how long a shop took that had to make its database first.
	firstStart time.Duration
	// skus are what can be bought.
	skus []string
}

// patience bounds everything that should take seconds.
const patience = 2 * time.Minute

// openStand builds the program and lets it make its private database as make run does. Then it stops the program and runs the
// database itself, whose processes can so be told from the program's.
func openStand(ctx context.Context, p plan) (_ *stand, err error) {
	s := &stand{}
	if s.dir, err = os.MkdirTemp("", "cleave-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.Chmod(s.dir, 0o755); err != nil { // For the user that PostgreSQL runs as, if this one is root.
		return nil, err
	}
	p.say("building cmd/all")
	s.binary = filepath.Join(s.dir, "all.exe")
	if err := run(exec.CommandContext(ctx, "go", "build", "-o", s.binary, "github.com/cleave-go/cleave/cmd/all")); err != nil {
		return nil, err
	}
	p.say("making a database with the demo catalogue in %s", s.dir)
	first, err := s.openShop(ctx, "CLEAVE_DATA_DIR="+filepath.Dir(s.cluster()))
	if err != nil {
		return nil, err
	}
	s.firstStart = first.readyAfter
	if err := first.close(); err != nil {
		return nil, err
	}
	if err := s.startServer(ctx, nil); err != nil {
		return nil, err
	}
	return s, s.restock(ctx)
}

// cluster is the folder of the private PostgreSQL, where a shop with the data folder above it looks for it.
func (s *stand) cluster() string { return filepath.Join(s.dir, "shop", "postgres") }

// startServer starts PostgreSQL, after stopping it if it runs. Without settings it has those of every private one.
func (s *stand) startServer(ctx context.Context, settings map[string]string) (err error) {
	if err := s.stopServer(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.server, err = postgres.Start(ctx, postgres.Options{Dir: s.cluster(), Settings: settings}); err != nil {
		return err
	}
	s.admin, err = pgxpool.New(ctx, s.server.URL())
	return err
}

func (s *stand) stopServer() error {
	if s.admin != nil {
		s.admin.Close()
		s.admin = nil
	}
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.server.Stop(ctx)
	s.server = nil
	return err
}

// restock sees to it that nothing is sold out while it is measured.
func (s *stand) restock(ctx context.Context) error {
	rows, err := s.admin.Query(ctx, "UPDATE inventory.stock SET on_hand = 1000000000 WHERE on_hand > 0 RETURNING sku")
	if err != nil {
		return fmt.Errorf("fill the shelves: %w", err)
	}
	if s.skus, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return fmt.Errorf("fill the shelves: %w", err)
	}
	if len(s.skus) == 0 {
		return errors.New("the demo catalogue has nothing in stock")
	}
	return nil
}

// close removes everything, also what a shop has left behind that was killed.
func (s *stand) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return errors.Join(s.stopServer(), postgres.Remove(ctx, s.cluster()), os.RemoveAll(s.dir))
}
