package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/cart"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Customers wait for these statements, so they are few, written by hand, and deferred where nobody reads what they yield.

// insertCart writes a new cart down. Its times are the database's, as all that is compared with them.
func insertCart(ctx context.Context, tx tx, row *ent.Cart) error {
	err := tx.QueryRow(ctx, "INSERT INTO cart (id, user_id, state) VALUES ($1, $2, $3) RETURNING create_time, update_time", row.ID, row.UserID, row.State).
		Scan(&row.CreateTime, &row.UpdateTime)
	if err != nil {
		return fmt.Errorf("create cart: %w", err)
	}
	return nil
}

// setItem puts an item into an active cart of the user's, or takes it out, and returns the cart with all that is in it then.
func setItem(ctx context.Context, tx tx, r *ordersv1.SetCartItemRequest, userID string) (*ent.Cart, error) {
	row := &ent.Cart{ID: r.GetCartId(), UserID: userID, State: string(active)}
	batch := &pgx.Batch{}
	// It locks the cart: the items of one change one after the other. Of the state see [insertOrder].
	batch.Queue("UPDATE cart SET update_time = now() WHERE id = $1 AND user_id = $2 AND state || '' = $3 RETURNING create_time, update_time",
		row.ID, row.UserID, row.State).QueryRow(func(r pgx.Row) error { return r.Scan(&row.CreateTime, &row.UpdateTime) })
	if r.GetQuantity() == 0 {
		batch.Queue("DELETE FROM cart_item WHERE sku = $3 AND cart_id = (SELECT id FROM cart WHERE id = $1 AND user_id = $2)", row.ID, row.UserID, r.GetSku())
	} else {
		batch.Queue(`INSERT INTO cart_item (cart_id, sku, quantity) SELECT id, $3, $4 FROM cart WHERE id = $1 AND user_id = $2
			ON CONFLICT (cart_id, sku) DO UPDATE SET quantity = excluded.quantity`, row.ID, row.UserID, r.GetSku(), r.GetQuantity())
	}
	batch.Queue("SELECT sku, quantity FROM cart_item WHERE cart_id = $1 ORDER BY sku", row.ID).Query(func(rows pgx.Rows) (err error) {
		row.Edges.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ent.CartItem, error) {
			item := &ent.CartItem{}
			return item, row.Scan(&item.Sku, &item.Quantity)
		})
		return err
	})
	err := tx.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, whyNotActive(ctx, tx, row)
	}
	if err != nil {
		return nil, fmt.Errorf("change cart %s: %w", row.ID, err)
	}
	return row, nil
}

// whyNotActive says why a cart is not an active one of the user's.
func whyNotActive(ctx context.Context, tx tx, row *ent.Cart) error {
	is, err := tx.Ent.Cart.Query().Where(cart.ID(row.ID), cart.UserID(row.UserID)).Only(ctx)
	if ent.IsNotFound(err) {
		return rpc.NotFound("cart", row.ID)
	}
	if err != nil {
		return fmt.Errorf("load cart %s: %w", row.ID, err)
	}
	return errCartState(is.ID, cartState(is.State))
}

func errCartState(cartID string, is cartState) error {
	return rpc.Errorf(connect.CodeFailedPrecondition, "CART_STATE", "cart %s is %s", cartID, is)
}

// loadCart loads a cart of the user's with its items, by SKU, and the database's time: all replicas agree on it.
func (s *service) loadCart(ctx context.Context, cartID, userID string) (row *ent.Cart, now time.Time, err error) {
	row = &ent.Cart{ID: cartID, UserID: userID}
	var skus []string
	var quantities []int64
	err = s.store.Pool().QueryRow(ctx, `SELECT state, create_time, update_time, now(),
			ARRAY(SELECT sku FROM cart_item WHERE cart_id = $1 ORDER BY sku), ARRAY(SELECT quantity FROM cart_item WHERE cart_id = $1 ORDER BY sku)
		FROM cart WHERE id = $1 AND user_id = $2`, cartID, userID).Scan(&row.State, &row.CreateTime, &row.UpdateTime, &now, &skus, &quantities)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, now, rpc.NotFound("cart", cartID)
	}
	if err != nil {
		return nil, now, db.Unavailable(fmt.Errorf("load cart %s: %w", cartID, err))
	}
	for i, sku := range skus {
		row.Edges.Items = append(row.Edges.Items, &ent.CartItem{Sku: sku, Quantity: quantities[i]})
	}
	return row, now, nil
}

// lockCart locks a cart of the user's and returns its state, and the time of the transaction, by the database's clock.
func lockCart(ctx context.Context, tx tx, cartID, userID string) (is cartState, now time.Time, err error) {
	err = tx.QueryRow(ctx, "SELECT state, now() FROM cart WHERE id = $1 AND user_id = $2 FOR UPDATE", cartID, userID).Scan(&is, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", now, rpc.NotFound("cart", cartID)
	}
	if err != nil {
		return "", now, fmt.Errorf("lock cart %s: %w", cartID, err)
	}
	return is, now, nil
}

