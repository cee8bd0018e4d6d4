package orders

import "github.com/cleave-go/cleave/platform/person"

// holdings are where the module holds something of people. What was sold the law keeps: orders and what became of them stay, with the id of a
// person whom nobody knows any more. Quotes have that id alone, too, and are gone in a week.
var holdings = []person.Holding{
	{
		Table: "contact", Of: ofOrder, Email: "email = $1", Key: "order_id", Shows: []string{"order_id", "email", "create_time"},
	},
	{Table: "cart_item", Of: "cart_id IN (SELECT id FROM cart WHERE user_id = $1)", Shows: []string{"cart_id", "sku", "quantity"}},
	{Table: "cart", Of: "user_id = $1", Shows: []string{"id", "state", "create_time", "update_time"}},
	{
		Table: "order", Of: "user_id = $1", Keeps: true,
		Shows: []string{"id", "state", "reason", "lines", "total", "currency", "charges", "payment_method", "payment_id", "create_time", "update_time"},
	},
	{Table: "fulfillment", Of: ofOrder, Shows: []string{"id", "order_id", "lines", "tracking_code", "create_time"}, Keeps: true},
	{Table: "reversal", Of: ofOrder, Shows: []string{"id", "order_id", "kind", "state", "lines", "reason", "refund", "create_time"}, Keeps: true},
	{Table: "coupon_use", Of: ofOrder, Key: "order_id", Shows: []string{"order_id", "coupon_id"}, Keeps: true},
}

// ofOrder is the condition under which a row is about an order of somebody.
const ofOrder = `order_id IN (SELECT id FROM "order" WHERE user_id = $1)`
