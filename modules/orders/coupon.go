package orders

import (
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/rpc"
)

// discountOf returns what a coupon takes off lines that cost so much: never more than that.
func discountOf(c *ent.Coupon, subtotal int64) int64 {
	if c.Percent > 0 {
		return share(subtotal, int64(c.Percent), 100)
	}
	return min(c.Amount, subtotal)
}

// usable says why a customer who has used a coupon so often cannot use it for an order in a currency, or nil.
func usable(c *ent.Coupon, now time.Time, own int64, guest bool, currency string) error {
	refuse := func(reason, format string, args ...any) error {
		return rpc.Errorf(connect.CodeFailedPrecondition, reason, "coupon "+c.Code+" "+format, args...)
	}
	switch {
	case guest && c.MaxUsesPerCustomer > 0: // Who wants to use it again is another guest.
		return refuse("COUPON_SIGN_IN", "can be used only so often by the same customer: sign in to use it")
	case c.Disabled:
		return refuse("COUPON_DISABLED", "cannot be used any more")
	case c.StartTime != nil && now.Before(*c.StartTime):
		return refuse("COUPON_NOT_YET", "can be used from %s on", c.StartTime.Format(time.RFC3339))
	case c.EndTime != nil && !now.Before(*c.EndTime):
		return refuse("COUPON_EXPIRED", "could be used until %s", c.EndTime.Format(time.RFC3339))
	case c.MaxUses > 0 && c.Uses >= c.MaxUses:
		return refuse("COUPON_USED_UP", "has been used %d times, which is how often that is possible", c.Uses)
	case c.MaxUsesPerCustomer > 0 && own >= c.MaxUsesPerCustomer:
		return refuse("COUPON_USED_BY_CUSTOMER", "can be used %d times by the same customer", c.MaxUsesPerCustomer)
	case c.Currency != "" && c.Currency != currency:
		return refuse("COUPON_CURRENCY", "is worth something in %s, and the order is in %s", c.Currency, currency)
	}
	return nil
}