func insertQuote(tx tx, row *ent.Quote) {
	tx.Defer("INSERT INTO quote (id, cart_id, user_id, lines, total, currency, expire_time, charges) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		row.ID, row.CartID, row.UserID, row.Lines, row.Total, row.Currency, row.ExpireTime, row.Charges)
}

// loadQuote loads a quote of the user's, and the database's time.
func (s *service) loadQuote(ctx context.Context, quoteID, userID string) (row *ent.Quote, now time.Time, err error) {
	row = &ent.Quote{ID: quoteID, UserID: userID}
	err = s.store.Pool().QueryRow(ctx, "SELECT cart_id, lines, total, currency, charges, expire_time, now() FROM quote WHERE id = $1 AND user_id = $2", quoteID, userID).
		Scan(&row.CartID, &row.Lines, &row.Total, &row.Currency, &row.Charges, &row.ExpireTime, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, now, rpc.NotFound("quote", quoteID)
	}
	if err != nil {
		return nil, now, db.Unavailable(fmt.Errorf("load quote %s: %w", quoteID, err))
	}
	return row, now, nil
}

// loadOrder loads an order of the user's, or of anybody's, with what has become of it since an entry of its log, by sequence.
func (s *service) loadOrder(ctx context.Context, orderID, userID string, everybodys bool, after int64) (*ent.Order, error) {
	rows, err := s.store.Pool().Query(ctx, `SELECT o.user_id, o.quote_id, o.state, o.reason, o.lines, o.total, o.currency, o.charges, o.reservation_id, o.payment_id, o.sequence,
			o.create_time, o.update_time, coalesce(t.sequence, 0), coalesce(t.state, ''), coalesce(t.note, ''), coalesce(t.create_time, o.create_time)
		FROM "order" o LEFT JOIN transition t ON t.order_id = o.id AND t.sequence > $3 AND t.state <> ''
		WHERE o.id = $1 AND (o.user_id = $2 OR $4) ORDER BY t.sequence`, orderID, userID, after, everybodys)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load order %s: %w", orderID, err))
	}
	var row *ent.Order
	o, t := ent.Order{ID: orderID}, ent.Transition{}
	_, err = pgx.ForEachRow(rows, []any{&o.UserID, &o.QuoteID, &o.State, &o.Reason, &o.Lines, &o.Total, &o.Currency, &o.Charges, &o.ReservationID, &o.PaymentID, &o.Sequence,
		&o.CreateTime, &o.UpdateTime, &t.Sequence, &t.State, &t.Note, &t.CreateTime}, func() error {
		if row == nil {
			first := o
			row = &first
		}
		if t.Sequence > 0 {
			entry := t
			row.Edges.Transitions = append(row.Edges.Transitions, &entry)
		}
		return nil
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load order %s: %w", orderID, err))
	}
	if row == nil {
		return nil, rpc.NotFound("order", orderID)
	}
	return row, nil
}

// insertOrder writes a new order down with the first entry of its log, and converts the cart that it was. The database refuses that
// if the cart is not active, the quote has expired or the customer has as many open orders as he may: an order has an id. The state is asked for
// in a way that does not fit the index of the active carts, which PostgreSQL would read from end to end if it has never counted one.
func insertOrder(tx tx, row *ent.Order, q *ent.Quote, note string, maxOpen int) {
	tx.Defer(`WITH converted AS (
			UPDATE cart SET state = 'converted', update_time = now() WHERE id = $12 AND user_id = $2 AND state || '' = 'active' AND now() <= $13
				AND (`+openSQL("$2", "$16")+`) < $16 RETURNING id
		), placed AS (
			INSERT INTO "order" (id, user_id, quote_id, state, lines, total, currency, payment_method, sequence, open, create_time, update_time, charges)
			VALUES ((SELECT $1 FROM converted), $2, $3, $4, $5, $6, $7, $8, $9, true, $10, $11, $15)
		) INSERT INTO transition (order_id, sequence, state, note) VALUES ($1, $9, $4, $14)`,
		row.ID, row.UserID, row.QuoteID, row.State, row.Lines, row.Total, row.Currency, row.PaymentMethod, row.Sequence, row.CreateTime, row.UpdateTime,
		q.CartID, q.ExpireTime, note, row.Charges, maxOpen)
}

// openSQL counts the open orders of a user, and stops at a limit; both are parameters. The state is asked for because an earlier release,
// which may still be at work, does not say that an order is not open any more.
func openSQL(userID, limit string) string {
	return `SELECT count(*) FROM (SELECT FROM "order" WHERE user_id = ` + userID + ` AND open
		AND state IN ('pending', 'reserved', 'paying', 'payment_unknown', 'cancel_pending') LIMIT ` + limit + `) counted`
}

// countOpen returns how many open orders a user has, but no more than the limit.
func countOpen(ctx context.Context, tx tx, userID string, limit int) (open int, err error) {
	if err := tx.QueryRow(ctx, openSQL("$1", "$2"), userID, limit).Scan(&open); err != nil {
		return 0, fmt.Errorf("count open orders: %w", err)
	}
	return open, nil
}
