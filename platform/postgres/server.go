// Package postgres runs a private PostgreSQL cluster for a program that was given no database: it finds the binaries,
// creates the cluster, starts it, adopts one that a killed process left running, and stops it cleanly.
//
// It owns one folder (Options.Dir) with the data, the superuser's password and the server's log, and the short folder of
// the unix socket. It does not own what is inside the databases: schemas, roles and migrations belong to its callers. It
// is meant for development, demonstrations, tests and small installations; a production database is named by an URL and
// never passes through here.
//
// The life of a cluster:
//
//	                    data? ── no ──► initdb beside the data, then rename
//	                      │                   │
//	Start ─► lock Dir ─► running? ── no ──► launch ──► ready ──► Stop: fast shutdown, unlock
//	                      │                              │
//	                      └── yes: adopt ────────────────┘       dies by itself: Done is closed, Err says why
//
// The server listens on a unix socket only (on Windows on a loopback port), and every connection needs the password.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Options says where a cluster lives and how it runs.
type Options struct {
	// Dir is the folder of the cluster, for example ./.cleave/postgres. It is created when missing. When the process is
	// root and the user that the server runs as cannot reach Dir, only the lock is kept there, the data go to
	// /var/lib/cleave, and a line of log says so.
	Dir string
	// Logger gets one line per Start that says what runs where; nil discards it.
	Logger *slog.Logger
	// Settings are added to the server's configuration, and win over the defaults of this package, for example
	// "fsync": "off" for a throwaway cluster. An adopted server keeps the settings that it was started with.
	Settings map[string]string
	// Template is the folder of a stopped cluster that a new one is copied from instead of running initdb, which saves
	// about a second per cluster. Empty means initdb.
	Template string
}

// Server is a PostgreSQL cluster that this process started or adopted. Its methods may be called concurrently.
type Server struct {
	place    place
	endpoint endpoint
	process  *process
	lock     *lock

	stopping atomic.Bool
	done     chan struct{} // closed when the server died by itself
	watched  chan struct{} // closed when watch has returned
	err      error         // why it died; read after done
}

// Start returns a server that accepts connections and has a database "cleave". It creates the cluster at first, and keeps
// its data from then on. It blocks until the server is ready, which after a crash includes its recovery, or until ctx ends;
// ctx has no influence on the server later.
//
// One process at a time may use a Dir; for the others the error wraps ErrInUse. A server that a killed process left
// running is adopted: used as it is, and stopped by Stop as any other.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	lock, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()
	p, err := locate(lock.dir)
	if err != nil {
		return nil, err
	}
	if p.moved() {
		log.InfoContext(ctx, "the PostgreSQL data live elsewhere, because the user that the server runs as cannot reach the folder",
			"folder", p.dir, "user", p.account.name, "data", p.data())
	}

	adopted := true
	proc, at, err := adopt(ctx, p)
	if err == nil && proc == nil {
		adopted = false
		proc, at, err = startNew(ctx, p, o, log)
	}
	if err != nil {
		return nil, err
	}
	version, err := prepare(ctx, at)
	if err != nil {
		if adopted {
			proc.abandon()
		} else {
			proc.kill()
		}
		return nil, fmt.Errorf("prepare the PostgreSQL cluster in %s: %w", p.home, err)
	}

	s := &Server{place: p, endpoint: at, process: proc, lock: lock,
		done: make(chan struct{}), watched: make(chan struct{})}
	go s.watch()
	message := "started a private PostgreSQL"
	if adopted {
		message = "adopted the private PostgreSQL that an earlier process left running"
	}
	attrs := []any{"version", version, "data", p.data(), "listen", at.address(), "pid", proc.pid}
	if p.account != nil {
		attrs = append(attrs, "user", p.account.name)
	}
	log.InfoContext(ctx, message, attrs...)
	return s, nil
}

