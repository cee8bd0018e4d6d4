package verify

// Rule is something that must hold.
type Rule struct {
	// ID is what reports call it. It does not change.
	ID string
	// Says is the rule in a sentence.
	Says string
	// from is the module without whose facts nothing is known of it, if the house may lack that module.
	from string
}

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
	orderUnknown     = "order.unknown"
	orderLost        = "order.lost"
	orderOpen        = "order.open"
	orderLog         = "order.log"
)

// Rules are all of them, in the order in which they are reported.
var Rules = []Rule{
	{ID: stockOnHand, Says: "what is on hand of a SKU is the sum of what came and went"},
	{ID: stockReserved, Says: "what is reserved of a SKU is the sum of what its live reservations hold"},
	{ID: stockBounds, Says: "of no SKU is less than nothing reserved, nor more than there is"},
	{ID: holdEnded, Says: "an order that was cancelled, rejected or has expired holds no stock"},
	{ID: holdConfirmed, Says: "an order that was confirmed has one reservation, committed, of its lines"},
	{ID: chargeNetCapture, Says: "at most one charge of an order has taken money and not given it all back"},
	{ID: chargeRefunded, Says: "no more is given back than was taken"},
	{ID: chargePayment, Says: "a charge with money at the provider is that of one payment of ours, with the same amounts"},
	{ID: paymentCharge, Says: "a payment of ours with money is a charge at the provider"},
	{ID: paymentOpen, Says: "what the provider was asked is known by the deadline"},
	{ID: chargeEnded, Says: "an order that was cancelled, rejected or has expired has cost nothing, and nothing is set aside for it"},
	{ID: chargeConfirmed, Says: "an order that was confirmed is paid, exactly its total"},
	{ID: orderUnknown, Says: "what was reserved or charged for an order is of an order that exists"},
	{ID: orderLost, Says: "an order that was acknowledged exists"},
	{ID: orderOpen, Says: "an order has ended by the deadline"},
	{ID: orderLog, Says: "the log of an order is of legal steps, without a gap, and leads to the order as it is"},
}
