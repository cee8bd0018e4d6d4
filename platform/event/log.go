package event

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/db"
)

// cursor is a place in the log. What is smaller comes before.
type cursor struct {
	era         int32
	transaction uint64
	position    int64
}

func (c cursor) compare(o cursor) int {
	return cmp.Or(cmp.Compare(c.era, o.era), cmp.Compare(c.transaction, o.transaction), cmp.Compare(c.position, o.position))
}

// String writes the cursor for people and for page tokens.
func (c cursor) String() string { return fmt.Sprintf("%d.%d.%d", c.era, c.transaction, c.position) }

func parseCursor(text string) (c cursor, err error) {
	_, err = fmt.Sscanf(text, "%d.%d.%d", &c.era, &c.transaction, &c.position)
	return c, err
}

// logged is an event of the log. Its message is there only if the reader wants its type.
type logged struct {
	cursor
	event *eventv1.Event
}

// size is about how many bytes the event takes on its way.
func (l logged) size() int {
	return len(l.event.Data) + len(l.event.Subject) + len(l.event.Principal) + 256
}

// columns are what scan reads.
const columns = "era, transaction, position, id, type, subject, sequence, time, correlation_id, trace, coalesce(principal, '')"

// below is the condition that nothing can appear any more in the log before the event.
const below = "(era < cleave_era() OR transaction < pg_snapshot_xmin(pg_current_snapshot()))"

// window is what a reader finds behind a cursor.
type window struct {
	events []logged
	// end is the place up to which the log has been read.
	end cursor
	// rows is how many events that are, wanted or not.
	rows int
	// more says that there may be more to read at once, and blocked that there is more which cannot be read yet, because an older
	// transaction is still writing.
	more, blocked bool
}

// windowRows bounds what is read at once. With the largest events that is 32 MiB.
const windowRows = 500

// readWindow reads what a subscription finds behind a cursor. Types come with the events, from one snapshot: what was published after a
// type was added must not be passed over.
//
// The statement gets its plan once. PostgreSQL would make one for each cursor, which takes longer than to run it, if it saw the cursor in
// time: near the end of the log it expects few rows then, and else a third of the log.
var readWindow = `SELECT ` + columns + `, ` + below + `, CASE WHEN s.types ? e.type THEN e.data END
	FROM (SELECT types FROM cleave_subscriber WHERE id = $1) s, LATERAL (
		SELECT * FROM cleave_event WHERE (era, transaction, position) > ((SELECT $2::integer), (SELECT $3::xid8), (SELECT $4::bigint))
		ORDER BY era, transaction, position LIMIT ` + strconv.Itoa(windowRows) + `
	) e ORDER BY era, transaction, position`

// byIndex comes before it in its transaction. A plan that is made while the log is short, to sort all of it, would be kept while it grows.
const byIndex = "SELECT set_config('enable_bitmapscan', 'off', true)"

// read reads the log behind a cursor: the events that the subscription wants, with the types that it wants at this moment.
func (e *Events) read(ctx context.Context, subscription int64, after cursor) (w window, err error) {
	err = e.db.Tx(ctx, func(_ context.Context, tx pgx.Tx) error {
		db.Defer(tx, byIndex)
		db.Defer(tx, readWindow, subscription, after.era, after.transaction, after.position).Query(func(rows pgx.Rows) (err error) {
			w, err = e.window(rows, after)
			return err
		})
		return nil
	})
	if err != nil {
		return window{}, fmt.Errorf("read the log: %w", err)
	}
	return w, nil
}

// window makes a window of the rows behind a cursor.
func (e *Events) window(rows pgx.Rows, after cursor) (window, error) {
	w := window{end: after}
	seen := 0
	for rows.Next() {
		l, ready, data := logged{event: &eventv1.Event{}}, false, []byte(nil)
		if err := l.scan(rows, &ready, &data); err != nil {
			return window{}, err
		}
		seen++
		if !ready && !e.ignoreXmin {
			w.blocked = true // And so is everything behind it.
			break
		}
		w.end = l.cursor
		w.rows++
		if data != nil {
			l.event.Data = data
			w.events = append(w.events, l)
		}
	}
	w.more = seen == windowRows && !w.blocked
	return w, nil
}

// scan reads columns, and what comes after them.
func (l *logged) scan(rows pgx.CollectableRow, more ...any) error {
	var at time.Time
	err := rows.Scan(append([]any{&l.era, &l.transaction, &l.position, &l.event.Id, &l.event.Type, &l.event.Subject, &l.event.Sequence,
		&at, &l.event.CorrelationId, &l.event.Trace, &l.event.Principal}, more...)...)
	l.event.Time = timestamppb.New(at)
	return err
}
