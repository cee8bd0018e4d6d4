// Package mailaddr has the form in which the house knows an e-mail address: what one module has written down, another finds by it.
package mailaddr

import (
	"errors"
	"regexp"
	"strings"
)

// maxLength is the most of an address, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const maxLength = 254

// pattern is what browsers take, and contracts that say email (HTML, section 4.10.5.1.5). It is all ASCII: a letter of another alphabet that
// looks like one of these, or becomes one when it is made small, is another address.
var pattern = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$")

var errNone = errors.New("this is no e-mail address")

// Fold returns an address, that was checked before, as it is compared: in small letters. Nobody has two mailboxes that differ in that.
func Fold(address string) string { return strings.ToLower(address) }

// Normal returns what somebody has typed as it is compared. The error does not repeat it.
func Normal(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLength || !pattern.MatchString(text) {
		return "", errNone
	}
	return Fold(text), nil
}
