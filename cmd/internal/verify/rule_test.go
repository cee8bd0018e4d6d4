package verify

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// facts are those of a small house.
type facts struct {
	acknowledged []string
	orders       []*ordersv1.OrderFact
	coupons      []*ordersv1.CouponFact
	reservations []*inventoryv1.ReservationFact
	payments     []*paymentsv1.PaymentFact
	charges      []*paymentsv1.ChargeFact
	stock        []*inventoryv1.StockFact
	ledger       []*paymentsv1.LedgerFact
	accounts     []*paymentsv1.AccountFact
	messages     []*notificationsv1.MessageFact
	sagas        []*sagav1.Saga
	subscribers  []*eventv1.Subscriber
	published    []*eventv1.DeliveryFact
	applied      []string
	jobs         string // in JSON
}

// now is when the house is looked at.
var now = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

const deadline = 15 * time.Minute

func euros(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }

// inOrder returns the facts of a house in which all is well: one order of each kind.
func inOrder() *facts {
	f := &facts{stock: []*inventoryv1.StockFact{{Sku: "mug", OnHand: 10, Reserved: 3, Moved: 10, Held: 3}}}
	for i, state := range []ordersv1.OrderState{confirmed, cancelled, rejected, pending} {
		n := i + 1
		f.orders = append(f.orders, &ordersv1.OrderFact{
			Id: fmt.Sprintf("ord_%d", n), State: state, Total: euros(1000), ReservationId: fmt.Sprintf("rsv_%d", n), PaymentId: fmt.Sprintf("pay_%d", n),
			Lines: []*ordersv1.OrderFactLine{{Sku: "cap", Quantity: 1}, {Sku: "mug", Quantity: 2}}, CreateTime: timestamppb.New(now.Add(-time.Minute)),
			UpdateTime: timestamppb.New(now.Add(-time.Second)),
		})
		f.reservations = append(f.reservations, &inventoryv1.ReservationFact{
			Id: fmt.Sprintf("rsv_%d", n), Reference: fmt.Sprintf("ord_%d", n), Lines: []*inventoryv1.Line{{Sku: "cap", Quantity: 1}, {Sku: "mug", Quantity: 2}},
			State: []inventoryv1.ReservationState{committed, released, expired, held}[i],
		})
		f.payments = append(f.payments, &paymentsv1.PaymentFact{
			Id: fmt.Sprintf("pay_%d", n), Reference: fmt.Sprintf("ord_%d", n), Amount: euros(1000), Captured: euros([]int64{1000, 1000, 0, 0}[i]),
			Refunded: euros([]int64{0, 1000, 0, 0}[i]), ChargeId: fmt.Sprintf("sbx_%d", n),
			State: []paymentsv1.PaymentState{captured, refunded, voided, authorized}[i],
		})
		f.charges = append(f.charges, &paymentsv1.ChargeFact{
			Id: fmt.Sprintf("sbx_%d", n), Reference: fmt.Sprintf("ord_%d", n), Authorized: euros(1000), Captured: f.payments[i].GetCaptured(),
			Refunded: f.payments[i].GetRefunded(), Voided: i == 2,
		})
	}
	f.coupons = []*ordersv1.CouponFact{{Id: "cpn_1", MaxUses: 1, MaxUsesPerCustomer: 1, Uses: 1, Orders: 1, Most: 1}, {Id: "cpn_2", Uses: 1000, Orders: 1000, Most: 1000}}
	f.orders[0].CouponId, f.orders[0].CouponUsed, f.orders[1].CouponId, f.orders[3].CouponId = "cpn_1", true, "cpn_1", "cpn_2"
	// Somebody else's business.
	f.reservations = append(f.reservations, &inventoryv1.ReservationFact{Id: "rsv_9", Reference: "fair in Turin", State: held})
	f.payments = append(f.payments, &paymentsv1.PaymentFact{Id: "pay_9", Reference: "deposit", Amount: euros(5), Captured: euros(5), Refunded: euros(0), ChargeId: "sbx_9", State: captured})
	f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_9", Reference: "deposit", Authorized: euros(5), Captured: euros(5), Refunded: euros(0)})
	f.ledger = []*paymentsv1.LedgerFact{{AttemptId: "att_1", PaymentId: "pay_1"}}
	f.accounts = []*paymentsv1.AccountFact{{Account: "clearing:sandbox", Balance: euros(0)}, {Account: "sales", Balance: euros(-1005)}}
	f.messages = []*notificationsv1.MessageFact{
		{Id: "msg_1", EventId: "evt_1", Template: "order_confirmed", Channel: "mailbox", State: sent, Mails: 1, Age: durationpb.New(time.Hour)},
		{Id: "msg_2", EventId: "evt_2", Template: "order_cancelled", Channel: "mailbox", State: queued, Age: durationpb.New(time.Second)},
		{Id: "msg_3", EventId: "evt_2", Template: "order_cancelled", Channel: "pigeon", State: sent, Mails: 2, Age: durationpb.New(time.Hour)},
	}
	f.sagas = []*sagav1.Saga{{Id: "ord_4", Kind: "checkout", State: sagav1.State_STATE_RUNNING, Step: "authorize", SinceProgress: durationpb.New(time.Second),
		DueIn: durationpb.New(5 * time.Second), Last: &sagav1.Entry{Note: "the provider has not answered"}}}
	f.subscribers = []*eventv1.Subscriber{
		{Name: "analytics", Types: []string{"orders.v1.OrderPlaced"}},
		{Name: "notifications", LagEvents: 1, LagSeconds: 2, Types: []string{"orders.v1.OrderConfirmed", "orders.v1.OrderCancelled", "orders.v1.OrderRejected"}},
	}
	f.published = []*eventv1.DeliveryFact{
		{EventId: "evt_0", Type: "orders.v1.OrderConfirmed", Subject: "ord_0", State: eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED, Age: durationpb.New(time.Hour)},
		{EventId: "evt_1", Type: "orders.v1.OrderConfirmed", Subject: "ord_1", State: delivered, Age: durationpb.New(time.Hour)},
		{EventId: "evt_2", Type: "orders.v1.OrderCancelled", Subject: "ord_2", State: delivered, Age: durationpb.New(time.Hour)},
		{EventId: "evt_3", Type: "orders.v1.OrderRejected", Subject: "ord_3", State: waiting, Age: durationpb.New(time.Second)},
	}
	f.applied = []string{"evt_1", "evt_2"}
	f.jobs = `{"name": "available", "count": 1, "jobs": [{"id": 1, "kind": "orders.tidy", "scheduled_at": "2026-11-21T15:59:00Z"}]},
		{"name": "discarded", "count": 1, "jobs": [{"id": 2, "kind": "platform.deliver_event", "attempt": 150, "last_error": "does not taste"}]}`
	return f
}

