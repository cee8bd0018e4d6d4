package verify

import ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"

// coupon checks that a coupon is not used more often than it may be.
func (b *book) coupon(c *ordersv1.CouponFact) {
	b.check(couponUses, c.GetId(), c.GetUses() == c.GetOrders(), "coupon %s counts as used %d times, but %d orders have it", c.GetId(), c.GetUses(), c.GetOrders())
	b.check(couponUses, c.GetId(), c.GetMaxUses() == 0 || c.GetOrders() <= c.GetMaxUses(),
		"coupon %s is used by %d orders of %d that may", c.GetId(), c.GetOrders(), c.GetMaxUses())
	b.check(couponUses, c.GetId(), c.GetMaxUsesPerCustomer() == 0 || c.GetMost() <= c.GetMaxUsesPerCustomer(),
		"coupon %s is used %d times by the same customer, who may %d times", c.GetId(), c.GetMost(), c.GetMaxUsesPerCustomer())
}

// couponOf checks that an order has its coupon if something came of it, and only then.
func (b *book) couponOf(fact *ordersv1.OrderFact, o *order) {
	if fact.GetCouponId() == "" || o.open() {
		return
	}
	b.check(couponHeld, o.id, fact.GetCouponUsed() == o.bought(), "order %s with coupon %s is %s, and counts as a use of that: %t",
		o.id, fact.GetCouponId(), o.word(), fact.GetCouponUsed())
}
