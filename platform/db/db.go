package db

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says which database a module gets.
type Config struct {
	// Module is the name of the module: its schema, and part of its roles' names.
	Module string
	// URL names the server and database, as a user who may create roles and schemas. Its password, or Secret if that is set, is what
	// the passwords of the modules' roles are derived from: every process that has it finds the same ones.
	URL    string
	Secret string
	// Migrations holds the module's versioned SQL in a folder migrations, in goose format.
	Migrations fs.FS
	// Migrate lets Open bring roles, schema and tables up to date. Without it an older schema is an error.
	Migrate bool
	// MaxConns bounds the connections of the module.
	MaxConns int
	// Tracer sees every statement; nil if nobody wants to.
	Tracer pgx.QueryTracer
	Log    *slog.Logger
}

// DB is the database of one module.
type DB struct {
	pool, watch *pgxpool.Pool
	module      string
	needs       needs
	full        atomic.Bool // It was out of room, and nobody has seen since that it is not.
}

var moduleName = regexp.MustCompile(`^[a-z][a-z0-9]{0,30}$`)

// connectTimeout bounds one attempt to reach the server. It is long because a server that is only busy is no reason to end a start; a call
// does not wait longer than its own deadline.
const connectTimeout = 15 * time.Second

// Open connects to the module's schema as the module's role. It creates and migrates what is missing if the configuration allows
// it, and otherwise says what is missing. A schema that is newer than the code is fine.
func Open(ctx context.Context, c Config) (*DB, error) {
	if !moduleName.MatchString(c.Module) {
		return nil, fmt.Errorf("module name %q: small letters and digits only", c.Module)
	}
	admin, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the database URL of %s cannot be read; it looks like postgres://user:password@host:5432/database", c.Module)
	}
	if admin.Password == "" && c.Secret == "" {
		return nil, fmt.Errorf("the database URL of %s has no password, from which those of the modules' roles are derived: set CLEAVE_DATABASE_SECRET", c.Module)
	}
	admin.ConnectTimeout = connectTimeout
	pool, err := c.login(admin)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, admin, pool); err != nil {
		pool.Close()
		return nil, err
	}
	watch, err := newWatch(pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	needs, err := c.needs(watch)
	if err != nil {
		watch.Close()
		pool.Close()
		return nil, err
	}
	return &DB{pool: pool, watch: watch, module: c.Module, needs: needs}, nil
}

// prepare makes sure that the role can log in and that the schema is what the code needs.
func (c Config) prepare(ctx context.Context, admin *pgx.ConnConfig, pool *pgxpool.Pool) error {
	problem, err := c.behind(ctx, pool)
	if err != nil {
		return c.explain(admin, err)
	}
	if problem == "" {
		return nil
	}
	if !c.Migrate {
		return fmt.Errorf("%s: run the migrate command of this program, or set CLEAVE_MIGRATE=auto", problem)
	}
	if err := c.provision(ctx, admin, pool); err != nil {
		return c.explain(admin, err)
	}
	// A pooled connection may be older than the grants.
	pool.Reset()
	if problem, err = c.behind(ctx, pool); err != nil {
		return c.explain(admin, err)
	}
	if problem != "" {
		return fmt.Errorf("after the migration %s", problem)
	}
	return nil
}

// explain says what to do about a server that cannot be used. The error is one line.
func (c Config) explain(admin *pgx.ConnConfig, err error) error {
	var pgErr *pgconn.PgError
	var dialErr *pgconn.ConnectError
	switch {
	case errors.As(err, &pgErr):
		switch pgErr.Code {
		case "28P01", "28000":
			return fmt.Errorf("the user %s cannot log in to the database of %s: correct user and password in DATABASE_URL (%w)", admin.User, c.Module, pgErr)
		case "3D000":
			return fmt.Errorf("there is no database %s for %s: create it, or correct DATABASE_URL (%w)", admin.Database, c.Module, pgErr)
		case "42501":
			return fmt.Errorf("the user %s may not prepare the database of %s: name one in DATABASE_URL who may create roles and schemas (%w)", admin.User, c.Module, pgErr)
		}
	case errors.As(err, &dialErr):
		return fmt.Errorf("the database of %s at %s:%d cannot be reached: start it, or correct DATABASE_URL (%w)",
			c.Module, admin.Host, admin.Port, rootCause(err))
	}
	return fmt.Errorf("prepare the database of %s: %w", c.Module, err)
}

// rootCause returns what is at the bottom of an error. Of several, one for each address of the server, it takes the first: a list has
// a line for each, and a failure is one line.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if list, ok := err.(interface{ Unwrap() []error }); ok && len(list.Unwrap()) > 0 {
			inner = list.Unwrap()[0]
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (c Config) role() string  { return "cleave_" + c.Module }
func (c Config) owner() string { return "cleave_" + c.Module + "_owner" }

// password derives the password of the module's role, the same in every process that knows the secret.
func (c Config) password(admin *pgx.ConnConfig) string {
	secret := c.Secret
	if secret == "" {
		secret = admin.Password
	}
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, "cleave role "+c.role())
	return hex.EncodeToString(mac.Sum(nil))
}

// login returns a pool of connections of the module's role, without opening one.
func (c Config) login(admin *pgx.ConnConfig) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.User = c.role()
	config.ConnConfig.Password = c.password(admin)
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.RuntimeParams["search_path"] = c.Module
	config.ConnConfig.RuntimeParams["application_name"] = "cleave " + c.Module
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	// The statements of a module are short, and each has an index. PostgreSQL makes a plan once, perhaps while the tables are small enough to
	// be read as a whole, and keeps it while they grow: so it is not given the choice, and does not compile what it takes to be dear then.
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	config.ConnConfig.RuntimeParams["jit"] = "off"
	config.ConnConfig.Tracer = c.Tracer
	config.MaxConns = int32(max(c.MaxConns, 4))
	config.MinIdleConns = 1
	config.MaxConnIdleTime = 5 * time.Minute
	return pgxpool.NewWithConfig(context.Background(), config)
}

// Module returns the name of the module whose database this is.
func (d *DB) Module() string { return d.module }

// Pool returns the connections, for what is neither ent's nor a transaction.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Close closes the connections. It waits for those in use.
func (d *DB) Close() {
	d.watch.Close()
	d.pool.Close()
}

// isConnectionLoss reports whether the connection broke under a statement.
func isConnectionLoss(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &netErr) || pgconn.SafeToRetry(err)
}