// handle has pieces of the first order shipped, come back and not sent, and money settled and owed for that.
func (f *facts) handle(shipped, returned, cancelled, settled, owed int64) {
	mug, reservation := f.orders[0].Lines[1], f.reservations[0]
	mug.Shipped, mug.Returned, mug.Cancelled = shipped, returned, cancelled
	reservation.Shipped = []*inventoryv1.Line{{Sku: "mug", Quantity: shipped}}
	reservation.Returned = []*inventoryv1.Line{{Sku: "mug", Quantity: returned}}
	reservation.Withdrawn = []*inventoryv1.Line{{Sku: "mug", Quantity: cancelled}}
	f.orders[0].Reversed, f.orders[0].Reversing = euros(settled), euros(owed)
}

const (
	partially    = ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED
	pending      = ordersv1.OrderState_ORDER_STATE_PENDING
	confirmed    = ordersv1.OrderState_ORDER_STATE_CONFIRMED
	cancelled    = ordersv1.OrderState_ORDER_STATE_CANCELLED
	cancelling   = ordersv1.OrderState_ORDER_STATE_CANCEL_PENDING
	rejected     = ordersv1.OrderState_ORDER_STATE_REJECTED
	ended        = ordersv1.OrderState_ORDER_STATE_EXPIRED
	returned     = ordersv1.OrderState_ORDER_STATE_RETURNED
	held         = inventoryv1.ReservationState_RESERVATION_STATE_HELD
	committed    = inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	released     = inventoryv1.ReservationState_RESERVATION_STATE_RELEASED
	expired      = inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED
	authorized   = paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED
	captured     = paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED
	refunded     = paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
	voided       = paymentsv1.PaymentState_PAYMENT_STATE_VOIDED
	unknown      = paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN
	authorizing  = paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZING
	sent         = notificationsv1.MessageState_MESSAGE_STATE_SENT
	queued       = notificationsv1.MessageState_MESSAGE_STATE_QUEUED
	delivered    = eventv1.DeliveryState_DELIVERY_STATE_DELIVERED
	waiting      = eventv1.DeliveryState_DELIVERY_STATE_WAITING
	retrying     = eventv1.DeliveryState_DELIVERY_STATE_RETRYING
	kept         = eventv1.DeliveryState_DELIVERY_STATE_KEPT
	orderOfNone  = "ord_lost"
	foreignMoney = "USD"
)

