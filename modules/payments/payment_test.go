package payments

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

var allStates = []state{
	created, authorizing, authorized, capturing, captured, partiallyRefunded, refunded, declined, voided, unknown, disputed,
}

func TestTransitionsAreThoseOfTheDomain(t *testing.T) {
	t.Parallel()
	legal := map[string]bool{}
	for _, move := range []string{
		"created authorizing",
		"authorizing authorized", "authorizing declined", "authorizing unknown",
		"authorized capturing", "authorized voided", "authorized unknown",
		"capturing captured", "capturing authorized", "capturing unknown",
		"captured partially_refunded", "captured refunded", "captured unknown",
		"partially_refunded refunded", "partially_refunded unknown",
		"unknown authorized", "unknown declined", "unknown voided", "unknown captured", "unknown partially_refunded", "unknown refunded",
	} {
		legal[move] = true
	}
	for _, from := range allStates {
		for _, next := range allStates {
			move := fmt.Sprintf("%s %s", from, next)
			if from.canBecome(next) != legal[move] {
				t.Errorf("%s: legal is %t, want %t", move, from.canBecome(next), legal[move])
			}
		}
		if messageStates[from] == 0 {
			t.Errorf("%s has no word in the contract", from)
		}
	}
}

// next returns every payment that can follow: by something being begun, or by an outcome becoming known.
func next(p payment) []payment {
	var list []payment
	with := func(attempts []attempt) { list = append(list, payment{p.amount, attempts, p.cancellation}) }
	if p.cancellation == notCancelled && len(p.attempts) > 0 {
		list = append(list, payment{p.amount, p.attempts, cancelRequested})
	}
	begin := func(a attempt, err error) {
		if err == nil && a.id == "" {
			a.id = fmt.Sprintf("att_%d", len(p.attempts))
			with(append(slices.Clone(p.attempts), a))
		}
	}
	if len(p.attempts) == 0 {
		begin(p.toAuthorize(), nil)
	}
	begin(p.toCapture())
	begin(p.toVoid())
	if a, found := p.toCancel(); found && p.cancellation == cancelRequested {
		begin(a, nil)
	}
	for amount := range p.amount + 2 {
		begin(p.toRefund(amount))
	}
	for i, a := range p.attempts {
		for _, o := range []outcome{unanswered, succeeded, refused} {
			if a.outcome.open() && a.outcome != o {
				changed := slices.Clone(p.attempts)
				changed[i].outcome = o
				n := payment{p.amount, changed, p.cancellation}
				if p.cancellation == cancelRequested && a.kind.refuses(o, "no") {
					n.cancellation = cancelRefused
				}
				list = append(list, n)
			}
		}
	}
	return list
}

// TestEveryCourse walks through every course that a payment of 2 can take in at most 6 attempts.
func TestEveryCourse(t *testing.T) {
	t.Parallel()
	first := payment{amount: 2}
	seen, met := map[string]bool{}, map[state]bool{}
	queue := []payment{first}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		key := fmt.Sprint(p)
		if seen[key] || len(p.attempts) > 6 {
			continue
		}
		seen[key], met[p.state()] = true, true
		if taken := p.sum(capture, succeeded); taken > p.amount || p.sum(refund, pending, unanswered, succeeded) > taken {
			t.Fatalf("%v: more is or may be returned than was taken", p)
		}
		if p.has(void, succeeded) && p.sum(capture, pending, unanswered, succeeded) > 0 {
			t.Fatalf("%v: captured and voided", p)
		}
		for _, k := range []kind{authorize, capture, void} {
			if n := p.sum(k, pending, unanswered, succeeded); n > p.amount {
				t.Fatalf("%v: %s may be done twice", p, k)
			}
		}
		charged := p.sum(capture, succeeded) - p.sum(refund, succeeded)
		if p.cancellation != notCancelled && p.cancelled() == isDone && (charged != 0 || p.state() == authorized || p.any(func(a attempt) bool { return a.outcome.open() })) {
			t.Fatalf("%v: the cancellation is done, but %d is or may be charged", p, charged)
		}
		if p.cancellation == cancelRequested && p.cancelled() == wasRefused {
			t.Fatalf("%v: nobody has refused", p)
		}
		for _, n := range next(p) {
			if p.cancellation != notCancelled && n.sum(capture, pending, unanswered, succeeded) > p.sum(capture, pending, unanswered, succeeded) {
				t.Fatalf("%v: a capture begins although the payment is cancelled", p)
			}
			if from, to := p.state(), n.state(); from != to && !from.canBecome(to) {
				t.Fatalf("%v: %s becomes %s in %v", p, from, to, n)
			}
			queue = append(queue, n)
		}
	}
	for _, s := range allStates {
		if want := s != disputed; met[s] != want {
			t.Errorf("%s is met: %t, want %t (met %v)", s, met[s], want, slices.Collect(maps.Keys(met)))
		}
	}
}

func TestToRefund(t *testing.T) {
	t.Parallel()
	paid := func(refunds ...attempt) payment {
		return payment{100, append([]attempt{
			{"att_1", authorize, 100, succeeded},
			{"att_2", capture, 100, succeeded},
		}, refunds...), notCancelled}
	}
	for _, c := range []struct {
		name   string
		paid   payment
		ask    int64
		want   int64
		joins  string
		tooBig bool
	}{
		{name: "a part", paid: paid(), ask: 30, want: 30},
		{name: "all", paid: paid(), ask: 100, want: 100},
		{name: "the rest of all", paid: paid(), ask: 0, want: 100},
		{name: "more", paid: paid(), ask: 101, tooBig: true},
		{name: "the rest after a part", paid: paid(attempt{"att_3", refund, 30, succeeded}), ask: 0, want: 70},
		{name: "more than the rest", paid: paid(attempt{"att_3", refund, 30, succeeded}), ask: 71, tooBig: true},
		{name: "beside one under way", paid: paid(attempt{"att_3", refund, 30, pending}), ask: 71, tooBig: true},
		{name: "beside one that is unknown", paid: paid(attempt{"att_3", refund, 30, unanswered}), ask: 71, tooBig: true},
		{name: "after one that was refused", paid: paid(attempt{"att_3", refund, 30, refused}), ask: 100, want: 100},
		{name: "the rest when it is under way", paid: paid(attempt{"att_3", refund, 100, pending}), ask: 0, want: 100, joins: "att_3"},
		{name: "the rest when it is returned", paid: paid(attempt{"att_3", refund, 100, succeeded}), ask: 0, want: 100, joins: "att_3"},
		{name: "one more when all is returned", paid: paid(attempt{"att_3", refund, 100, succeeded}), ask: 1, tooBig: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := c.paid.toRefund(c.ask)
			if errors.As(err, new(errTooMuch)) != c.tooBig || (err != nil) != c.tooBig {
				t.Fatalf("got error %v, want that it is too much: %t", err, c.tooBig)
			}
			if a.amount != c.want || a.id != c.joins {
				t.Errorf("got %d as %q, want %d as %q", a.amount, a.id, c.want, c.joins)
			}
		})
	}
}
