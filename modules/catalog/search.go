package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/product"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
)

const (
	// maxWords is how many words of a query count.
	maxWords = 10
	// maxMeant is how many words a word with a slip may be taken for.
	maxMeant = 4
)

// wordsOf returns the words of a query, as the index has them.
func wordsOf(query string) []string {
	words := strings.FieldsFunc(strings.ToLower(query), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return words[:min(len(words), maxWords)]
}

// slip reports whether one becomes the other by one slip of the pen: a letter that is missing, or too much, or another, or two in the wrong
// order.
func slip(a, b string) bool {
	s, l := []rune(a), []rune(b)
	if len(s) > len(l) {
		s, l = l, s
	}
	i := 0
	for i < len(s) && s[i] == l[i] {
		i++
	}
	switch len(l) - len(s) {
	case 0:
		return i == len(s) || slices.Equal(s[i+1:], l[i+1:]) || i+1 < len(s) && s[i] == l[i+1] && s[i+1] == l[i] && slices.Equal(s[i+2:], l[i+2:])
	case 1:
		return slices.Equal(s[i:], l[i+1:])
	}
	return false
}

// meaning is what a word of a query is taken for.
type meaning struct {
	word string
	// known says that a product has the word, and begins that one has a word which begins with it.
	known, begins bool
	// meant are the words that it is a slip of, if products have neither.
	meant []string
}

// text returns what PostgreSQL is to look for. Words have nothing but letters and digits, so nothing in them means something else.
func (m meaning) text() string {
	switch {
	case m.known:
		return "'" + m.word + "'"
	case m.begins:
		return "'" + m.word + "':*"
	}
	words := []string{"'" + m.word + "'"} // A description may have it.
	for _, other := range m.meant {
		words = append(words, "'"+other+"'")
	}
	return "(" + strings.Join(words, " | ") + ")"
}

// corrected returns the query as it seems to be meant; "" if nothing in it is wrong.
func corrected(meanings []meaning) string {
	var words []string
	wrong := false
	for _, m := range meanings {
		word := m.word
		if len(m.meant) > 0 {
			word, wrong = m.meant[0], true
		}
		words = append(words, word)
	}
	if !wrong {
		return ""
	}
	return strings.Join(words, " ")
}

// understand looks up the words of a query.
func (s *service) understand(ctx context.Context, words []string) ([]meaning, error) {
	rows, err := s.store.Pool().Query(ctx, `SELECT word,
			EXISTS (SELECT FROM search_word w WHERE w.word = given.word OR w.word = (ts_lexize('english_stem', given.word))[1]),
			EXISTS (SELECT FROM search_word w WHERE w.word >= given.word AND w.word < given.word || chr(1114111)),
			CASE WHEN length(given.word) BETWEEN 3 AND 40 THEN ARRAY(SELECT DISTINCT t.word FROM typos(given.word) AS typo JOIN search_typo t USING (typo) LIMIT 1000) ELSE '{}' END
		FROM unnest((SELECT $1::text[])) WITH ORDINALITY AS given (word, position) ORDER BY position`, words)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m meaning, err error) {
		var near []string
		if err := row.Scan(&m.word, &m.known, &m.begins, &near); err != nil || m.known || m.begins {
			return m, err
		}
		m.meant = nearest(m.word, near)
		return m, nil
	})
}

// nearest returns the words that differ from the given one by a slip, the likeliest first: hardly anybody gets the first letter wrong.
func nearest(word string, candidates []string) []string {
	near := slices.DeleteFunc(candidates, func(c string) bool { return !slip(word, c) })
	slices.SortFunc(near, func(a, b string) int {
		return cmp.Or(cmp.Compare(common(word, b), common(word, a)), cmp.Compare(a, b))
	})
	return near[:min(len(near), maxMeant)]
}

