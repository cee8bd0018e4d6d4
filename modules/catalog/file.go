package catalog

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// file reads the rows of a file that is somewhere else in pieces. It holds a piece or two, however large the file is.
type file struct {
	format  format
	columns []string // Of a CSV.
	// more returns bytes of the file from an offset on, none at its end.
	more func(offset int64) ([]byte, error)

	position, line int64 // What is before them is done. Lines are counted from 0.
	buffer         []byte
	whole          bool // The buffer reaches to the end of the file.
}

// row is a row of a file, or why it is none.
type row struct {
	product *catalogv1.UpsertProduct // With one variant, if it is of a CSV.
	// key is what rows of one product have in common; empty if they have nothing.
	key   string
	wrong string
	// size and lines are how much of the file it is.
	size  int
	lines int64
}

var errRowTooLong = fmt.Errorf("the row is longer than %d bytes", maxRow)

// grow reads on, and reports whether there was more.
func (f *file) grow() (bool, error) {
	if f.whole {
		return false, nil
	}
	more, err := f.more(f.position + int64(len(f.buffer)))
	f.whole = len(more) == 0
	f.buffer = append(f.buffer, more...)
	return !f.whole, err
}

// endOfLine returns where the line ends that begins at a place in the buffer, behind its line break. It fails with errRowTooLong if the
// buffer would get too large.
func (f *file) endOfLine(from int) (int, error) {
	for at := from; ; {
		i := bytes.IndexByte(f.buffer[at:], '\n')
		if end := at + i + 1; i >= 0 && end <= maxRow {
			return end, nil
		}
		at = len(f.buffer)
		if i >= 0 || at > maxRow {
			return 0, errRowTooLong
		}
		if more, err := f.grow(); err != nil {
			return 0, err
		} else if !more {
			return len(f.buffer), nil
		}
	}
}

// peek returns the next row, which stays where it is until it is taken; nil at the end of the file. Empty lines are taken.
func (f *file) peek() (*row, error) {
	for {
		end, err := f.endOfLine(0)
		switch {
		case errors.Is(err, errRowTooLong):
			return f.tooLong()
		case err != nil:
			return nil, err
		case end == 0:
			return nil, nil
		case len(bytes.TrimSpace(f.buffer[:end])) > 0:
			if f.format == formatJSONL {
				return parsed(f.jsonRow(end), end), nil
			}
			return f.csvRow(end)
		}
		f.take(&row{size: end, lines: 1})
	}
}

// take goes on behind a row.
func (f *file) take(r *row) {
	f.buffer = f.buffer[r.size:]
	f.position += int64(r.size)
	f.line += r.lines
}

// tooLong returns a row that is not read at all. What of it does not fit into the buffer is passed over.
func (f *file) tooLong() (*row, error) {
	for {
		if i := bytes.IndexByte(f.buffer, '\n'); i >= 0 {
			return &row{wrong: errRowTooLong.Error(), size: i + 1, lines: 1}, nil
		}
		f.position += int64(len(f.buffer))
		f.buffer = f.buffer[:0]
		if more, err := f.grow(); err != nil || !more {
			return &row{wrong: errRowTooLong.Error(), lines: 1}, err
		}
	}
}

// parsed returns a row of one line that was read.
func parsed(r *row, size int) *row {
	r.size, r.lines = size, 1
	return r
}

func wrong(format string, args ...any) *row { return &row{wrong: fmt.Sprintf(format, args...)} }

func (f *file) jsonRow(end int) *row {
	p := &catalogv1.UpsertProduct{}
	if err := protojson.Unmarshal(f.buffer[:end], p); err != nil {
		// Without the name of a Go package, behind which protojson puts one space or another, so that nobody relies on it.
		message := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
		return wrong("%s", strings.Join(strings.Fields(strings.ToValidUTF8(message, "�")), " "))
	}
	return check(p, "")
}

// record returns the row of a CSV that begins the buffer, field by field. A row goes on in the next line while a quotation mark is open. If
// it then makes no sense, only the first of its lines is wrong: a mark too much must not cost the rows that follow.
func (f *file) record(end int) (fields []string, size int, lines int64, err error) {
	first, quotes := end, 0
	for from := 0; ; {
		quotes += bytes.Count(f.buffer[from:end], []byte{'"'})
		lines++
		if quotes%2 == 0 {
			break
		}
		next, err := f.endOfLine(end)
		if errors.Is(err, errRowTooLong) || err == nil && (next == end || next > maxRow) {
			return nil, first, 1, errors.New("a quotation mark is not closed")
		}
		if err != nil {
			return nil, 0, 0, err
		}
		from, end = end, next
	}
	reader := csv.NewReader(bytes.NewReader(f.buffer[:end]))
	reader.FieldsPerRecord = -1
	fields, err = reader.Read()
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return nil, first, 1, syntax.Err
	}
	return fields, end, lines, err
}

