package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgres"
)

// postgresStopTimeout bounds the stop of the private PostgreSQL, which has only to write to disk what it holds in memory.
const postgresStopTimeout = 10 * time.Second

// databases are those of the modules in this unit.
type databases struct {
	byModule map[string]*db.DB
	// fresh says that a private database has not been seeded yet, which the file seeded would tell.
	fresh  bool
	seeded string
}

// openDatabases opens the database of each module, at once.
func (u *unit) openDatabases(ctx context.Context) (*databases, error) {
	d := &databases{byModule: map[string]*db.DB{}}
	common, err := u.commonURL(ctx, d)
	if err != nil {
		return nil, err
	}
	open, ctx := errgroup.WithContext(ctx)
	opened := make([]*db.DB, len(u.Modules))
	preparing := u.preparing()
	for i, m := range u.Modules {
		open.Go(func() (err error) {
			defer preparing(m.Name)
			opened[i], err = db.Open(ctx, u.databaseConfig(m, common))
			return err
		})
	}
	err = open.Wait()
	for i, m := range u.Modules {
		if database := opened[i]; database != nil {
			d.byModule[m.Name] = database
			u.onStop(func(context.Context) { database.Close() })
			u.health.Add(databaseCheck(m.Name), database.Check)
		}
	}
	return d, err
}

// databaseCheck is what the check of a module's database is called.
func databaseCheck(module string) string { return "database of " + module }

// preparing tells whose database is being opened, and migrated where it is older than this program. What it returns is to be called when one
// is.
func (u *unit) preparing() (done func(module string)) {
	var mu sync.Mutex
	waiting := u.names()
	tell := func() {
		if len(waiting) > 0 {
			u.health.Doing("starting: preparing the database of " + strings.Join(waiting, ", ") + ", with its migrations")
		}
	}
	tell()
	return func(module string) {
		mu.Lock()
		defer mu.Unlock()
		waiting = slices.DeleteFunc(waiting, func(name string) bool { return name == module })
		tell()
	}
}

// databaseConfig says which database a module gets.
func (u *unit) databaseConfig(m module.Module, common string) db.Config {
	c := db.Config{
		Module: m.Name, URL: u.values.String(moduleSetting(m.Name, "DATABASE_URL")), Secret: u.values.String("CLEAVE_DATABASE_SECRET"),
		Migrations: m.Migrations, Migrate: u.values.String("CLEAVE_MIGRATE") == "auto",
		MaxConns: u.values.Int("CLEAVE_DATABASE_MAX_CONNS") / len(u.Modules), Tracer: u.telemetry.Statements(), Log: u.log,
	}
	if c.URL == "" {
		c.URL = common
	}
	return c
}

// commonURL returns the database of the modules that have none of their own. If none is set and some module needs it, a private
// PostgreSQL is started, where the program may.
func (u *unit) commonURL(ctx context.Context, d *databases) (string, error) {
	needed := ""
	for _, m := range u.Modules {
		if u.values.String(moduleSetting(m.Name, "DATABASE_URL")) == "" {
			needed = m.Name
		}
	}
	if needed == "" {
		return "", nil
	}
	if url := u.values.String(databaseURL); url != "" {
		return url, nil
	}
	if !u.PrivateDatabase {
		return "", fmt.Errorf("no database is set: set %s, or %s for this module alone, to something like postgres://user:password@host:5432/database",
			databaseURL, moduleSetting(needed, "DATABASE_URL"))
	}
	u.health.Doing("starting: starting the private PostgreSQL")
	folder := u.values.String(dataDir)
	server, err := postgres.Start(ctx, postgres.Options{Dir: filepath.Join(folder, "postgres"), Logger: u.log})
	if err != nil {
		return "", err
	}
	u.onStop(func(ctx context.Context) {
		// Requests and jobs may have used up the time that there was for all. A database that is cut off has to recover.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postgresStopTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			u.log.Warn("the private PostgreSQL did not stop cleanly", "error", err)
		}
	})
	stopped, stop := context.WithCancel(context.Background())
	u.onStop(func(context.Context) { stop() })
	go func() {
		select {
		case <-server.Done():
			u.log.Error("the private PostgreSQL has stopped", "error", server.Err())
			u.fail(errors.New("the private PostgreSQL has stopped by itself: its log is in " + folder))
		case <-stopped.Done():
		}
	}()
	d.seeded = filepath.Join(folder, "seeded")
	_, err = os.Stat(d.seeded)
	d.fresh = errors.Is(err, os.ErrNotExist)
	return server.URL(), nil
}

// seed runs fn and remembers that it did.
func (d *databases) seed(ctx context.Context, fn func(context.Context) error) error {
	if err := fn(ctx); err != nil {
		return fmt.Errorf("fill the new database: %w", err)
	}
	return os.WriteFile(d.seeded, []byte("This file says that the private database has been filled once. Remove the whole folder to start anew.\n"), 0o644)
}

// migrate opens the databases, which migrates them, and closes them again.
func (u *unit) migrate(ctx context.Context) error {
	defer u.stop()
	u.failed = make(chan error, 1)
	if len(u.Modules) == 0 {
		return errors.New("there is no module in this binary")
	}
	if u.values.String("CLEAVE_MIGRATE") == "off" {
		return errors.New("CLEAVE_MIGRATE=off forbids it: unset it for this command")
	}
	if _, err := u.openDatabases(ctx); err != nil {
		return err
	}
	u.log.Info("schemas are up to date", "modules", u.contents())
	return nil
}