// common returns how many bytes two words have in common at the beginning.
func common(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// place is where a page of found products ends.
type place struct {
	rank float32
	id   string
}

func (p place) String() string { return strconv.FormatFloat(float64(p.rank), 'g', -1, 32) + " " + p.id }

// placeOf returns where the page before ended; nil for the first.
func placeOf(token, filter string) (*place, error) {
	last, err := page.Decode(token, filter)
	if err != nil || last == "" {
		return nil, err
	}
	rank, id, _ := strings.Cut(last, " ")
	number, err := strconv.ParseFloat(rank, 32)
	if err != nil || id == "" {
		return nil, page.ErrToken
	}
	return &place{float32(number), id}, nil
}

func (s *service) SearchProducts(ctx context.Context, r *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	size := page.Size(r.GetPageSize())
	filter := r.GetCategory() + "\n" + r.GetQuery()
	after, err := placeOf(r.GetPageToken(), filter)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	words := wordsOf(r.GetQuery())
	if len(words) == 0 {
		return &catalogv1.SearchProductsResponse{}, nil
	}
	meanings, err := s.understand(ctx, words)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("look up the words of a query: %w", err))
	}
	found, err := s.find(ctx, meanings, r.GetCategory(), after, size+1)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("search: %w", err))
	}
	answer := &catalogv1.SearchProductsResponse{CorrectedQuery: corrected(meanings)}
	found, answer.NextPageToken = page.Cut(found, size, filter, place.String)
	answer.Products, err = s.inOrderOf(ctx, found)
	return answer, err
}

// find returns the products that have all words, the best first: by the weight of where the words are, and the less there is besides.
func (s *service) find(ctx context.Context, meanings []meaning, category string, after *place, limit int) ([]place, error) {
	texts := make([]string, len(meanings))
	for i, m := range meanings {
		texts[i] = m.text()
	}
	if after == nil {
		after = &place{rank: 2} // More than any.
	}
	// OFFSET keeps the rank from being computed for each condition on it.
	rows, err := s.store.Pool().Query(ctx, `SELECT rank, product_id FROM (
			SELECT product_id, ts_rank('{0, 0.1, 0.4, 1}', document, to_tsquery('english', $1), 1) AS rank
			FROM product_search WHERE document @@ to_tsquery('english', $1) AND ($2 = '' OR category = $2) OFFSET 0
		) AS found WHERE rank < $3::real OR rank = $3::real AND product_id > $4 ORDER BY rank DESC, product_id LIMIT $5`,
		strings.Join(texts, " & "), category, after.rank, after.id, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p place, err error) { return p, row.Scan(&p.rank, &p.id) })
}

// inOrderOf returns the products that were found, as long as they are still for sale.
func (s *service) inOrderOf(ctx context.Context, found []place) ([]*catalogv1.Product, error) {
	ids := make([]string, len(found))
	for i, p := range found {
		ids[i] = p.id
	}
	rows, err := s.store.Ent.Product.Query().Where(product.IDIn(ids...), product.State(string(published))).WithVariants(inOrder).All(ctx)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load what was found: %w", err))
	}
	products := make([]*catalogv1.Product, len(rows))
	for i, row := range rows {
		products[i] = message(row)
	}
	slices.SortFunc(products, func(a, b *catalogv1.Product) int { return slices.Index(ids, a.GetId()) - slices.Index(ids, b.GetId()) })
	return products, nil
}

func (s *service) ListCategories(ctx context.Context, r *catalogv1.ListCategoriesRequest) (*catalogv1.ListCategoriesResponse, error) {
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), "")
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Pool().Query(ctx, `SELECT category, count(*) FROM product WHERE state = 'published' AND category > $1
		GROUP BY category ORDER BY category LIMIT $2`, after, size+1)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*catalogv1.Category, error) {
		c := &catalogv1.Category{}
		return c, row.Scan(&c.Name, &c.ProductCount)
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list categories: %w", err))
	}
	answer := &catalogv1.ListCategoriesResponse{}
	answer.Categories, answer.NextPageToken = page.Cut(all, size, "", (*catalogv1.Category).GetName)
	return answer, nil
}
