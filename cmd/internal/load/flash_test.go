package load

import (
	"strings"
	"testing"
)

// TestSale holds what a sale of three pieces proves, and what not.
func TestSale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sale Sale
		says string
	}{
		"right":                      {Sale{Asked: 9, Confirmed: 3, Refused: 6}, ""},
		"oversold":                   {Sale{Asked: 9, Confirmed: 4, Refused: 5}, "4 pieces were sold of 3"},
		"sold and still there":       {Sale{Asked: 9, Confirmed: 3, Refused: 6, Left: 1}, "3 pieces were sold and 1 are left"},
		"not sold out":               {Sale{Asked: 9, Confirmed: 2, Refused: 7, Left: 1}, "2 pieces were sold of 3 and 1 are left, although 9 customers"},
		"lost":                       {Sale{Asked: 9, Confirmed: 2, Refused: 7}, "2 pieces were sold of 3 and 0 are left"},
		"too few":                    {Sale{Asked: 2, Confirmed: 2, Left: 1}, "only 2 customers came for 3 pieces"},
		"an order under way":         {Sale{Asked: 9, Confirmed: 2, Refused: 6, Open: 1}, "of 1 orders nobody knows what became"},
		"an order without an answer": {Sale{Asked: 9, Confirmed: 2, Refused: 6, Unanswered: 1}, "of 1 orders nobody knows what became"},
		"a shop that is gone":        {Sale{Asked: 9, Confirmed: 3, Refused: 6, Left: -1}, "the shop does not say"},
	} {
		c.sale.Pieces = 3
		if says := c.sale.Problem(); !strings.HasPrefix(says, c.says) || (says == "") != (c.says == "") {
			t.Errorf("%s: %q, want %q", name, says, c.says)
		}
	}
}
