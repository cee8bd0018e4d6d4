package sandbox

import "time"

// The tokens that the sandbox takes, after those of Stripe's test mode. A token is the script of a charge: it also holds for what is
// later asked about it. Any other token is declined with invalid_payment_method.
const (
	MethodVisa              = "pm_card_visa"               // Everything succeeds.
	MethodDeclined          = "pm_card_declined"           // Declined with card_declined.
	MethodInsufficientFunds = "pm_card_insufficient_funds" // Declined with insufficient_funds.
	MethodExpired           = "pm_card_expired"            // Declined with expired_card.
	MethodChargeThenTimeout = "pm_charge_then_timeout"     // Done, but the first answer to each key is lost.
	MethodTimeoutThenCharge = "pm_timeout_before_charge"   // The first request of each key is lost, the second is answered.
	MethodSlow              = "pm_slow"                    // Every answer takes a second.
	MethodProviderDown      = "pm_provider_down"           // No request that moves money arrives.
)

// slowness is how long the slow script takes.
const slowness = time.Second

// script is how the sandbox behaves towards a payment method.
type script struct {
	// declineCode is why an authorization is refused.
	declineCode string
	// losesRequest and losesAnswer let the first request of a key come to nothing, or its answer.
	losesRequest, losesAnswer bool
	// delay passes before a request is looked at.
	delay time.Duration
	// down lets no request that moves money arrive.
	down bool
}

// isPlain reports whether the script says no more than yes or no.
func (s script) isPlain() bool { return s == script{declineCode: s.declineCode} }

// scripts are the known ones by token.
var scripts = map[string]script{
	MethodVisa:              {},
	MethodDeclined:          {declineCode: "card_declined"},
	MethodInsufficientFunds: {declineCode: "insufficient_funds"},
	MethodExpired:           {declineCode: "expired_card"},
	MethodChargeThenTimeout: {losesAnswer: true},
	MethodTimeoutThenCharge: {losesRequest: true},
	MethodSlow:              {delay: slowness},
	MethodProviderDown:      {down: true},
}

// scriptOf returns the script of a payment method.
func scriptOf(method string) script {
	if s, known := scripts[method]; known {
		return s
	}
	return script{declineCode: "invalid_payment_method"}
}
