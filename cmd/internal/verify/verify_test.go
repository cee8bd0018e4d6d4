package verify

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

// TestConfirm plays houses in which something is wrong from one moment to another, in seconds.
func TestConfirm(t *testing.T) {
	t.Parallel()
	const always = 1000
	type wrong struct {
		subject  string
		from, to int
	}
	for _, c := range []struct {
		name  string
		grace int
		wrong []wrong
		// want are the subjects of violations that count, ends after how many seconds that is known.
		want string
		ends int
	}{
		{"nothing", 10, nil, "", 0},
		{"no grace", 0, []wrong{{"a", 0, always}}, "a", 0},
		{"for good", 10, []wrong{{"a", 0, always}}, "a", 10},
		{"for a moment", 10, []wrong{{"a", 0, 2}}, "", 3},
		{"until the grace is nearly over", 10, []wrong{{"a", 0, 9}}, "", 10},
		{"with an interruption", 10, []wrong{{"a", 0, 4}, {"a", 6, 12}}, "", 5},
		{"twice, with something else between", 10, []wrong{{"a", 0, 4}, {"b", 0, 6}, {"a", 6, always}}, "a", 16},
		{"only after something else is gone", 10, []wrong{{"open", 0, 5}, {"charged twice", 5, always}}, "charged twice", 15},
		{"first when the grace is over", 10, []wrong{{"a", 0, always}, {"b", 11, always}}, "a", 10},
		{"ever new ones", 3, []wrong{{"a", 0, 1}, {"b", 1, 2}, {"c", 2, 3}, {"d", 3, 4}, {"e", 4, 5}, {"f", 5, always}}, "", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				seconds := func() int { return int(time.Since(began).Seconds()) }
				_, counts, err := Options{Grace: time.Duration(c.grace) * time.Second}.confirm(t.Context(), func(context.Context) (*book, error) {
					b := newBook(0)
					for _, w := range c.wrong {
						if w.from <= seconds() && seconds() <= w.to {
							b.add(orderLost, w.subject, "")
						}
					}
					return b, nil
				})
				got := ""
				for k := range counts {
					got += k.subject
				}
				if err != nil || got != c.want || seconds() != c.ends {
					t.Errorf("%q count after %d seconds, %v; want %q after %d", got, seconds(), err, c.want, c.ends)
				}
			})
		})
	}
	broken := errors.New("broken")
	if _, _, err := (Options{Grace: time.Minute}).confirm(t.Context(), func(context.Context) (*book, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a look that is not possible: %v", err)
	}
}

// TestReport holds that there is an end to what is told, and that what is not told is counted.
func TestReport(t *testing.T) {
	t.Parallel()
	b := newBook(0)
	const many = maxKept + 500
	for i := range many {
		b.check(orderLost, string(rune(i)), false, "")
	}
	_, counts, err := Options{}.confirm(t.Context(), func(context.Context) (*book, error) { return b, nil })
	if err != nil {
		t.Fatal(err)
	}
	r := b.report(House{"orders": "here"}, counts)
	if r.Holds() || len(r.Findings) != maxKept {
		t.Errorf("it holds: %t, and %d findings are told", r.Holds(), len(r.Findings))
	}
	for _, rule := range r.Rules {
		if rule.ID == orderLost && (rule.Violations != many || rule.Rows != many) || rule.ID != orderLost && rule.Violations != 0 {
			t.Errorf("the report says %+v", rule)
		}
		if missing := rule.Missing != ""; missing != (rule.from != "") {
			t.Errorf("%s is not looked at: %t", rule.ID, missing)
		}
	}
}

// TestUnseen holds that no report claims what could not be looked at.
func TestUnseen(t *testing.T) {
	t.Parallel()
	house := House{"notifications": "here"}
	f := inOrder()
	for _, rule := range f.enter().report(house, nil).Rules {
		if rule.Missing != "" || rule.Rows == 0 {
			t.Errorf("where all is well: %+v", rule)
		}
	}
	f.payments[3].OpenAttempts = []*paymentsv1.OpenAttempt{{Id: "att_4", Kind: "capture"}}
	f.accounts[0].Balance = euros(-1000)
	for _, rule := range f.enter().report(house, nil).Rules {
		if rule.ID == ledgerClearing && rule.Rows != 0 || (rule.Missing != "") != (rule.ID == ledgerClearing) {
			t.Errorf("while a payment is under way: %+v", rule)
		}
	}
	b := newBook(deadline)
	b.order(f.orders[0], now)
	b.close()
	for _, rule := range b.report(house, nil).Rules {
		if rule.ID == orderTold && (rule.Rows != 0 || rule.Missing == "") {
			t.Errorf("where nobody listens to orders: %+v", rule)
		}
	}
}
