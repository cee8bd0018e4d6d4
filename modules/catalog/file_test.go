package catalog

import (
	"fmt"
	"strings"
	"testing"
)

// read reads a file that comes in pieces of some size, and returns its rows as text: the line, and the SKUs and titles, or what is wrong.
func read(t *testing.T, kind format, content string, piece int) (rows []string) {
	t.Helper()
	f := &file{format: kind, more: func(offset int64) ([]byte, error) {
		rest := content[offset:]
		return []byte(rest[:min(len(rest), piece)]), nil
	}}
	if kind == formatCSV {
		if problem, err := f.header(); err != nil || problem != "" {
			t.Fatalf("the header: %s, %v", problem, err)
		}
	}
	for {
		r, err := f.peek()
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			if f.position != int64(len(content)) || f.line != int64(len(strings.SplitAfter(strings.TrimSuffix(content, "\n"), "\n"))) && content != "" {
				t.Errorf("it ended at byte %d of %d, after %d lines", f.position, len(content), f.line)
			}
			return rows
		}
		text := "! " + r.wrong
		if (r.wrong == "") != (r.product != nil) {
			t.Fatalf("line %d is %v", f.line+1, r)
		}
		if r.wrong == "" {
			text = r.product.GetVariants()[0].GetSku() + " " + r.product.GetTitle() + " " + r.key
		}
		rows = append(rows, fmt.Sprint(f.line+1, " ", strings.TrimSpace(text)))
		f.take(r)
	}
}

const csvHead = "sku,title,price_amount,price_currency,product,state\n"

// What is wrong costs its own row and no other, however the file is cut into pieces.
func TestRowsOfAFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxRow+10)
	for _, c := range []struct {
		name    string
		format  format
		content string
		want    []string // The beginnings of the rows.
	}{
		{"plain", formatCSV, csvHead + "a,A,1,EUR,,\nb,B,2,EUR,key,draft\n", []string{"2 a A", "3 b B key"}},
		{"without the last line break", formatCSV, csvHead + "a,A,1,EUR,,", []string{"2 a A"}},
		{"from a spreadsheet", formatCSV, "\ufeff" + strings.ReplaceAll(csvHead+"a,A,1,EUR,,\n\nb,B,1,EUR,,\n", "\n", "\r\n"), []string{"2 a A", "4 b B"}},
		{"quoted", formatCSV, csvHead + "a,\"A, the \"\"first\"\"\nin two lines\",1,EUR,,\nb,B,1,EUR,,\n", []string{"2 a A, the \"first\"\nin two lines", "4 b B"}},
		{"a mark too much", formatCSV, csvHead + "a,\"A,1,EUR,,\nb,B,1,EUR,,\nc,C,1,EUR,,\n", []string{"2 ! a quotation mark is not closed", "3 b B", "4 c C"}},
		{"a mark too much before others", formatCSV, csvHead + "a,\"A,1,EUR,,\nb,\"B\",1,EUR,,\nc,C,1,EUR,,\n", []string{"2 ! ", "3 b B", "4 c C"}},
		{"a mark in the middle", formatCSV, csvHead + "a,A \"big\",1,EUR,,\nb,B,1,EUR,,\n", []string{"2 ! bare", "3 b B"}},
		{"fields", formatCSV, csvHead + "a,A,1\nb,B,1,EUR,,,\nc,C,1,EUR,,\n", []string{"2 ! there are 3 fields and 6 columns", "3 ! there are 7", "4 c C"}},
		{"values", formatCSV, csvHead + "a,A,12.99,EUR,,\nb,B,1,euro,,\n,C,1,EUR,,\nd,D,-1,EUR,,\ne,E,1,EUR,,sold\nf,F,99999999999999999999,EUR,,\ng,,1,EUR,,\n",
			[]string{`2 ! price_amount: "12.99" is no`, "3 ! variants[0].price.currency: ", "4 ! variants[0].sku: ", "5 ! variants[0].price: price must not", `6 ! state: "sold" is none`, "7 ! price_amount: ", "8 ! title: "}},
		{"no text", formatCSV, csvHead + "a,\xff,1,EUR,,\nb,\x00,1,EUR,,\nc,C,1,EUR,,\n", []string{"2 ! there is a text", "3 ! there is a text", "4 c C"}},
		{"too long", formatCSV, csvHead + long + "\nb,B,1,EUR,,\n" + long, []string{"2 ! the row is longer", "3 b B", "4 ! the row is longer"}},
		{"objects", formatJSONL, `{"title":"A","variants":[{"sku":"a","price":{"amount":"1","currency":"EUR"}}]}` + "\n\n" +
			`{"title":"B","variants":[{"sku":"b","price":{"amount":2,"currency":"EUR"}}]}`, []string{"1 a A", "3 b B"}},
		{"wrong objects", formatJSONL, "{\nnull\n[]\n{\"titel\":\"A\"}\n{\"title\":\"A\"}\n{\"title\":\"\\u0000\",\"variants\":[{\"sku\":\"a\",\"price\":{\"amount\":1,\"currency\":\"EUR\"}}]}\n" +
			`{"title":"A","variants":[{"sku":"a","price":{"amount":1,"currency":"EUR"}},{"sku":"a","price":{"amount":1,"currency":"EUR"}}]}` + "\n\xff\n" +
			`{"title":"B","variants":[{"sku":"b","price":{"amount":1,"currency":"EUR"}}]}`,
			[]string{"1 ! ", "2 ! ", "3 ! ", "4 ! ", "5 ! variants: ", "6 ! there is a text", `7 ! variants[1].sku: "a" is given twice`, "8 ! ", "9 b B"}},
		{"nothing", formatJSONL, "", nil},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			if piece == 1 && len(c.content) > 1000 {
				continue // It would take long.
			}
			rows := read(t, c.format, c.content, piece)
			ok := len(rows) == len(c.want)
			for i := range rows {
				ok = ok && strings.HasPrefix(rows[i], c.want[i])
			}
			if !ok {
				t.Errorf("%s, in pieces of %d: %q, want %q", c.name, piece, rows, c.want)
			}
		}
	}
}

// A file is never held as a whole.
func TestFileHoldsLittle(t *testing.T) {
	t.Parallel()
	line := []byte("a,A,1,EUR,,\n")
	offset := int64(0)
	f := &file{format: formatCSV, columns: strings.Split(strings.TrimSpace(csvHead), ","), more: func(at int64) ([]byte, error) {
		offset = at
		if at > 3<<20 {
			return nil, nil
		}
		return []byte(strings.Repeat(string(line), 4096)), nil
	}}
	most := 0
	for {
		r, err := f.peek()
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			break
		}
		f.take(r)
		most = max(most, cap(f.buffer))
	}
	if offset < 3<<20 || most > 1<<20 {
		t.Errorf("of %d bytes %d were held", offset, most)
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"": "cannot be read", "sku,title\n": "price_amount is missing", "sku,titel\n": `no column "titel"`, "sku,sku\n": "twice",
		"sku;title;price_amount;price_currency\n": "no column", "\"sku": "cannot be read", "\xff\n": "no column", strings.Repeat("x", maxRow+10): "cannot be read",
		"price_currency, Title ,SKU,price_amount\n": "",
	} {
		f := &file{format: formatCSV, more: func(offset int64) ([]byte, error) { return []byte(content[offset:]), nil }}
		problem, err := f.header()
		if err != nil || (problem == "") != (want == "") || !strings.Contains(problem, want) {
			t.Errorf("%.30q: %q, %v, want %q", content, problem, err, want)
		}
	}
}
