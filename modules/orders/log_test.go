package orders_test

import (
	"errors"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgconn"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
)

func TestOrderEventsCanBeReadBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	orderID := c.order("pm_card_visa")
	c.ends(orderID, ordersv1.OrderState_ORDER_STATE_CONFIRMED, "")
	order := c.get(orderID)
	rebuilt := &ordersv1.Order{}
	for {
		page, err := c.orders.ListOrderEvents(c.ctx, &ordersv1.ListOrderEventsRequest{OrderId: orderID, PageSize: 2, AfterSequence: rebuilt.Sequence})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.GetEvents()) == 0 {
			break
		}
		for _, e := range page.GetEvents() {
			if e.GetSequence() != rebuilt.Sequence+1 || e.GetTime().AsTime().Before(order.GetCreateTime().AsTime()) {
				t.Errorf("event %v after %d", e, rebuilt.Sequence)
			}
			rebuilt.Sequence = e.GetSequence()
			if e.GetState() != 0 {
				rebuilt.State = e.GetState()
			}
			rebuilt.ReservationId += e.GetReservationId()
			rebuilt.PaymentId += e.GetPaymentId()
		}
	}
	if rebuilt.State != order.GetState() || rebuilt.Sequence != order.GetSequence() ||
		rebuilt.ReservationId != order.GetReservationId() || rebuilt.PaymentId != order.GetPaymentId() || rebuilt.PaymentId == "" {
		t.Errorf("the events lead to %v, the order is %v", rebuilt, order)
	}
	_, err := s.orders.ListOrderEvents(moduletest.As(t, "usr_other"), &ordersv1.ListOrderEventsRequest{OrderId: orderID})
	refused(t, err, connect.CodeNotFound, "")
}

func TestLogOfOrderIsImmutable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	c.ends(c.order("pm_card_visa"), ordersv1.OrderState_ORDER_STATE_CONFIRMED, "")
	for _, sql := range []string{"UPDATE transition SET note = 'x'", "DELETE FROM transition"} {
		if _, err := s.Hosts["orders"].DB.Pool().Exec(c.ctx, sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// A change that goes with the commit is refused with it.
func TestChangeThatMayNotBeIsNotCommitted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	rejected := c.order(declined)
	c.ends(rejected, ordersv1.OrderState_ORDER_STATE_REJECTED, "CARD_DECLINED")
	for _, orderID := range []string{rejected, "ord_nobody_knows"} {
		before := moduletest.Value[int64](t, s.House, "SELECT count(*) FROM orders.transition")
		var refusal *pgconn.PgError
		if err := orders.Follow(c.ctx, s.Hosts["orders"].DB, orderID); !errors.As(err, &refusal) || refusal.ColumnName != "sequence" {
			t.Errorf("order %s: %v, want that the log takes no entry without a sequence", orderID, err)
		}
		if after := moduletest.Value[int64](t, s.House, "SELECT count(*) FROM orders.transition"); after != before {
			t.Errorf("order %s: the log has %d entries, want still %d", orderID, after, before)
		}
	}
}

// What the log of an order says is compared with the order.
func TestFactsTellOfLogThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	for sql, want := range map[string]string{
		`UPDATE orders."order" SET payment_id = 'pay_other' WHERE id = $1`:                      "the log leads to",
		"UPDATE orders.transition SET state = 'fulfilled' WHERE order_id = $1 AND sequence = 2": "makes it fulfilled though it is pending",
		"DELETE FROM orders.transition WHERE order_id = $1 AND sequence = 2":                    "entry 3 follows entry 1",
	} {
		orderID := c.order("pm_card_visa")
		c.ends(orderID, ordersv1.OrderState_ORDER_STATE_CONFIRMED, "")
		if lines := c.fact(orderID).GetLines(); len(lines) != 1 || lines[0].GetSku() != c.sku || lines[0].GetQuantity() == 0 {
			t.Errorf("the fact says that %v was ordered", lines)
		}
		s.Exec(t, sql, orderID)
		if got := c.fact(orderID).GetLogProblem(); !strings.Contains(got, want) {
			t.Errorf("after %s: %q, want %q", sql, got, want)
		}
		c = s.customer(t)
	}
}

// Others are told of an order when it was placed and when it has settled, in the transaction of either.
func TestOthersAreToldOfOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.customer(t)
	paid, refused := c.order("pm_card_visa"), s.customer(t)
	c.ends(paid, ordersv1.OrderState_ORDER_STATE_CONFIRMED, "")
	if got := c.told(paid); got != "orders.v1.OrderPlaced orders.v1.OrderConfirmed" {
		t.Errorf("of an order that was paid others heard %s", got)
	}
	if err := c.cancel(paid); err != nil {
		t.Fatal(err)
	}
	c.ends(paid, ordersv1.OrderState_ORDER_STATE_CANCELLED, "CANCELLED_BY_CUSTOMER")
	if got := c.told(paid); got != "orders.v1.OrderPlaced orders.v1.OrderConfirmed orders.v1.OrderCancelled" {
		t.Errorf("of an order that was cancelled others heard %s", got)
	}
	declinedOrder := refused.order(declined)
	refused.ends(declinedOrder, ordersv1.OrderState_ORDER_STATE_REJECTED, "CARD_DECLINED")
	if got := refused.told(declinedOrder); got != "orders.v1.OrderPlaced orders.v1.OrderRejected" {
		t.Errorf("of an order that was declined others heard %s", got)
	}
}
