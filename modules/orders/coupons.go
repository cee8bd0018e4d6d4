package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/coupon"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/predicate"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

func (s *service) CreateCoupon(ctx context.Context, r *ordersv1.CreateCouponRequest) (answer *ordersv1.CreateCouponResponse, err error) {
	row := &ent.Coupon{
		ID: id.New("cpn"), Code: strings.ToUpper(r.GetCode()), Percent: r.GetPercent(), Amount: r.GetAmount().GetAmount(), Currency: r.GetAmount().GetCurrency(),
		MaxUses: r.GetMaxUses(), MaxUsesPerCustomer: r.GetMaxUsesPerCustomer(), StartTime: timeOf(r.GetStartTime()), EndTime: timeOf(r.GetEndTime()),
	}
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.CreateCouponResponse, error) {
		err := tx.QueryRow(ctx, `INSERT INTO coupon (id, code, percent, amount, currency, max_uses, max_uses_per_customer, start_time, end_time)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING create_time`, row.ID, row.Code, row.Percent, row.Amount, row.Currency,
			row.MaxUses, row.MaxUsesPerCustomer, row.StartTime, row.EndTime).Scan(&row.CreateTime)
		if err != nil {
			return nil, fmt.Errorf("create coupon: %w", err)
		}
		return &ordersv1.CreateCouponResponse{Coupon: couponMessage(row)}, nil
	})
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.ConstraintName == "coupon_code_key" {
		return nil, rpc.Errorf(connect.CodeAlreadyExists, "COUPON_CODE_TAKEN", "there is a coupon with the code %s", row.Code)
	}
	return answer, err
}

func (s *service) GetCoupon(ctx context.Context, r *ordersv1.GetCouponRequest) (*ordersv1.GetCouponResponse, error) {
	row, err := s.store.Ent.Coupon.Query().Where(called(r.GetId())).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("coupon", r.GetId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &ordersv1.GetCouponResponse{Coupon: couponMessage(row)}, nil
}

func (s *service) ListCoupons(ctx context.Context, r *ordersv1.ListCouponsRequest) (*ordersv1.ListCouponsResponse, error) {
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), "")
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	query := s.store.Ent.Coupon.Query()
	if after != "" {
		query.Where(coupon.IDLT(after))
	}
	rows, err := query.Order(ent.Desc(coupon.FieldID)).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &ordersv1.ListCouponsResponse{}
	rows, answer.NextPageToken = page.Cut(rows, size, "", func(row *ent.Coupon) string { return row.ID })
	for _, row := range rows {
		answer.Coupons = append(answer.Coupons, couponMessage(row))
	}
	return answer, nil
}

func (s *service) DisableCoupon(ctx context.Context, r *ordersv1.DisableCouponRequest) (*ordersv1.DisableCouponResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.DisableCouponResponse, error) {
		row, err := tx.Ent.Coupon.Query().Where(called(r.GetId())).ForUpdate().Only(ctx)
		if ent.IsNotFound(err) {
			return nil, rpc.NotFound("coupon", r.GetId())
		}
		if err != nil {
			return nil, fmt.Errorf("lock coupon %s: %w", r.GetId(), err)
		}
		row.Disabled = true
		tx.Defer("UPDATE coupon SET disabled = true WHERE id = $1", row.ID)
		return &ordersv1.DisableCouponResponse{Coupon: couponMessage(row)}, nil
	})
}

// called finds a coupon by its id or its code.
func called(name string) predicate.Coupon {
	return coupon.Or(coupon.ID(name), coupon.Code(strings.ToUpper(name)))
}

const couponColumns = `c.id, c.code, c.percent, c.amount, c.currency, c.max_uses, c.max_uses_per_customer, c.uses, c.start_time, c.end_time, c.disabled,
	(SELECT count(*) FROM coupon_use u WHERE u.coupon_id = c.id AND u.user_id = $2), now()`