func (f *file) csvRow(end int) (*row, error) {
	fields, size, lines, err := f.record(end)
	if err != nil && lines == 0 {
		return nil, err
	}
	r := &row{}
	switch {
	case err != nil:
		r = wrong("%v", err)
	case len(fields) != len(f.columns):
		r = wrong("there are %d fields and %d columns", len(fields), len(f.columns))
	default:
		r = f.productOf(fields)
	}
	r.size, r.lines = size, lines
	return r, nil
}

// The columns of a CSV, and those that must be there.
var (
	columns = []string{"sku", "title", "price_amount", "price_currency", "product", "variant_title", "description", "category", "state", "images"}
	needed  = columns[:4]
)

// header reads the first line of a CSV, which names the columns, and goes on behind it. What is wrong with it is told to whoever starts
// the import.
func (f *file) header() (problem string, err error) {
	end, err := f.endOfLine(0)
	if err != nil && !errors.Is(err, errRowTooLong) {
		return "", err
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(f.buffer, mark) { // Some programs begin files with it.
		f.take(&row{size: len(mark)})
		end = max(end-len(mark), 0)
	}
	fields, size, lines, err := f.record(end)
	if err != nil {
		return "it cannot be read: " + err.Error(), nil
	}
	for _, name := range fields {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(columns, name):
			return fmt.Sprintf("there is no column %q: choose among %s", strings.ToValidUTF8(name, "�"), strings.Join(columns, ", ")), nil
		case slices.Contains(f.columns, name):
			return fmt.Sprintf("the column %s is there twice", name), nil
		}
		f.columns = append(f.columns, name)
	}
	for _, name := range needed {
		if !slices.Contains(f.columns, name) {
			return fmt.Sprintf("the column %s is missing: there must be %s", name, strings.Join(needed, ", ")), nil
		}
	}
	f.take(&row{size: size, lines: lines})
	return "", nil
}

// productOf returns the product with one variant that the fields of a CSV are.
func (f *file) productOf(fields []string) *row {
	p, v := &catalogv1.UpsertProduct{}, &catalogv1.UpsertVariant{Price: &typev1.Money{}}
	p.Variants = []*catalogv1.UpsertVariant{v}
	key := ""
	for i, text := range fields {
		switch f.columns[i] {
		case "sku":
			v.Sku = text
		case "title":
			p.Title = text
		case "variant_title":
			v.Title = text
		case "description":
			p.Description = text
		case "category":
			p.Category = text
		case "product":
			key = text
		case "images":
			p.Images = strings.Fields(text)
		case "price_currency":
			v.Price.Currency = text
		case "price_amount":
			amount, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return wrong("price_amount: %q is no number of minor units", strings.ToValidUTF8(text, "�"))
			}
			v.Price.Amount = amount
		case "state":
			if p.State = messageStates[state(text)]; text != "" && p.GetState() == catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED {
				return wrong("state: %q is none of draft, published and archived", strings.ToValidUTF8(text, "�"))
			}
		}
	}
	return check(p, key)
}

// check holds a product against the rules of the contract, and what a database cannot keep.
func check(p *catalogv1.UpsertProduct, key string) *row {
	texts := slices.Concat([]string{p.GetTitle(), p.GetDescription(), p.GetCategory()}, p.GetImages())
	for _, v := range p.GetVariants() {
		texts = append(texts, v.GetSku(), v.GetTitle())
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return wrong("there is a text that is not UTF-8, or has a zero byte")
		}
	}
	var invalid *protovalidate.ValidationError
	err := protovalidate.Validate(p)
	switch {
	case errors.As(err, &invalid):
		var problems []string
		for _, v := range invalid.Violations {
			problems = append(problems, protovalidate.FieldPathString(v.Proto.GetField())+": "+v.Proto.GetMessage())
		}
		return wrong("%s", strings.Join(problems, "; "))
	case err != nil:
		return wrong("%v", err)
	}
	seen := map[string]bool{}
	for i, v := range p.GetVariants() {
		if seen[v.GetSku()] {
			return wrong("variants[%d].sku: %q is given twice", i, v.GetSku())
		}
		seen[v.GetSku()] = true
	}
	return &row{product: p, key: key}
}
