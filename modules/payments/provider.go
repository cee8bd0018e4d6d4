package payments

import (
	"context"
	"errors"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

// provider is whoever really moves the money: another company's server. It is never called inside a transaction.
//
// Every call that moves money carries a key, under which it happens at most once. It may be repeated, also at the same time: the same
// key with the same content gets the first outcome again. The same key with other content is an error.
//
// A refusal is an answer. An error that is [errUnknown] says that nobody knows what the provider did: it timed out, failed, or the
// connection broke. Any other error is a mistake of ours, which no repetition mends; where it is
// an [errMistake] the provider has done nothing for this request.
type provider interface {
	// authorize sets an amount aside.
	authorize(ctx context.Context, key string, a authorization) (answer, error)
	// capture takes all that is set aside.
	capture(ctx context.Context, key, chargeID string) (answer, error)
	// void gives free what is set aside.
	void(ctx context.Context, key, chargeID string) (answer, error)
	// refund returns an amount of what was taken.
	refund(ctx context.Context, key, chargeID string, amount int64) (answer, error)
	// lookup returns what came of a key, and whether anything did. It moves nothing.
	lookup(ctx context.Context, key string) (answer, bool, error)
	// charges returns the next page of the provider's own log, in the order of ids: at most limit of the charges whose ids come after one.
	charges(ctx context.Context, after string, limit int) ([]*paymentsv1.ChargeFact, error)
}

// authorization is what a provider is asked to set aside.
type authorization struct {
	// reference is what the payment is for, as the people at the provider see it.
	reference string
	// amount is in minor units of the currency.
	amount   int64
	currency string
	// method is the provider's token of a card or account.
	method string
}

// answer is what came of a key.
type answer struct {
	// chargeID is the provider's id of what the authorization set aside.
	chargeID string
	// declineCode says why it was refused, for instance "card_declined"; empty if it was done.
	declineCode string
}

// errUnknown says that the provider's answer never came.
var errUnknown = errors.New("the provider did not answer")
