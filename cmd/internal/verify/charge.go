package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

// payment is what a charge is compared with.
type payment struct {
	id, reference, currency string
	captured, refunded      int64
	voided, open            bool
	state                   paymentsv1.PaymentState
}

// payment enters a payment.
func (b *book) payment(fact *paymentsv1.PaymentFact) {
	p := payment{
		id: fact.GetId(), reference: fact.GetReference(), currency: fact.GetAmount().GetCurrency(), state: fact.GetState(),
		captured: fact.GetCaptured().GetAmount(), refunded: fact.GetRefunded().GetAmount(), open: len(fact.GetOpenAttempts()) > 0,
	}
	b.check(chargeRefunded, p.id, 0 <= p.refunded && p.refunded <= p.captured,
		"payment %s of %s has given back %s of %s", p.id, p.reference, money(p.refunded, p.currency), money(p.captured, p.currency))
	if p.open || fact.GetCancellation() == paymentsv1.Cancellation_CANCELLATION_UNDER_WAY ||
		fact.GetCancellation() == paymentsv1.Cancellation_CANCELLATION_REFUSED {
		b.underWay = true
	}
	b.rows[paymentOpen]++
	for _, a := range fact.GetOpenAttempts() {
		if age := a.GetAge().AsDuration(); age >= b.deadline {
			b.add(paymentOpen, a.GetId(), "the provider has not told of %s of payment %s for %s (attempt %s) since %s",
				a.GetKind(), p.id, p.reference, a.GetId(), ago(age))
		}
	}
	if p.open && p.reference != "" {
		b.of(p.reference).unanswered = true
	}
	b.rows[paymentCharge]++
	switch {
	case fact.GetChargeId() == "" && p.captured == 0: // Nothing is known of it at the provider.
	case fact.GetChargeId() == "":
		b.add(paymentCharge, p.id, "payment %s of %s has taken %s, but names no charge of the provider", p.id, p.reference, money(p.captured, p.currency))
	default:
		if other, twice := b.payments[fact.GetChargeId()]; twice {
			b.add(chargePayment, fact.GetChargeId(), "charge %s is that of two payments, %s and %s", fact.GetChargeId(), other.id, p.id)
		}
		b.payments[fact.GetChargeId()] = p
	}
}

// charge enters a charge in the provider's log, and compares it with its payment. Payments whose outcome is not known may differ.
func (b *book) charge(c *paymentsv1.ChargeFact) {
	captured, refunded := c.GetCaptured().GetAmount(), c.GetRefunded().GetAmount()
	currency := cmp.Or(c.GetAuthorized().GetCurrency(), c.GetCaptured().GetCurrency())
	setAside := c.GetAuthorized().GetAmount() > 0 && captured == 0 && !c.GetVoided()
	b.check(chargeRefunded, c.GetId(), 0 <= refunded && refunded <= captured,
		"charge %s of %s: the provider has given back %s of %s", c.GetId(), c.GetReference(), money(refunded, currency), money(captured, currency))
	p, ours := b.payments[c.GetId()]
	delete(b.payments, c.GetId())
	b.rows[chargePayment]++
	o := b.of(c.GetReference())
	switch {
	case !ours && o.unanswered: // It may be what was not answered.
	case !ours && captured > 0:
		b.add(chargePayment, c.GetId(), "the provider has taken %s for %s by charge %s, which no payment of ours names%s",
			money(captured, currency), c.GetReference(), c.GetId(), keys(c))
	case !ours && setAside:
		b.add(chargePayment, c.GetId(), "the provider has set %s aside for %s by charge %s, which no payment of ours names%s",
			money(c.GetAuthorized().GetAmount(), currency), c.GetReference(), c.GetId(), keys(c))
	case !ours || p.open:
	case p.reference != c.GetReference() || p.currency != currency || p.captured != captured || p.refunded != refunded:
		b.add(chargePayment, c.GetId(), "charge %s: the provider has taken %s and given back %s for %s, our payment %s says %s and %s for %s",
			c.GetId(), money(captured, currency), money(refunded, currency), c.GetReference(),
			p.id, money(p.captured, p.currency), money(p.refunded, p.currency), p.reference)
	case setAside && p.state == paymentsv1.PaymentState_PAYMENT_STATE_VOIDED:
		b.add(chargePayment, c.GetId(), "charge %s of %s: the provider still sets %s aside, our payment %s says that it is voided",
			c.GetId(), c.GetReference(), money(c.GetAuthorized().GetAmount(), currency), p.id)
	}
	if captured > refunded {
		o.kept = append(o.kept, c.GetId())
	}
	if setAside {
		o.setAside = c.GetId()
	}
	if captured > 0 && o.known && currency != o.currency {
		o.foreign = currency
		return
	}
	o.captured += captured
	o.refunded += refunded
	if isOrder(o.id) && (captured > 0 || setAside) {
		b.check(orderUnknown, c.GetId(), o.known, "charge %s of %s is for order %s, which does not exist", c.GetId(), money(captured, currency), o.id)
	}
}

// keys says under which keys the provider did something.
func keys(c *paymentsv1.ChargeFact) string {
	var list []string
	for _, operation := range c.GetOperations() {
		list = append(list, operation.GetKind()+" "+operation.GetKey())
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// charged checks what all charges of an order come to.
func (b *book) charged(o *order) {
	if isOrder(o.id) {
		b.check(chargeNetCapture, o.id, len(o.kept) <= 1, "%s was charged %d times: %s", o.id, len(o.kept), strings.Join(o.kept, ", "))
	}
	switch {
	case o.ended():
		b.check(chargeEnded, o.id, o.captured == o.refunded && o.foreign == "" && o.setAside == "",
			"order %s is %s, but of it the provider has taken %s and given back %s%s%s", o.id, o.word(),
			money(o.captured, o.currency), money(o.refunded, o.currency), also(" and taken something in ", o.foreign), also(" and sets money aside by charge ", o.setAside))
	case o.bought():
		b.check(chargeReversed, o.id, o.reversed <= o.refunded && o.refunded <= o.reversing,
			"order %s is %s: for what came back and is not sent %s are owed, %s of that settled, and the provider has given back %s",
			o.id, o.word(), money(o.reversing, o.currency), money(o.reversed, o.currency), money(o.refunded, o.currency))
		b.check(chargeConfirmed, o.id, o.captured == o.total && o.foreign == "" && o.setAside == "",
			"order %s is %s for %s, but of it the provider has taken %s and given back %s%s%s", o.id, o.word(), money(o.total, o.currency),
			money(o.captured, o.currency), money(o.refunded, o.currency), also(" and taken something in ", o.foreign), also(" and sets money aside by charge ", o.setAside))
	}
}

// unmatched checks the payments whose charge the provider does not know.
func (b *book) unmatched() {
	for _, chargeID := range slices.Sorted(maps.Keys(b.payments)) {
		if p := b.payments[chargeID]; !p.open {
			b.add(paymentCharge, p.id, "payment %s of %s (%s, taken %s) names charge %s, which the provider does not know",
				p.id, p.reference, word(p.state, "PAYMENT_STATE_"), money(p.captured, p.currency), chargeID)
		}
	}
}

// also returns a text with what it is about, if there is that.
func also(text, what string) string {
	if what == "" {
		return ""
	}
	return text + what
}

// money writes an amount for people. How many digits are behind the point depends on the currency, so it writes the minor units.
func money(amount int64, currency string) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", amount, currency))
}