// enter enters the facts as a look does.
func (f *facts) enter() *book {
	b := newBook(deadline)
	for _, fact := range f.orders {
		b.order(fact, now)
	}
	for _, fact := range f.coupons {
		b.coupon(fact)
	}
	for _, fact := range f.reservations {
		b.reservation(fact)
	}
	for _, fact := range f.payments {
		b.payment(fact)
	}
	for _, fact := range f.charges {
		b.charge(fact)
	}
	for _, fact := range f.stock {
		b.stock(fact)
	}
	for _, fact := range f.ledger {
		b.ledger(fact)
	}
	for _, fact := range f.accounts {
		b.account(fact)
	}
	for _, fact := range f.messages {
		b.message(fact)
	}
	for _, fact := range f.sagas {
		b.saga("orders", fact)
	}
	for _, fact := range f.subscribers {
		b.subscriber("orders", fact)
	}
	published, stop := iter.Pull(slices.Values(f.published))
	defer stop()
	applied, stopApplied := iter.Pull(slices.Values(f.applied))
	defer stopApplied()
	b.subscribed("orders", "notifications", []string{"orders.v1.OrderConfirmed", "orders.v1.OrderCancelled"}, f.subscribers)
	b.merge("orders", "notifications", published, applied)
	var jobs overview
	if err := json.Unmarshal([]byte(`{"module": "orders", "now": "2026-11-21T16:00:00Z", "states": [`+f.jobs+`]}`), &jobs); err != nil {
		panic(err)
	}
	b.jobs(&jobs)
	b.close()
	b.acknowledged(f.acknowledged)
	return b
}

