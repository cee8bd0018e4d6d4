package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// database is the one that every cluster has for its owner.
const database = "cleave"

// endpoint is where a server listens: a folder with a socket, or a loopback address, and a port, which is a part of the
// socket's name.
type endpoint struct {
	host, port string
	password   string
}

func (e endpoint) local() bool { return filepath.IsAbs(e.host) }

// socket is the path of the unix socket.
func (e endpoint) socket() string { return filepath.Join(e.host, ".s.PGSQL."+e.port) }

// address is the endpoint without the password.
func (e endpoint) address() string {
	if e.local() {
		return e.socket()
	}
	return net.JoinHostPort(e.host, e.port)
}

func (e endpoint) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, e.password), Path: "/" + database}
	q := url.Values{"sslmode": {"disable"}}
	if e.local() {
		q.Set("host", e.host)
		q.Set("port", e.port)
	} else {
		u.Host = net.JoinHostPort(e.host, e.port)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// readPassword returns the superuser's password.
func (p place) readPassword() (string, error) {
	content, err := os.ReadFile(p.password())
	if err != nil {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// ping is nil when the server accepts connections. A refused password is told by errRefused; other errors may go away with
// time.
func (e endpoint) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, e.url("postgres"))
	if err == nil {
		return conn.Close(ctx)
	}
	var said *pgconn.PgError
	if errors.As(err, &said) && strings.HasPrefix(said.Code, "28") { // invalid authorization
		return fmt.Errorf("%w: %s", errRefused, said.Message)
	}
	return err
}

var errRefused = errors.New("the server does not accept the superuser's password, which another one must have replaced")

// await returns when the server accepts connections, or ended, or ctx did. The first result tells whether it is up.
func (e endpoint) await(ctx context.Context, proc *process) (bool, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// Asking the file first spares the server connections that it would refuse, and its log a line about each.
		if f, err := readPidfile(proc.data); err == nil && f.pid == proc.pid && f.ready() {
			err := e.ping(ctx)
			if err == nil || errors.Is(err, errRefused) {
				return err == nil, err
			}
		}
		select {
		case <-proc.exited:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for PostgreSQL (pid %d) to accept connections: %w", proc.pid, ctx.Err())
		case <-tick.C:
		}
	}
}

// prepare creates the database "cleave" when it is missing, and returns the server's version.
func prepare(ctx context.Context, e endpoint) (version string, err error) {
	conn, err := pgx.Connect(ctx, e.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err = conn.QueryRow(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1),
		EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&version, &exists)
	if err != nil || exists {
		return version, err
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return "", fmt.Errorf("create the database %s: %w", database, err)
	}
	return version, nil
}

// freePort is a TCP port of the loopback interface that nothing listens on, for now.
func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return uint32(l.Addr().(*net.TCPAddr).Port), nil
}

// listening tells whether anybody accepts connections here, in a server or not.
func (e endpoint) listening() bool {
	network := "tcp"
	if e.local() {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, e.address(), time.Second)
	if err != nil {
		return errors.Is(err, syscall.EAGAIN) // too busy to accept one more just now
	}
	conn.Close()
	return true
}