// scanCoupon reads a coupon, how often the user has used it, and the database's time.
func scanCoupon(row pgx.Row) (c *ent.Coupon, own int64, now time.Time, err error) {
	c = &ent.Coupon{}
	err = row.Scan(&c.ID, &c.Code, &c.Percent, &c.Amount, &c.Currency, &c.MaxUses, &c.MaxUsesPerCustomer, &c.Uses, &c.StartTime, &c.EndTime, &c.Disabled, &own, &now)
	return c, own, now, err
}

// couponFor returns a coupon that a user can use now for an order in a currency.
func (s *service) couponFor(ctx context.Context, code, userID, currency string) (*ent.Coupon, error) {
	c, own, now, err := scanCoupon(s.store.Pool().QueryRow(ctx, "SELECT "+couponColumns+" FROM coupon c WHERE c.code = $1", strings.ToUpper(code), userID))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "COUPON_UNKNOWN", "there is no coupon %s", code)
	}
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load coupon %s: %w", code, err))
	}
	return c, usable(c, now, own, rpc.IsGuest(userID), currency)
}

// useCoupon counts a use of a coupon by an order that is being placed. Two statements, because the second has to see what others have used
// who had the lock before. The database refuses them if the coupon cannot be used: a use has a coupon.
func useCoupon(tx tx, couponID, orderID, userID string) {
	tx.Defer("UPDATE coupon SET uses = uses + 1 WHERE id = $1", couponID)
	tx.Defer(`INSERT INTO coupon_use (order_id, coupon_id, user_id) SELECT $2, (SELECT id FROM coupon WHERE id = $1 AND NOT disabled
			AND (start_time IS NULL OR start_time <= now()) AND (end_time IS NULL OR now() < end_time)
			AND (max_uses_per_customer = 0 OR max_uses_per_customer > (SELECT count(*) FROM coupon_use WHERE coupon_id = $1 AND user_id = $3))), $3`,
		couponID, orderID, userID)
}

// whyNotUsable says why a coupon cannot be used, if it cannot. It locks the coupon.
func whyNotUsable(ctx context.Context, tx tx, couponID, userID, currency string) error {
	if _, err := tx.Exec(ctx, "SELECT FROM coupon WHERE id = $1 FOR UPDATE", couponID); err != nil {
		return fmt.Errorf("lock coupon %s: %w", couponID, err)
	}
	c, own, now, err := scanCoupon(tx.QueryRow(ctx, "SELECT "+couponColumns+" FROM coupon c WHERE c.id = $1", couponID, userID))
	if err != nil {
		return fmt.Errorf("load coupon %s: %w", couponID, err)
	}
	return usable(c, now, own, rpc.IsGuest(userID), currency)
}

// coupons gives uses of coupons back.
type coupons struct{ db *db.DB }

// release gives the use of an order back, once however often it is wanted.
func (c coupons) release(ctx context.Context, orderID string) error {
	if _, err := c.db.Pool().Exec(ctx, `WITH gone AS (DELETE FROM coupon_use WHERE order_id = $1 RETURNING coupon_id)
		UPDATE coupon SET uses = uses - 1 FROM gone WHERE coupon.id = gone.coupon_id`, orderID); err != nil {
		return fmt.Errorf("release coupon: %w", err)
	}
	return nil
}

// couponMessage maps a coupon.
func couponMessage(row *ent.Coupon) *ordersv1.Coupon {
	m := &ordersv1.Coupon{
		Id: row.ID, Code: row.Code, Percent: row.Percent, MaxUses: row.MaxUses, MaxUsesPerCustomer: row.MaxUsesPerCustomer, Uses: row.Uses,
		StartTime: timeMessage(row.StartTime), EndTime: timeMessage(row.EndTime), Disabled: row.Disabled, CreateTime: timestamppb.New(row.CreateTime),
	}
	if row.Amount > 0 {
		m.Amount = &typev1.Money{Amount: row.Amount, Currency: row.Currency}
	}
	return m
}

func timeOf(m *timestamppb.Timestamp) *time.Time {
	if m == nil {
		return nil
	}
	t := m.AsTime()
	return &t
}

func timeMessage(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
