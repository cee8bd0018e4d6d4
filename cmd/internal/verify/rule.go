package verify

// Rule is something that must hold.
type Rule struct {
	// ID is what reports call it. It does not change.
	ID string
	// Says is the rule in a sentence.
	Says string
	// from is the module whose facts tell of it, if a house may do without.
	from string
}

// notifications is the module that a house may do without.
const notifications = "notifications"

// The ids of the rules.
const (
	stockOnHand      = "stock.on_hand"
	stockReserved    = "stock.reserved"
	stockBounds      = "stock.bounds"
	holdEnded        = "hold.ended"
	holdConfirmed    = "hold.confirmed"
	chargeNetCapture = "charge.net_capture"
	chargeRefunded   = "charge.refunded"
	chargePayment    = "charge.payment"
	paymentCharge    = "payment.charge"
	paymentOpen      = "payment.open"
	chargeEnded      = "charge.ended"
	chargeConfirmed  = "charge.confirmed"
	chargeReversed   = "charge.reversed"
	piecesHandled    = "pieces.handled"
	couponUses       = "coupon.uses"
	couponHeld       = "coupon.held"
	orderUnknown     = "order.unknown"
	orderLost        = "order.lost"
	orderOpen        = "order.open"
	orderLog         = "order.log"
	orderTold        = "order.told"
	ledgerBalanced   = "ledger.balanced"
	ledgerClearing   = "ledger.clearing"
	sagaStuck        = "saga.stuck"
	sagaOpen         = "saga.open"
	sagaOverdue      = "saga.overdue"
	messageKey       = "message.key"
	messageWritten   = "message.written"
	messageSent      = "message.sent"
	messageOpen      = "message.open"
	eventSubscribed  = "event.subscribed"
	eventApplied     = "event.applied"
	eventUnknown     = "event.unknown"
	eventKept        = "event.kept"
	eventBehind      = "event.behind"
	jobKept          = "job.kept"
	jobOverdue       = "job.overdue"
)

// Rules are all of them, in the order in which they are reported.
var Rules = []Rule{
	{ID: stockOnHand, Says: "what is on hand of a SKU is the sum of what came and went"},
	{ID: stockReserved, Says: "what is reserved of a SKU is the sum of what its live reservations hold"},
	{ID: stockBounds, Says: "of no SKU is less than nothing reserved, nor more than there is"},
	{ID: holdEnded, Says: "an order that was cancelled, rejected or has expired holds no stock"},
	{ID: holdConfirmed, Says: "an order that was confirmed has one reservation, committed, of its lines"},
	{ID: piecesHandled, Says: "what was shipped of an order, came back and is not sent is what its reservation says, and never more than there was"},
	{ID: chargeNetCapture, Says: "at most one charge of an order has taken money and not given it all back"},
	{ID: chargeRefunded, Says: "no more is given back than was taken"},
	{ID: chargePayment, Says: "a charge with money at the provider is that of one payment of ours, with the same amounts"},
	{ID: paymentCharge, Says: "a payment of ours with money is a charge at the provider"},
	{ID: paymentOpen, Says: "what the provider was asked is known by the deadline"},
	{ID: chargeEnded, Says: "an order that was cancelled, rejected or has expired has cost nothing, and nothing is set aside for it"},
	{ID: chargeConfirmed, Says: "an order that was confirmed is paid, exactly its total, and nothing more is set aside for it"},
	{ID: chargeReversed, Says: "what was given back of an order that was confirmed is what is owed for what came back and is not sent"},
	{ID: couponUses, Says: "a coupon is used by as many orders as are counted, by no more than may, and by nobody more often than he may"},
	{ID: couponHeld, Says: "an order that was confirmed with a coupon has used it, and one of which nothing came has given it back"},
	{ID: orderUnknown, Says: "what was reserved or charged for an order is of an order that exists"},
	{ID: orderLost, Says: "an order that was acknowledged exists"},
	{ID: orderOpen, Says: "an order has ended by the deadline"},
	{ID: orderLog, Says: "the log of an order is of legal steps, without a gap, and leads to the order as it is"},
	{ID: orderTold, Says: "how an order ended is in the log of events"},
	{ID: ledgerBalanced, Says: "debits and credits of a transaction are equal in each currency, and are what was moved"},
	{ID: ledgerClearing, Says: "nothing is on a clearing account while no payment is under way"},
	{ID: sagaStuck, Says: "no saga needs somebody to get it on"},
	{ID: sagaOpen, Says: "a saga gets on by the deadline, or has ended"},
	{ID: sagaOverdue, Says: "a saga that is due is looked after"},
	{ID: messageKey, Says: "of an event one message is written by each template in each channel", from: notifications},
	{ID: messageWritten, Says: "of each event that notifications has applied a message is written", from: notifications},
	{ID: messageSent, Says: "the channel has seen each message that counts as sent", from: notifications},
	{ID: messageOpen, Says: "a message has been sent by the deadline, or was given up", from: notifications},
	{ID: eventSubscribed, Says: "a module is subscribed to all that it declares to listen to"},
	{ID: eventApplied, Says: "a subscriber has applied what it listens to by the deadline"},
	{ID: eventUnknown, Says: "what a subscriber has applied is in the log of its publisher"},
	{ID: eventKept, Says: "no event is kept because its subscriber refuses it"},
	{ID: eventBehind, Says: "no subscriber stands still"},
	{ID: jobKept, Says: "no job is kept because it fails"},
	{ID: jobOverdue, Says: "a job that is due is worked, and done, by the deadline"},
}
