package sandbox

import "time"

// KeyHeader holds the key under which something happens once.
const KeyHeader = "Idempotency-Key"

// The codes of a [Failure].
const (
	CodeBadRequest   = "bad_request"
	CodeKeyReused    = "key_reused"     // The key was used for another request.
	CodeNoSuchCharge = "no_such_charge" // What shall be captured, voided or refunded is not there.
	CodeNoSuchKey    = "no_such_key"    // Nothing was done under the key.
	CodeFailed       = "failed"
)

// MaxPage is how many charges a page has at most, and how many operations a charge in it.
const MaxPage = 100

// Authorization is what to set aside.
type Authorization struct {
	// Reference is what the charge is for, as people at the provider see it.
	Reference string `json:"reference"`
	// Amount is in minor units of the currency.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	// PaymentMethod is the token, which is also the script.
	PaymentMethod string `json:"payment_method"`
}

// Refund is what to return.
type Refund struct {
	Amount int64 `json:"amount"`
}

// Answer is what came of a key.
type Answer struct {
	ChargeID string `json:"charge_id"`
	// DeclineCode says why it was refused, for instance "card_declined"; empty if it was done.
	DeclineCode string `json:"decline_code,omitempty"`
}

// Failure says why there is no [Answer].
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Page is a part of the log.
type Page struct {
	Charges []Charge `json:"charges"`
}

// Charge is what the provider knows of a charge.
type Charge struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	Currency  string `json:"currency"`
	// Amount was asked for, Authorized was set aside: nothing if it was declined.
	Amount     int64     `json:"amount"`
	Authorized int64     `json:"authorized"`
	Captured   int64     `json:"captured"`
	Refunded   int64     `json:"refunded"`
	Voided     bool      `json:"voided"`
	CreateTime time.Time `json:"create_time"`
	// Operations are the first [MaxPage] of what was done or refused, oldest first.
	Operations []Operation `json:"operations"`
}

// Operation is what was done, or refused, under a key.
type Operation struct {
	Key    string `json:"key"`
	Kind   string `json:"kind"` // authorize, capture, void or refund
	Amount int64  `json:"amount"`
	// Outcome is "succeeded", or why not.
	Outcome string `json:"outcome"`
	// Requests is how often the key was used.
	Requests int64 `json:"requests"`
}

// Control makes the whole provider misbehave, whatever the payment method, until the next one.
type Control struct {
	// Down lets every request come to nothing.
	Down bool `json:"down"`
	// LatencyMS passes before a request is looked at, in milliseconds.
	LatencyMS int64 `json:"latency_ms"`
	// LoseReplies is the share of answers, from 0 to 1, that are lost after the work was done.
	LoseReplies float64 `json:"lose_replies"`
}