// planted are things that must not be, or that may be though they look odd.
var planted = []struct {
	name  string
	plant func(f *facts)
	// want are the violations, as rule and subject, and says what one of the explanations says.
	want, says string
}{
	{"nothing", func(*facts) {}, "", ""},

	{"a movement that changed nothing", func(f *facts) { f.stock[0].Moved = 9 }, "stock.on_hand mug", "mug has 10 pieces on hand, but its movements add up to 9"},
	{"a reservation that was not released", func(f *facts) { f.stock[0].Held = 1 }, "stock.reserved mug", "3 pieces reserved, but its live reservations hold 1"},
	{"oversold", func(f *facts) { f.stock[0].Reserved, f.stock[0].Held = 11, 11 }, "stock.bounds mug", "11 pieces reserved of 10"},
	{"less than nothing", func(f *facts) { f.stock[0].Reserved, f.stock[0].Held = -1, -1 }, "stock.bounds mug", "-1 pieces"},

	{"a hold of a cancelled order", func(f *facts) { f.reservations[1].State = held }, "hold.ended ord_2", "reservation rsv_2 is still held"},
	{"committed stock of a rejected order", func(f *facts) { f.reservations[2].State = committed }, "hold.ended ord_3", "order ord_3 is rejected"},
	{"a confirmed order whose stock is only held", func(f *facts) { f.reservations[0].State = held }, "hold.confirmed ord_1", "rsv_1 is only held"},
	{"a confirmed order whose hold has expired", func(f *facts) { f.reservations[0].State = expired }, "hold.confirmed ord_1", "has 0 reservations"},
	{"a confirmed order of which too little was reserved", func(f *facts) { f.reservations[0].Lines[0].Quantity = 7 }, "hold.confirmed ord_1", "is for 1 × cap, 2 × mug, but its reservation rsv_1 has 2 × mug, 7 × cap"},
	{"a confirmed order of more of the first than of the second", func(f *facts) { f.orders[0].Lines[0].Quantity, f.reservations[0].Lines[0].Quantity = 7, 7 }, "", ""},
	{"a confirmed order with the reservation of another", func(f *facts) { f.orders[0].ReservationId = "rsv_2" }, "hold.confirmed ord_1", "names reservation rsv_2, but rsv_1 is committed"},
	{"reserved twice", func(f *facts) {
		f.reservations = append(f.reservations, &inventoryv1.ReservationFact{Id: "rsv_7", Reference: "ord_1", State: committed, Lines: f.reservations[0].Lines})
	}, "hold.confirmed ord_1", "rsv_7"},
	{"an order with the hold of an earlier attempt, which was given back", func(f *facts) {
		f.reservations = append(f.reservations, &inventoryv1.ReservationFact{Id: "rsv_7", Reference: "ord_1", State: released})
	}, "", ""},
	{"shipped", func(f *facts) { f.reservations[0].State = inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED }, "", ""},

	{"charged twice", func(f *facts) {
		f.payments = append(f.payments, &paymentsv1.PaymentFact{Id: "pay_7", Reference: "ord_1", Amount: euros(1000), Captured: euros(1000), ChargeId: "sbx_7", State: captured})
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(1000), Captured: euros(1000)})
	}, "charge.confirmed ord_1, charge.net_capture ord_1", "ord_1 was charged 2 times: sbx_1, sbx_7"},
	{"charged twice without our knowledge", func(f *facts) {
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(1000), Captured: euros(1000),
			Operations: []*paymentsv1.ChargeOperation{{Key: "att_7", Kind: "capture"}}})
	}, "charge.confirmed ord_1, charge.net_capture ord_1, charge.payment sbx_7", "by charge sbx_7, which no payment of ours names (capture att_7)"},
	{"set aside without our knowledge", func(f *facts) {
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(1000)})
	}, "charge.confirmed ord_1, charge.payment sbx_7", "has set 1000 EUR aside for ord_1"},
	{"declined without our knowledge", func(f *facts) {
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(0)})
	}, "", ""},
	{"charged while we have no answer yet", func(f *facts) {
		f.payments[3].ChargeId, f.payments[3].State = "", authorizing
		f.payments[3].OpenAttempts = []*paymentsv1.OpenAttempt{{Id: "att_4", Kind: "authorize", Age: durationpb.New(time.Minute)}}
	}, "", ""},
	{"no answer for long", func(f *facts) {
		f.payments[3].State = unknown
		f.payments[3].OpenAttempts = []*paymentsv1.OpenAttempt{{Id: "att_4", Kind: "capture", Age: durationpb.New(time.Hour)}}
	}, "payment.open att_4", "the provider has not told of capture of payment pay_4 for ord_4 (attempt att_4) since 1h0m0s"},
	{"a charge that we think was not captured", func(f *facts) { f.payments[0].State, f.payments[0].Captured = authorized, euros(0) },
		"charge.payment sbx_1", "the provider has taken 1000 EUR and given back 0 EUR for ord_1, our payment pay_1 says 0 EUR and 0 EUR"},
	{"a charge that is ours for another order", func(f *facts) { f.payments[0].Reference = "ord_2" }, "charge.payment sbx_1", "for ord_2"},
	{"a charge of two payments", func(f *facts) { f.payments[2].ChargeId = "sbx_2" }, "charge.payment sbx_2", "two payments, pay_2 and pay_3"},
	{"a void that did not happen", func(f *facts) { f.charges[2].Voided = false }, "charge.ended ord_3, charge.payment sbx_3", "still sets 1000 EUR aside"},
	{"a charge that the provider does not know", func(f *facts) { f.charges = f.charges[1:] }, "charge.confirmed ord_1, payment.charge pay_1", "names charge sbx_1, which the provider does not know"},
	{"a payment without a charge", func(f *facts) { f.payments[0].ChargeId = "" }, "charge.payment sbx_1, payment.charge pay_1", "names no charge"},
	{"more given back than taken", func(f *facts) { f.payments[1].Refunded, f.charges[1].Refunded = euros(1500), euros(1500) },
		"charge.ended ord_2, charge.refunded pay_2, charge.refunded sbx_2", "has given back 1500 EUR of 1000 EUR"},

	{"paid but cancelled", func(f *facts) {
		f.payments[1].State, f.payments[1].Refunded, f.charges[1].Refunded = captured, euros(0), euros(0)
	},
		"charge.ended ord_2", "order ord_2 is cancelled, but of it the provider has taken 1000 EUR and given back 0 EUR"},
	{"cancelled in another currency", func(f *facts) {
		f.charges[1].Authorized.Currency, f.payments[1].Amount.Currency = foreignMoney, foreignMoney
	}, "charge.ended ord_2", "taken something in USD"},
	{"set aside though expired", func(f *facts) { f.orders[3].State, f.reservations[3].State = ended, expired }, "charge.ended ord_4, order.told ord_4", "sets money aside by charge sbx_4"},
	{"confirmed but not paid", func(f *facts) {
		f.payments[0].State, f.payments[0].Captured, f.charges[0].Captured = authorized, euros(0), euros(0)
	},
		"charge.confirmed ord_1", "order ord_1 is confirmed for 1000 EUR, but of it the provider has taken 0 EUR"},
	{"confirmed and given back", func(f *facts) { f.payments[0].Refunded, f.charges[0].Refunded = euros(1000), euros(1000) }, "charge.reversed ord_1", "given back 1000 EUR"},
	{"confirmed and partly given back", func(f *facts) { f.payments[0].Refunded, f.charges[0].Refunded = euros(300), euros(300) },
		"charge.reversed ord_1", "0 EUR are owed, 0 EUR of that settled, and the provider has given back 300 EUR"},
	{"a part came back and was given back", func(f *facts) {
		f.handle(1, 1, 0, 300, 300)
		f.orders[0].State, f.payments[0].Refunded, f.charges[0].Refunded = partially, euros(300), euros(300)
	}, "", ""},
	{"a part came back, and the money is on its way", func(f *facts) {
		f.handle(1, 1, 0, 0, 300)
		f.orders[0].State = partially
	}, "", ""},
	{"a part came back, and the money counts as given back though it is not", func(f *facts) {
		f.handle(1, 1, 0, 300, 300)
		f.orders[0].State = partially
	}, "charge.reversed ord_1", "300 EUR of that settled, and the provider has given back 0 EUR"},
	{"returned and given back", func(f *facts) {
		f.handle(2, 2, 0, 1000, 1000)
		f.orders[0].State, f.payments[0].Refunded, f.charges[0].Refunded = returned, euros(1000), euros(1000)
	}, "", ""},
	{"a coupon that more use than may", func(f *facts) { f.coupons[0].Uses, f.coupons[0].Orders = 2, 2 }, "coupon.uses cpn_1", "coupon cpn_1 is used by 2 orders of 1 that may"},
	{"a coupon that is miscounted", func(f *facts) { f.coupons[1].Uses = 999 }, "coupon.uses cpn_2", "counts as used 999 times, but 1000 orders have it"},
	{"a coupon that somebody has used too often", func(f *facts) { f.coupons[1].MaxUsesPerCustomer = 999 }, "coupon.uses cpn_2", "used 1000 times by the same customer, who may 999 times"},
	{"a coupon that was not given back", func(f *facts) { f.orders[1].CouponUsed = true }, "coupon.held ord_2", "order ord_2 with coupon cpn_1 is cancelled, and counts as a use of that: true"},
	{"a coupon that was not used", func(f *facts) { f.orders[0].CouponUsed = false }, "coupon.held ord_1", "is confirmed"},
	{"shipped more than was ordered", func(f *facts) { f.handle(3, 0, 0, 0, 0) }, "pieces.handled ord_1", "order ord_1 is for 2 pieces of mug, of which 3 were shipped"},
	{"shipped and not sent", func(f *facts) { f.handle(1, 0, 2, 0, 0) }, "pieces.handled ord_1", "1 were shipped, 0 came back and 2 are not sent"},
	{"came back more than was shipped", func(f *facts) { f.handle(1, 2, 0, 0, 0) }, "pieces.handled ord_1", "1 were shipped, 2 came back"},
	{"shipped without the stock", func(f *facts) {
		f.handle(2, 0, 0, 0, 0)
		f.reservations[0].Shipped = nil
	}, "pieces.handled ord_1", "of mug 2 pieces of order ord_1 were shipped, 0 came back and 0 are not sent, but of its reservation rsv_1 that is 0, 0 and 0"},
	{"stock that went without an order", func(f *facts) { f.reservations[0].Shipped = []*inventoryv1.Line{{Sku: "mug", Quantity: 1}} }, "pieces.handled ord_1", ""},
	{"stock that came back twice", func(f *facts) {
		f.handle(2, 1, 0, 0, 0)
		f.reservations[0].Returned[0].Quantity = 2
	}, "pieces.handled ord_1", ""},
	{"stock that was given back for nobody", func(f *facts) {
		f.reservations[0].Withdrawn = []*inventoryv1.Line{{Sku: "cap", Quantity: 1}}
	}, "pieces.handled ord_1", ""},
	{"confirmed for nothing", func(f *facts) {
		f.orders[0].Total, f.payments, f.charges = euros(0), f.payments[1:], f.charges[1:]
	}, "", ""},
	{"set aside once more though confirmed", func(f *facts) {
		f.payments = append(f.payments, &paymentsv1.PaymentFact{Id: "pay_7", Reference: "ord_1", Amount: euros(1000), ChargeId: "sbx_7", State: authorized})
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(1000)})
	}, "charge.confirmed ord_1", "order ord_1 is confirmed for 1000 EUR, but of it the provider has taken 1000 EUR and given back 0 EUR and sets money aside by charge sbx_7"},
	{"set aside once more and let go", func(f *facts) {
		f.payments = append(f.payments, &paymentsv1.PaymentFact{Id: "pay_7", Reference: "ord_1", Amount: euros(1000), ChargeId: "sbx_7", State: voided})
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "ord_1", Authorized: euros(1000), Voided: true})
	}, "", ""},
	{"a second deposit", func(f *facts) {
		f.payments = append(f.payments, &paymentsv1.PaymentFact{Id: "pay_7", Reference: "deposit", Amount: euros(5), Captured: euros(5), ChargeId: "sbx_7", State: captured})
		f.charges = append(f.charges, &paymentsv1.ChargeFact{Id: "sbx_7", Reference: "deposit", Authorized: euros(5), Captured: euros(5)})
	}, "", ""},
	{"confirmed for nothing but charged", func(f *facts) { f.orders[0].Total = euros(0) }, "charge.confirmed ord_1", "confirmed for 0 EUR"},

	{"an order that others have heard of", func(f *facts) {
		f.reservations[0].Reference, f.payments[0].Reference, f.charges[0].Reference = orderOfNone, orderOfNone, orderOfNone
		f.orders = f.orders[1:]
	}, "order.unknown rsv_1, order.unknown sbx_1", "reservation rsv_1 (committed) is for order ord_lost, which does not exist"},
	{"an acknowledged order that is not there", func(f *facts) { f.acknowledged = []string{"ord_1", "ord_lost", "ord_1"} }, "order.lost ord_lost", "order ord_lost was acknowledged and does not exist"},
	{"an order that is open for long", func(f *facts) { f.orders[3].CreateTime = timestamppb.New(now.Add(-time.Hour)) }, "order.open ord_4", "order ord_4 is pending since 1h0m0s"},
	{"an old order that is being cancelled", func(f *facts) {
		f.orders[3].State, f.orders[3].CreateTime = cancelling, timestamppb.New(now.Add(-time.Hour))
	}, "", ""},
	{"an order that needs a review", func(f *facts) {
		f.orders[3].State, f.orders[3].CreateTime = ordersv1.OrderState_ORDER_STATE_NEEDS_REVIEW, timestamppb.New(now.Add(-time.Hour))
	}, "order.open ord_4", "needs review"},
	{"an ending that nobody was told of", func(f *facts) { f.published[1].Type = "orders.v1.OrderPlaced" }, "order.told ord_1", "order ord_1 is confirmed, but no event orders.v1.OrderConfirmed of it is in the log"},
	{"another ending than others were told of", func(f *facts) {
		f.orders[2].State, f.payments[2].State = ended, voided
	}, "order.told ord_3", "order ord_3 is expired, but no event orders.v1.OrderExpired of it"},
	{"an illegal step", func(f *facts) { f.orders[0].LogProblem = "entry 3 makes it fulfilled" }, "order.log ord_1", "the log of order ord_1 is wrong: entry 3"},

	{"a one-sided transaction", func(f *facts) { f.ledger[0].Problem = "debits and credits differ by 5 EUR" }, "ledger.balanced att_1", "attempt att_1 of payment pay_1: debits and credits differ by 5 EUR"},
	{"money that was taken after a cancellation", func(f *facts) { f.accounts[0].Balance = euros(-1000) }, "ledger.clearing clearing:sandbox", "holds -1000 EUR"},
	{"money that is on its way back", func(f *facts) {
		f.accounts[0].Balance, f.payments[3].Cancellation = euros(-1000), paymentsv1.Cancellation_CANCELLATION_UNDER_WAY
	}, "", ""},

	{"two messages about the same", func(f *facts) { f.messages[2].Channel = "mailbox" }, "message.key msg_3", "messages msg_2 and msg_3 both tell of event evt_2"},
	{"a message that is not kept any more", func(f *facts) { f.messages, f.published[1].Age = f.messages[1:], durationpb.New(91*24*time.Hour) }, "", ""},
	{"a message that was not written", func(f *facts) { f.messages = f.messages[1:] }, "message.written evt_1", "has applied event evt_1 (orders.v1.OrderConfirmed of ord_1) and written no message"},
	{"a message that nobody has seen", func(f *facts) { f.messages[0].Mails = 0 }, "message.sent msg_1", "counts as sent, but mailbox has never seen it"},
	{"a message that is not sent", func(f *facts) { f.messages[1].Age = durationpb.New(time.Hour) }, "message.open msg_2", "is queued since 1h0m0s"},
	{"a message that was given up", func(f *facts) {
		f.messages[1].Age, f.messages[1].State = durationpb.New(time.Hour), notificationsv1.MessageState_MESSAGE_STATE_FAILED
	}, "", ""},

	{"a saga that is stuck", func(f *facts) {
		f.sagas[0].State, f.sagas[0].Back, f.sagas[0].DueIn = sagav1.State_STATE_STUCK, true, nil
	},
		"saga.stuck ord_4", "checkout ord_4 of orders is stuck at undo authorize since 1s: the provider has not answered: see cleave sagas show ord_4"},
	{"a saga that is stuck for long", func(f *facts) {
		f.sagas[0].State, f.sagas[0].SinceProgress, f.sagas[0].DueIn = sagav1.State_STATE_STUCK, durationpb.New(time.Hour), nil
	}, "saga.open ord_4, saga.stuck ord_4", ""},
	{"a saga that goes on trying", func(f *facts) { f.sagas[0].SinceProgress, f.sagas[0].Attempt = durationpb.New(time.Hour), 12 }, "saga.open ord_4", "has not got on for 1h0m0s at do authorize, after 12 attempts"},
	{"a saga that nobody drives", func(f *facts) { f.sagas[0].DueIn = durationpb.New(-2 * time.Minute) }, "saga.overdue ord_4", "was due 2m0s ago"},
	{"a saga whose driver was killed just now", func(f *facts) { f.sagas[0].DueIn = durationpb.New(-2 * time.Second) }, "", ""},

	{"a type that was forgotten", func(f *facts) { f.subscribers[1].Types = f.subscribers[1].Types[1:] }, "event.subscribed notifications orders.v1.OrderConfirmed", "is not subscribed to it"},
	{"a subscription that is gone", func(f *facts) { f.subscribers = f.subscribers[:1] },
		"event.subscribed notifications orders.v1.OrderCancelled, event.subscribed notifications orders.v1.OrderConfirmed", ""},
	{"an event that was passed over", func(f *facts) { f.applied = f.applied[1:] }, "event.applied notifications evt_1", "counts as delivered to notifications, which has not applied it: cleave events replay orders notifications --subject ord_1 delivers it again"},
	{"the last events that were passed over", func(f *facts) { f.applied = f.applied[:1] }, "event.applied notifications evt_2", ""},
	{"an event that has waited for long", func(f *facts) { f.published[3].Age = durationpb.New(time.Hour) }, "event.applied notifications evt_3", "was published 1h0m0s ago and notifications has not applied it: it is waiting"},
	{"an event that is tried again", func(f *facts) {
		f.published[1].State, f.published[1].Age, f.applied = retrying, durationpb.New(time.Minute), f.applied[1:]
	}, "", ""},
	{"an event that is tried again for long", func(f *facts) { f.published[1].State, f.applied = retrying, f.applied[1:] }, "event.applied notifications evt_1", "it is retrying"},
	{"an event that is kept", func(f *facts) { f.published[1].State, f.applied = kept, f.applied[1:] }, "event.kept notifications evt_1", "cleave events retry orders notifications evt_1"},
	{"an event that was kept and then applied", func(f *facts) { f.published[1].State = kept }, "", ""},
	{"an event that nobody has published", func(f *facts) { f.applied = []string{"evt_1", "evt_1a", "evt_2"} }, "event.unknown evt_1a", "has applied event evt_1a of orders, which is not in the log"},
	{"an event that nobody has published behind all others", func(f *facts) { f.applied = append(f.applied, "evt_9") }, "event.unknown evt_9", ""},
	{"an event that was applied early", func(f *facts) {
		f.applied = append(f.applied, "evt_3")
		f.messages = append(f.messages, &notificationsv1.MessageFact{Id: "msg_4", EventId: "evt_3", State: queued})
	}, "", ""},
	{"a subscriber that stands still", func(f *facts) {
		f.subscribers[1].LagSeconds, f.subscribers[1].Error = 3600, "notifications is unavailable"
	},
		"event.behind notifications orders", "notifications is 1 events behind orders, the oldest of them since 1h0m0s: notifications is unavailable"},

	{"a job that is kept", func(f *facts) {
		f.jobs = `{"name": "discarded", "count": 1, "jobs": [{"id": 7, "kind": "orders.tidy", "attempt": 150, "last_error": "no"}]}`
	}, "job.kept orders 7", "job 7 of orders (orders.tidy) has failed 150 times and is kept: no"},
	{"more kept jobs than are shown", func(f *facts) { f.jobs = `{"name": "discarded", "count": 31, "jobs": []}` }, "job.kept orders", "31 more jobs"},
	{"a job that nobody works", func(f *facts) {
		f.jobs = `{"name": "available", "count": 1, "jobs": [{"id": 7, "kind": "orders.tidy", "scheduled_at": "2026-11-21T15:00:00Z"}]}`
	}, "job.overdue orders 7", "is due since 1h0m0s and nobody works it"},
	{"a job that is worked without end", func(f *facts) {
		f.jobs = `{"name": "running", "count": 1, "jobs": [{"id": 7, "kind": "orders.tidy", "scheduled_at": "2026-11-21T15:00:00Z", "attempted_at": "2026-11-21T15:00:01Z"}]}`
	}, "job.overdue orders 7", "is being worked since 59m59s"},
	{"a late job that is worked", func(f *facts) {
		f.jobs = `{"name": "running", "count": 1, "jobs": [{"id": 7, "kind": "orders.tidy", "scheduled_at": "2026-11-21T15:00:00Z", "attempted_at": "2026-11-21T15:59:00Z"}]}`
	}, "", ""},
	{"a job for tomorrow", func(f *facts) {
		f.jobs = `{"name": "scheduled", "count": 1, "jobs": [{"id": 7, "kind": "orders.tidy", "scheduled_at": "2026-11-22T15:00:00Z"}]}`
	}, "", ""},
}

func TestRules(t *testing.T) {
	t.Parallel()
	violated := map[string]bool{}
	for _, p := range planted {
		f := inOrder()
		p.plant(f)
		var found, texts []string
		for _, finding := range f.enter().all {
			found = append(found, finding.Rule+" "+finding.Subject)
			texts = append(texts, finding.Text)
			violated[finding.Rule] = true
		}
		slices.Sort(found)
		if got := strings.Join(found, ", "); got != p.want {
			t.Errorf("%s: found %q, want %q:\n%s", p.name, got, p.want, strings.Join(texts, "\n"))
		}
		if text := strings.Join(texts, "\n"); !strings.Contains(text, p.says) {
			t.Errorf("%s: it says %q, want %q", p.name, text, p.says)
		}
	}
	rows := inOrder().enter().rows
	for _, rule := range Rules {
		if !violated[rule.ID] {
			t.Errorf("nothing is planted that violates %s", rule.ID)
		}
		if rows[rule.ID] == 0 {
			t.Errorf("where all is well %s looks at nothing", rule.ID)
		}
	}
}
