// Package page holds what paged lists share (AIP-158): how large a page is, and a token that continues after the last item.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

const (
	defaultSize = 50
	maxSize     = 200
)

// Size returns how many items a page has for the size that was asked for.
func Size(asked int32) int {
	if asked <= 0 {
		return defaultSize
	}
	return min(int(asked), maxSize)
}

// ErrToken says that a page token is not one that the same list gave out.
var ErrToken = errors.New("page_token: is not one that this list gave out, with the same filter")

// Encode returns the token of the page after an item. It knows its filter again, so that it cannot be used for another list, but does not
// hold it, so that it is short whatever was asked for.
func Encode(last, filter string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(last + "\n" + tag(filter)))
}

// tag is what tells one filter from another: 72 bits of its digest.
func tag(filter string) string {
	if filter == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(filter))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Decode returns the item that the page comes after; "" for the first page.
func Decode(token, filter string) (string, error) {
	if token == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	last, given, ok := strings.Cut(string(text), "\n")
	// A token that somebody made up must not get as far as a database, which takes neither invalid UTF-8 nor zero bytes.
	if err != nil || !ok || given != tag(filter) || !utf8.ValidString(last) || strings.ContainsRune(last, 0) {
		return "", ErrToken
	}
	return last, nil
}

// Cut returns the items of a page of some size, and the token of the next page, "" if there is none. The list was asked for one item more
// than the page has; last is what the token of a page that ends with an item says, as in [Encode].
func Cut[T any](items []T, size int, filter string, last func(T) string) (cut []T, next string) {
	if len(items) <= size {
		return items, ""
	}
	return items[:size], Encode(last(items[size-1]), filter)
}
