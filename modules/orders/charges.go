package orders

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/rpc"
)

// calculator says what comes on top of the price of lines. It is asked for each quote, which keeps what it says, and for nothing else. A
// shop with rules of its own puts its own in place of [flatRate], in build: see docs/guides/charges.md.
type calculator interface {
	// tax returns what is due on each line, of which the discount is off.
	tax(ctx context.Context, lines []schema.Line, currency string) ([]int64, error)
	// shipping returns what sending the lines costs.
	shipping(ctx context.Context, lines []schema.Line, currency string) (int64, error)
}

// flatRate takes the same part of each line as tax, and the same for each parcel.
type flatRate struct {
	basisPoints int64            // of a line's price after its discount
	fees        map[string]int64 // by currency; none at all if it is empty
}

func (f flatRate) tax(_ context.Context, lines []schema.Line, _ string) ([]int64, error) {
	taxes := make([]int64, 0, len(lines))
	for _, l := range lines {
		taxes = append(taxes, halfUp(l.UnitAmount*l.Quantity-l.Discount, f.basisPoints, oneInBasisPoints))
	}
	return taxes, nil
}

func (f flatRate) shipping(_ context.Context, _ []schema.Line, currency string) (int64, error) {
	if len(f.fees) == 0 {
		return 0, nil
	}
	fee, known := f.fees[currency]
	if !known {
		return 0, rpc.Errorf(connect.CodeFailedPrecondition, "SHIPPING_CURRENCY", "there is no price of shipping in %s: see %s", currency, shippingFees)
	}
	return fee, nil
}

// The settings of the flat rate.
const (
	taxPercent   = "CLEAVE_ORDERS_TAX_PERCENT"
	shippingFees = "CLEAVE_ORDERS_SHIPPING_FEES"
)

// flatRates returns the flat rate that is set.
func flatRates(c config.Values) (f flatRate, err error) {
	if f.basisPoints, err = parseTax(c.String(taxPercent)); err != nil {
		return f, err
	}
	f.fees, err = parseFees(c.String(shippingFees))
	return f, err
}

const oneInBasisPoints = 10_000

// parseTax reads a tax rate such as 19 or 7.25 as basis points.
func parseTax(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	percent, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || percent < 0 || percent > 100 || len(fraction) > 2 {
		return 0, fmt.Errorf("%q is no rate like 19 or 7.25", text)
	}
	var hundredths int64
	if fraction != "" {
		if hundredths, err = strconv.ParseInt((fraction + "0")[:2], 10, 64); err != nil || hundredths < 0 {
			return 0, fmt.Errorf("%q is no rate like 19 or 7.25", text)
		}
	}
	points := percent*100 + hundredths
	if points > oneInBasisPoints {
		return 0, fmt.Errorf("%q is more than 100", text)
	}
	return points, nil
}

// parseFees reads what shipping costs, such as "490 EUR, 550 USD", in minor units.
func parseFees(text string) (map[string]int64, error) {
	fees := map[string]int64{}
	for _, part := range strings.Split(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		words := strings.Fields(part)
		if len(words) != 2 || len(words[1]) != 3 || words[1] != strings.ToUpper(words[1]) {
			return nil, fmt.Errorf("%q is no list like 490 EUR, 550 USD", text)
		}
		fee, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil || fee < 0 {
			return nil, fmt.Errorf("%q is no list like 490 EUR, 550 USD", text)
		}
		fees[words[1]] = fee
	}
	return fees, nil
}

// checked makes a check of a setting of what reads it.
func checked[V any](parse func(string) (V, error)) func(string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// halfUp returns amount × n / of, rounded to the nearest, halves up, for 0 ≤ n ≤ of and an amount that is not negative.
func halfUp(amount, n, of int64) int64 {
	high, low := bits.Mul64(uint64(amount), uint64(n))
	quotient, rest := bits.Div64(high, low, uint64(of))
	if rest >= uint64(of)-rest {
		quotient++
	}
	return int64(quotient)
}

// spread shares a discount out among lines, in proportion to what they cost: each gets what keeps the sum of those before it and its own
// the share of theirs in all, rounded down. So the shares add up to the discount.
func spread(lines []schema.Line, subtotal, discount int64) {
	var cost, given int64
	for i := range lines {
		cost += lines[i].UnitAmount * lines[i].Quantity
		if subtotal > 0 {
			lines[i].Discount = share(discount, cost, subtotal) - given
			given += lines[i].Discount
		}
	}
}

// charge says what lines of a price cost in the end, with a coupon or without, and notes with each line what of that is its own.
func (s *service) charge(ctx context.Context, lines []schema.Line, subtotal price, c *ent.Coupon) (schema.Charges, int64, error) {
	var charges schema.Charges
	if c != nil {
		charges.CouponID, charges.CouponCode, charges.Discount = c.ID, c.Code, discountOf(c, subtotal.amount)
		spread(lines, subtotal.amount, charges.Discount)
	}
	taxes, err := s.calculator.tax(ctx, lines, subtotal.currency)
	if err != nil {
		return charges, 0, err
	}
	if len(taxes) != len(lines) {
		return charges, 0, fmt.Errorf("the calculator knows taxes of %d lines, not of %d", len(taxes), len(lines))
	}
	if charges.Shipping, err = s.calculator.shipping(ctx, lines, subtotal.currency); err != nil {
		return charges, 0, err
	}
	for i, tax := range taxes {
		lines[i].Tax = tax
		charges.Tax = added(charges.Tax, tax)
	}
	total := added(added(subtotal.amount-charges.Discount, charges.Tax), charges.Shipping)
	if total < 0 {
		return charges, 0, errTotal(errOverflow)
	}
	return charges, total, nil
}

// added returns a sum, or something negative if one of the two is or it is more than can be counted.
func added(a, b int64) int64 {
	if a < 0 || b < 0 || a > math.MaxInt64-b {
		return -1
	}
	return a + b
}

// errTotal makes of what is wrong with a total the error of a method.
func errTotal(err error) error {
	if errors.Is(err, errMixedCurrencies) {
		return rpc.Errorf(connect.CodeFailedPrecondition, "MIXED_CURRENCIES", "%s", err)
	}
	return rpc.Errorf(connect.CodeFailedPrecondition, "TOTAL_TOO_LARGE", "%s", err)
}
