package page

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{math.MinInt32: 50, -1: 50, 0: 50, 1: 1, 200: 200, 201: 200, 1e9: 200, math.MaxInt32: 200} {
		if got := Size(asked); got != want {
			t.Errorf("Size(%d) = %d, want %d", asked, got, want)
		}
	}
}

func TestTokenLeadsBackToItsItem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.StringMatching(`[a-z]{3}_[0-9a-f]{32}`).Draw(t, "last")
		filter, other := rapid.String().Draw(t, "filter"), rapid.String().Draw(t, "other")
		token := Encode(last, filter)
		if got, err := Decode(token, filter); err != nil || got != last {
			t.Fatalf("%q, %v, want %q", got, err, last)
		}
		if _, err := Decode(token, other); (err == nil) != (filter == other) {
			t.Fatalf("with another filter: %v", err)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	itself := func(s string) string { return s }
	for _, items := range [][]string{nil, {"a"}, {"a", "b"}} {
		if cut, next := Cut(items, 2, "filter", itself); len(cut) != len(items) || next != "" {
			t.Errorf("%v: %v, %q, want all and no next page", items, cut, next)
		}
	}
	cut, next := Cut([]string{"a", "b", "c"}, 2, "filter", itself)
	if last, err := Decode(next, "filter"); len(cut) != 2 || last != "b" || err != nil {
		t.Errorf("%v, a token behind %q (%v), want two and one behind b", cut, last, err)
	}
}

// Contracts bound how long a token may be, and not by how long the filter is.
func TestTokenIsShortWhateverTheFilter(t *testing.T) {
	t.Parallel()
	if token := Encode("prd_01a200b77f5e7e37a56e5be512ee69d4", strings.Repeat("ü", 1000)); len(token) > 100 {
		t.Errorf("%d bytes", len(token))
	}
}

func TestFirstPageHasNoToken(t *testing.T) {
	t.Parallel()
	if got, err := Decode("", "anything"); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A token is what somebody sends: it must not reach the database as something that the database cannot take.
func TestForgedTokenIsRefused(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	for name, token := range map[string]string{
		"not base64":      "%%%",
		"padded base64":   base64.URLEncoding.EncodeToString([]byte("prd_1\n" + tag("filter") + "=")),
		"no filter":       encode([]byte("prd_1")),
		"another filter":  encode([]byte("prd_1\nother")),
		"a longer filter": encode([]byte("prd_1\n" + tag("filter") + "\n")),
		"a zero byte":     encode([]byte("prd_\x00\n" + tag("filter"))),
		"invalid UTF-8":   encode([]byte("prd_\xff\n" + tag("filter"))),
	} {
		if got, err := Decode(token, "filter"); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %q, %v, want that it is refused", name, got, err)
		}
	}
}
