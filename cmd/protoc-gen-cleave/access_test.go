package main

import (
	"strings"
	"testing"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// TestCheckAccess holds that a rule that is not whole stops the generation, and with it make check.
func TestCheckAccess(t *testing.T) {
	t.Parallel()
	const (
		public   = platformv1.Visibility_VISIBILITY_PUBLIC
		internal = platformv1.Visibility_VISIBILITY_INTERNAL
		operator = platformv1.Visibility_VISIBILITY_OPERATOR
		anyone   = platformv1.Who_WHO_ANYONE
		signedIn = platformv1.Who_WHO_SIGNED_IN
		inRole   = platformv1.Who_WHO_ROLE
		guest    = platformv1.Who_WHO_GUEST
	)
	staff, own := []string{"staff"}, &platformv1.Ownership{}
	for _, c := range []struct {
		name string
		rule *platformv1.Access
		says string // "" if nothing is wrong.
	}{
		{"none", nil, "has no access rule"},
		{"empty", &platformv1.Access{}, "has no access rule"},
		{"who without where", &platformv1.Access{Who: anyone}, "has no access rule"},
		{"internal", &platformv1.Access{Visibility: internal}, ""},
		{"operator", &platformv1.Access{Visibility: operator}, ""},
		{"internal with a role", &platformv1.Access{Visibility: internal, Roles: staff}, "are for public methods"},
		{"operator with an owner", &platformv1.Access{Visibility: operator, Ownership: own}, "are for public methods"},
		{"public", &platformv1.Access{Visibility: public}, "say who may call"},
		{"anyone", &platformv1.Access{Visibility: public, Who: anyone}, ""},
		{"anyone with a scope", &platformv1.Access{Visibility: public, Who: anyone, Scope: "orders:read"}, "neither a scope nor anything of his own"},
		{"anyone with an owner", &platformv1.Access{Visibility: public, Who: anyone, Ownership: own}, "neither a scope nor anything of his own"},
		{"signed in", &platformv1.Access{Visibility: public, Who: signedIn, Scope: "orders:read", Ownership: own}, ""},
		{"signed in with a role", &platformv1.Access{Visibility: public, Who: signedIn, Roles: staff}, "belong together"},
		{"guest", &platformv1.Access{Visibility: public, Who: guest, Scope: "orders:read", Ownership: own}, ""},
		{"guest without an owner", &platformv1.Access{Visibility: public, Who: guest}, "needs ownership"},
		{"role", &platformv1.Access{Visibility: public, Who: inRole, Roles: staff}, ""},
		{"role without roles", &platformv1.Access{Visibility: public, Who: inRole}, "belong together"},
	} {
		err := checkAccess(c.rule)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}
