package identity

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// Somebody keeps addresses, of which others know nothing, and not more than there may be.
func TestAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	book := identityv1cleave.NewAddressServiceClient(b.Caller("edge", identityv1cleave.AddressService))
	jane, john := moduletest.As(t, "usr_jane"), moduletest.As(t, "usr_john")
	home := func(n int) *identityv1.CreateAddressRequest {
		return &identityv1.CreateAddressRequest{RequestId: fmt.Sprint("home ", n), Address: &identityv1.Address{
			Id: "adr_chosen", Name: "Jane Doe", Lines: []string{"Main Street 1", "Second floor"}, PostalCode: "12345", City: "Springfield", Country: "DE",
		}}
	}
	first, err := book.CreateAddress(jane, home(1))
	must(t, err)
	again, err := book.CreateAddress(jane, home(1))
	must(t, err)
	if id := first.GetAddress().GetId(); id == "adr_chosen" || again.GetAddress().GetId() != id {
		t.Errorf("the same request makes %v and %v", first, again)
	}
	listed, err := book.ListAddresses(jane, &identityv1.ListAddressesRequest{})
	must(t, err)
	if len(listed.GetAddresses()) != 1 || listed.GetAddresses()[0].GetLines()[1] != "Second floor" {
		t.Errorf("she has %v", listed)
	}
	others, err := book.ListAddresses(john, &identityv1.ListAddressesRequest{})
	must(t, err)
	if len(others.GetAddresses()) != 0 {
		t.Errorf("he has %v", others)
	}
	remove := &identityv1.DeleteAddressRequest{RequestId: "remove", Id: first.GetAddress().GetId()}
	if _, err := book.DeleteAddress(john, remove); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("he deletes hers: %v", err)
	}
	for range 2 { // The answer may be lost.
		_, err = book.DeleteAddress(jane, remove)
		must(t, err)
	}
	for n := range maxAddresses {
		_, err := book.CreateAddress(jane, home(100+n))
		must(t, err)
	}
	if _, err := book.CreateAddress(jane, home(1000)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one more than there may be: %v", err)
	}
	for name, change := range map[string]func(*identityv1.Address){
		"no country": func(a *identityv1.Address) { a.Country = "Germany" }, "no lines": func(a *identityv1.Address) { a.Lines = nil }, "many lines": func(a *identityv1.Address) { a.Lines = make([]string, 9) },
	} {
		r := home(2000)
		change(r.Address)
		if _, err := book.CreateAddress(john, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An app shows somebody where she is signed in, and signs her out there.
func TestSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := b.jane(t)
	list := identityv1cleave.NewSessionServiceClient(b.Caller("edge", identityv1cleave.SessionService))
	jane := moduletest.As(t, b.id(t))
	found, err := list.ListSessions(jane, &identityv1.ListSessionsRequest{})
	must(t, err)
	if len(found.GetSessions()) != 1 {
		t.Fatalf("she is signed in at %v", found)
	}
	end := &identityv1.DeleteSessionRequest{RequestId: "end", Id: found.GetSessions()[0].GetId()}
	if _, err := list.DeleteSession(moduletest.As(t, "usr_john"), end); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("he signs her out: %v", err)
	}
	_, err = list.DeleteSession(jane, end)
	must(t, err)
	if got := at.get(t, devicesPath); got.status != 200 || len(hidden.FindAllString(got.body, -1)) == 0 {
		t.Errorf("she sees %d", got.status)
	}
	found, err = list.ListSessions(jane, &identityv1.ListSessionsRequest{})
	must(t, err)
	if len(found.GetSessions()) != 0 {
		t.Errorf("she is still signed in at %v", found)
	}
}
