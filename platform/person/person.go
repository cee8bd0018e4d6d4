// Package person knows what a module holds of people: where, how it is shown to them, and how it is forgotten.
//
// A module declares its holdings in its module.go. From that come the export, the erasure in a transaction of the module, and a report of it,
// which every module serves at the operator's port. The package does not own who is to be forgotten, or when: that a module hears by an event,
// and calls [Client.Erase]. Nor does it know what is personal: a table that nobody declares is nobody's, and a test of the house looks for those.
package person

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Holding is a table with something of people.
type Holding struct {
	// Table is its name.
	Table string
	// Place is what reports call it: the table, unless two holdings are in that.
	Place string
	// Of is the condition in SQL under which a row is of the person whose subject is $1.
	Of string
	// Email is the condition under which a row is of whoever has the e-mail address $1, which is in small letters; "" if none is by its address alone.
	Email string
	// Key is the column that tells one row from the others: id, if it is empty.
	Key string
	// Shows are the columns that an export has. Without one there is nothing in the table that its person could read.
	Shows []string
	// Anonymise is what is set in a row, in SQL, so that nothing of the person is left but what the house has to keep. Without it rows are removed.
	Anonymise string
	// Later says that a row does not show whose it is: another event does, which names something of the person, and the condition has that as $1. It is
	// for [Client.EraseLater], and in no export.
	Later bool
	// Keeps says that rows stay as they are because the house has to keep them and they have the subject alone. Then the condition is for the export.
	Keeps bool
}

// requests are the answers of mutating methods, which every module keeps, see platform/idempotency. What somebody has asked for may be in one.
var requests = Holding{Table: "cleave_request", Of: "caller = $1"}

func (h Holding) done() string {
	switch {
	case h.Keeps:
		return "kept"
	case h.Anonymise != "":
		return "anonymised"
	}
	return "erased"
}

var wireDone = map[string]personv1.Done{
	"erased": personv1.Done_DONE_ERASED, "anonymised": personv1.Done_DONE_ANONYMISED, "kept": personv1.Done_DONE_KEPT,
}

// statement returns what erases the rows for which a condition holds, and counts them.
func (h Holding) statement(condition string) string {
	switch {
	case h.Keeps:
		return "SELECT count(*) FROM " + h.table() + " WHERE " + condition
	case h.Anonymise != "":
		return "WITH done AS (UPDATE " + h.table() + " SET " + h.Anonymise + " WHERE " + condition + " RETURNING 1) SELECT count(*) FROM done"
	}
	return "WITH done AS (DELETE FROM " + h.table() + " WHERE " + condition + " RETURNING 1) SELECT count(*) FROM done"
}

func (h Holding) table() string { return pgx.Identifier{h.Table}.Sanitize() }

// Client is what a module does for the people of whom it holds something.
type Client struct {
	db       *db.DB
	holdings []Holding
}

// New returns the client of a module with these holdings, which are erased in their order.
func New(d *db.DB, holdings []Holding) *Client {
	if len(holdings) > 0 {
		holdings = append(holdings[:len(holdings):len(holdings)], requests)
	}
	return &Client{db: d, holdings: holdings}
}

// lock has an erasure and what would bring something of its person back follow each other: whoever comes second sees what the first has done.
const lock = "SELECT pg_advisory_xact_lock%s(hashtextextended(current_schema() || ' cleave_erasure ' || $1::text, 0))"

var lockAlone, lockShared = fmt.Sprintf(lock, ""), fmt.Sprintf(lock, "_shared")

func (h Holding) place() string {
	if h.Place != "" {
		return h.Place
	}
	return h.Table
}

// Erase forgets a person, and adds to the report what it has done. Repeated it erases what has come since, which is nothing if the module asks
// [Client.Living] where something could. It is for the handler of the event that says that somebody is forgotten, and comes first in its
// transaction, before any lock that somebody may hold who asks that.
func (c *Client) Erase(ctx context.Context, tx pgx.Tx, subject string) error {
	return c.erase(ctx, tx, subject, subject, func(h Holding) string {
		if h.Later {
			return ""
		}
		return h.Of
	})
}

// EraseLater is Erase for those holdings which are found by what another event names.
func (c *Client) EraseLater(ctx context.Context, tx pgx.Tx, subject string, named any) error {
	return c.erase(ctx, tx, subject, named, func(h Holding) string {
		if h.Later {
			return h.Of
		}
		return ""
	})
}

func (c *Client) erase(ctx context.Context, tx pgx.Tx, reported string, argument any, condition func(Holding) string) error {
	db.Defer(tx, lockAlone, reported)
	for _, h := range c.holdings {
		where := condition(h)
		if where == "" {
			continue
		}
		var rows int64
		if err := tx.QueryRow(ctx, h.statement(where), argument).Scan(&rows); err != nil {
			return fmt.Errorf("forget somebody in %s: %w", h.Table, err)
		}
		db.Defer(tx, `INSERT INTO cleave_erasure AS e (subject, place, done, rows) VALUES ($1, $2, $3, $4)
			ON CONFLICT (subject, place) DO UPDATE SET rows = CASE excluded.done WHEN 'kept' THEN excluded.rows ELSE e.rows + excluded.rows END, done = excluded.done, time = now()
			WHERE excluded.rows > 0 AND (excluded.done <> 'kept' OR excluded.rows <> e.rows)`, reported, h.place(), h.done(), rows)
	}
	return nil
}

// Erased is the reason of the error about somebody who is forgotten.
const Erased = "ERASED"

// Living fails with failed_precondition and reason [Erased] if the person is forgotten, and otherwise has an erasure wait for this transaction. What
// writes something personal asks first, so that nothing comes back: a token is good for a while after its person is gone.
func (c *Client) Living(ctx context.Context, tx pgx.Tx, subject string) error {
	db.Defer(tx, lockShared, subject)
	var forgotten bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM cleave_erasure WHERE subject = $1)", subject).Scan(&forgotten); err != nil {
		return fmt.Errorf("look whether somebody is forgotten: %w", err)
	}
	if forgotten {
		return rpc.Errorf(connect.CodeFailedPrecondition, Erased, "%s is forgotten: whoever comes back is somebody new, and signs in as such", subject)
	}
	return nil
}

// columns are those that an export of the holding has, in SQL.
func (h Holding) columns() string {
	quoted := make([]string, len(h.Shows))
	for i, column := range h.Shows {
		quoted[i] = pgx.Identifier{column}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}

func (h Holding) key() string {
	if h.Key == "" {
		return "id"
	}
	return h.Key
}
