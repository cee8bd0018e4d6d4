package reference

import (
	"html/template"
	"strings"
	"unicode"
)

// prose returns a description as HTML. Of Markdown it knows what comments of contracts have: paragraphs, lists,
// `code` and **stress**.
func prose(text string) template.HTML {
	var out strings.Builder
	for _, block := range strings.Split(strings.ReplaceAll(strings.TrimSpace(text), "\r\n", "\n"), "\n\n") {
		var lines, items []string
		for line := range strings.SplitSeq(block, "\n") {
			line = strings.TrimSpace(line)
			switch item, found := strings.CutPrefix(line, "- "); {
			case found:
				items = append(items, item)
			case len(items) > 0:
				items[len(items)-1] += " " + line
			case line != "":
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			out.WriteString("<p>" + inline(strings.Join(lines, " ")) + "</p>")
		}
		if len(items) > 0 {
			out.WriteString("<ul>")
			for _, item := range items {
				out.WriteString("<li>" + inline(item) + "</li>")
			}
			out.WriteString("</ul>")
		}
	}
	return template.HTML(out.String())
}

// inline escapes a text and sets its code and stress.
func inline(text string) string {
	return between(template.HTMLEscapeString(text), "`", "code", func(text string) string {
		return between(text, "**", "strong", func(text string) string { return text })
	})
}

// between puts what is between two marks into an element, and does something with the rest.
func between(text, mark, element string, rest func(string) string) string {
	parts := strings.Split(text, mark)
	var out strings.Builder
	for i, part := range parts {
		switch {
		case i%2 == 0:
			out.WriteString(rest(part))
		case i == len(parts)-1: // Nothing closes it.
			out.WriteString(mark + rest(part))
		default:
			out.WriteString("<" + element + ">" + part + "</" + element + ">")
		}
	}
	return out.String()
}

// words makes a title of an operation's id: CatalogService_ListProducts is "List products".
func words(id string) string {
	var out strings.Builder
	for i, r := range id[strings.LastIndexAny(id, "_.")+1:] {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r):
			out.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}

// slug makes an anchor of a name.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, name)
}
