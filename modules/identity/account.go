package identity

import (
	"errors"
	"strings"
	"unicode/utf8"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
)

// state is where an account is in its life.
type state string

const (
	invited state = "invited"
	active  state = "active"
	locked  state = "locked"
	erased  state = "erased"
)

// transitions says which states follow a state.
var transitions = map[state][]state{
	invited: {active, erased},
	active:  {locked, erased},
	locked:  {active, erased},
	erased:  {},
}

var messageStates = map[state]identityv1.AccountState{
	invited: identityv1.AccountState_ACCOUNT_STATE_INVITED,
	active:  identityv1.AccountState_ACCOUNT_STATE_ACTIVE,
	locked:  identityv1.AccountState_ACCOUNT_STATE_LOCKED,
	erased:  identityv1.AccountState_ACCOUNT_STATE_ERASED,
}

// customerRole is what everybody who registers is.
const customerRole = "customer"

const (
	maxName = 100
	// The least and the most of a password, in characters and bytes. Long ones are hashed no slower than short ones.
	minPassword = 12
	maxPassword = 512
)

var (
	errPassword = errors.New("the password is too short or too long")
	errName     = errors.New("the name is too long")
)

// checkPassword says what is wrong with a new password. What counts is its length (NIST SP 800-63B): no rule asks for odd characters.
func checkPassword(password, email string) error {
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword || strings.EqualFold(password, email) || strings.ContainsRune(password, 0) {
		return errPassword
	}
	return nil
}

// checkName says what is wrong with how somebody is called, which nobody has to say.
func checkName(name string) error {
	if len(name) > maxName || strings.ContainsAny(name, "\x00\r\n<>") || !utf8.ValidString(name) {
		return errName
	}
	return nil
}
