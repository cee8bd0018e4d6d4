package payments

import "time"

// The tokens that the sandbox takes, after those of Stripe's test mode. A token is the script of a charge: it also holds for what is
// later asked about it. Any other token is declined with invalid_payment_method.
const (
	methodVisa              = "pm_card_visa"               // Everything succeeds.
	methodDeclined          = "pm_card_declined"           // Declined with card_declined.
	methodInsufficientFunds = "pm_card_insufficient_funds" // Declined with insufficient_funds.
	methodExpired           = "pm_card_expired"            // Declined with expired_card.
	methodChargeThenTimeout = "pm_charge_then_timeout"     // Done, but the first answer to each key is lost.
	methodTimeoutThenCharge = "pm_timeout_before_charge"   // The first request of each key is lost, the second is answered.
	methodSlow              = "pm_slow"                    // Every answer takes a second.
	methodProviderDown      = "pm_provider_down"           // No request that moves money arrives.
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

// scripts are the known ones by token.
var scripts = map[string]script{
	methodVisa:              {},
	methodDeclined:          {declineCode: "card_declined"},
	methodInsufficientFunds: {declineCode: "insufficient_funds"},
	methodExpired:           {declineCode: "expired_card"},
	methodChargeThenTimeout: {losesAnswer: true},
	methodTimeoutThenCharge: {losesRequest: true},
	methodSlow:              {delay: slowness},
	methodProviderDown:      {down: true},
}

// scriptOf returns the script of a payment method.
func scriptOf(method string) script {
	if s, known := scripts[method]; known {
		return s
	}
	return script{declineCode: "invalid_payment_method"}
}