// startNew starts a server on the data, which it creates when there are none, and waits until it accepts connections.
func startNew(ctx context.Context, p place, o Options, log *slog.Logger) (*process, endpoint, error) {
	bin, err := binariesFor(ctx, p, log)
	if err != nil {
		return nil, endpoint{}, err
	}
	if err := create(ctx, p, bin, o); err != nil {
		return nil, endpoint{}, fmt.Errorf("create a PostgreSQL cluster in %s: %w", p.home, err)
	}
	proc, at, err := outwait(ctx, func() (*process, endpoint, error) { return launch(ctx, p, bin, o.Settings) })
	if err != nil {
		return nil, endpoint{}, fmt.Errorf("start PostgreSQL on %s: %w", p.data(), err)
	}
	return proc, at, nil
}

// URL is the superuser's URL of the database "cleave". It holds the password: do not log it.
func (s *Server) URL() string { return s.URLFor(database) }

// URLFor is the superuser's URL of a database of the cluster, which need not exist.
func (s *Server) URLFor(database string) string { return s.endpoint.url(database) }

// PID is the process id of the server, for tests that kill it.
func (s *Server) PID() int { return s.process.pid }

// Done is closed when the server dies without Stop having been called; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is nil until Done is closed, and then tells how the server ended, with the last lines of its log.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop ends all connections, shuts the server down with its data flushed ("fast shutdown"), and lets go of the folder. It
// blocks until the server is gone. When ctx ends before that the server is told to stop at once, which loses nothing but
// makes the next start replay its log, and the error says so. Stopping a server that is not running any more is no error.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	running := true
	select {
	case <-s.process.exited:
		running = false
	default:
		if err := s.process.stop(fast); err != nil {
			return fmt.Errorf("stop PostgreSQL (pid %d): %w", s.process.pid, err)
		}
	}
	select {
	case <-s.process.exited:
	case <-ctx.Done():
		if err := s.process.stop(immediate); err != nil {
			return fmt.Errorf("stop PostgreSQL (pid %d) at once: %w", s.process.pid, err)
		}
		return fmt.Errorf("PostgreSQL (pid %d) did not stop in time and was told to stop at once: %w", s.process.pid, ctx.Err())
	}
	<-s.watched
	if s.endpoint.local() {
		_ = os.Remove(s.endpoint.host) // fails only when something is in it, which then stays
	}
	s.lock.release()
	if running && s.process.state != "" {
		return fmt.Errorf("PostgreSQL (pid %d) did not shut down cleanly: %s; %s", s.process.pid, s.process.state, lastLines(s.place.log(), 0))
	}
	return nil
}

// watch reports the end of the server, and keeps its log from growing without bound.
func (s *Server) watch() {
	defer close(s.watched)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-s.process.exited:
			if !s.stopping.Load() {
				s.err = fmt.Errorf("PostgreSQL (pid %d) died: %s; %s", s.process.pid, s.process.state, lastLines(s.place.log(), 0))
				close(s.done)
			}
			return
		case <-tick.C:
			// A failure is met again in a minute, and a log that cannot be trimmed is no reason to stop a database.
			_ = trimLog(s.place.log(), maxLog)
		}
	}
}

// Remove deletes the cluster in dir with all its data, wherever they live, and stops its server first if a killed process
// left it running. The error wraps ErrInUse when a process uses the cluster. Files in dir that this package did not make
// are kept; a dir that does not exist is no error.
func Remove(ctx context.Context, dir string) error {
	lock, err := acquire(dir)
	if err != nil {
		return err
	}
	defer lock.release()
	p, err := locate(lock.dir)
	if err != nil {
		return err
	}
	proc, _, err := adopt(ctx, p)
	if err != nil {
		return err
	}
	if proc != nil {
		proc.kill()
	}
	if err := p.remove(); err != nil {
		return fmt.Errorf("remove the PostgreSQL cluster in %s: %w", p.home, err)
	}
	return lock.discard()
}

// Installed is the version of the PostgreSQL on this machine that Start would use for a new cluster, for example "15.4". It
// does not download one; the error says how to install it.
func Installed(ctx context.Context) (string, error) {
	account, err := defaultAccount()
	if err != nil {
		return "", err
	}
	bin, err := find(ctx, places(), account, 0)
	if err != nil {
		return "", err
	}
	return bin.version, nil
}

// ErrInUse is wrapped by errors about a cluster that another process, or another Server of this process, uses.
var ErrInUse = errors.New("the PostgreSQL cluster is in use")
