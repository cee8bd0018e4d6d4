package identity

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Whoever says the password is forgotten: nothing of her is left but her id, she is signed in nowhere, and others are told. Repeated it does nothing more. Whoever
// registers with her address is somebody else.
func TestEraseAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	at := b.jane(t)
	p := b.party(t, "email", "offline_access")
	token := p.tokens(t, at)
	jane := moduletest.As(t, b.id(t))
	id := b.id(t)
	book := identityv1cleave.NewAddressServiceClient(b.Caller("edge", identityv1cleave.AddressService))
	home := &identityv1.CreateAddressRequest{RequestId: "home", Address: &identityv1.Address{Name: "Jane Doe", Lines: []string{"Main Street 1"}, City: "Springfield", Country: "DE"}}
	_, err := book.CreateAddress(jane, home)
	must(t, err)
	at.ask(t, resetPath, email) // A mail is owed to her.

	if _, err := b.client.EraseAccount(jane, &identityv1.EraseAccountRequest{Password: "not " + password}); connect.CodeOf(err) != connect.CodePermissionDenied || rpc.Reason(err) != "PASSWORD" {
		t.Errorf("with a wrong password: %v", err)
	}
	if b.id(t) != id {
		t.Fatal("she is gone")
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.audit WHERE event = 'password_refused' AND account_id = $1", id); n != 1 {
		t.Errorf("the audit log says %d times that the password was wrong", n)
	}
	for range 2 {
		_, err = b.client.EraseAccount(jane, &identityv1.EraseAccountRequest{Password: password})
		must(t, err)
	}
	for _, table := range moduletest.Query[string](t, b.House, "SELECT format('identity.%I', table_name) FROM information_schema.tables WHERE table_schema = 'identity' AND table_type = 'BASE TABLE'") {
		if found := moduletest.Query[string](t, b.House, "SELECT r::text FROM "+table+" AS r WHERE r::text ILIKE '%jane%' OR r::text LIKE '%Main Street%' OR r::text LIKE '%'||encode('Jane','hex')||'%'"); len(found) > 0 {
			t.Errorf("%s has %q", table, found)
		}
	}
	for table, want := range map[string]int64{"session": 0, "family": 0, "refresh_token": 0, "mail": 0, "link": 0, "address": 0} {
		if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity."+table); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	if is := moduletest.Value[string](t, b.House, "SELECT state FROM identity.account WHERE id = $1", id); is != string(erased) {
		t.Errorf("the account is %s", is)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.cleave_event WHERE type = 'identity.v1.UserErased' AND subject = $1", id); n != 1 {
		t.Errorf("others are told %d times", n)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.audit WHERE event = 'erased' AND account_id = $1", id); n != 1 {
		t.Errorf("the audit log says it %d times", n)
	}

	if got := at.get(t, "/devices"); strings.Contains(got.body, "Jane") || !strings.Contains(got.body, texts["en"]["sign_in"]) {
		t.Errorf("her cookie shows her %s", got.body)
	}
	if _, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("her refresh token: %v", err)
	}
	if got := b.browser(t).signIn(t, email, password); strings.Contains(got.body, "Where you are signed in") {
		t.Error("she signs in")
	}
	if _, err := book.CreateAddress(jane, home); rpc.Reason(err) != "ERASED" {
		t.Errorf("an address of hers: %v", err)
	}
	if _, err := b.desk.UnlockAccount(moduletest.As(t, ""), &identityv1.UnlockAccountRequest{Id: id}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("she is unlocked: %v", err)
	}
	b.jane(t)
	if b.id(t) == id {
		t.Error("who comes back is who has gone")
	}
}

// Passwords cannot be tried with a token that somebody has got hold of, and one that fits does not help any more then.
func TestEraseAccountIsThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	jane := moduletest.As(t, b.id(t))
	for range accountAttempts {
		_, err := b.client.EraseAccount(jane, &identityv1.EraseAccountRequest{Password: "a guess"})
		if rpc.Reason(err) != "PASSWORD" && rpc.Reason(err) != "TOO_MANY_ATTEMPTS" {
			t.Fatal(err)
		}
	}
	if _, err := b.client.EraseAccount(jane, &identityv1.EraseAccountRequest{Password: password}); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("after %d attempts: %v", accountAttempts, err)
	}
}

// The operator has anybody forgotten, in whatever state, also somebody of another issuer, who has no account; and nobody by mistake.
func TestErasePerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	id := b.id(t)
	operator := moduletest.As(t, "")
	_, err := b.desk.LockAccount(operator, &identityv1.LockAccountRequest{Id: id})
	must(t, err)
	book := identityv1cleave.NewAddressServiceClient(b.Caller("edge", identityv1cleave.AddressService))
	stranger := moduletest.As(t, "auth0|4711")
	_, err = book.CreateAddress(stranger, &identityv1.CreateAddressRequest{RequestId: "home", Address: &identityv1.Address{Name: "John", Lines: []string{"Main Street 1"}, City: "Springfield", Country: "DE"}})
	must(t, err)
	if _, err := b.client.EraseAccount(stranger, &identityv1.EraseAccountRequest{Password: password}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a stranger without a password: %v", err)
	}
	for _, subject := range []string{id, "auth0|4711", id, "auth0|4711"} {
		_, err := b.desk.ErasePerson(operator, &identityv1.ErasePersonRequest{Subject: subject})
		must(t, err)
	}
	if left := moduletest.Value[int64](t, b.House, "SELECT (SELECT count(*) FROM identity.address) + (SELECT count(*) FROM identity.account WHERE email IS NOT NULL)"); left != 0 {
		t.Errorf("%d rows are left", left)
	}
	for subject, want := range map[string]connect.Code{"usr_mistyped": connect.CodeNotFound, "gst_1": connect.CodeInvalidArgument, "John@example.com": connect.CodeInvalidArgument} {
		if _, err := b.desk.ErasePerson(operator, &identityv1.ErasePersonRequest{Subject: subject}); connect.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", subject, err, want)
		}
	}
	if told := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.cleave_event WHERE type = 'identity.v1.UserErased'"); told != 2 {
		t.Errorf("others are told %d times", told)
	}
	b.Exec(t, "INSERT INTO identity.account (id, state, roles) VALUES ('usr_gone', 'erased', '[]')")
	if _, err := b.Hosts["identity"].DB.Pool().Exec(t.Context(), "UPDATE account SET name = 'Jane' WHERE id = 'usr_gone'"); err == nil || !strings.Contains(err.Error(), "erased_is_nobody") {
		t.Errorf("somebody who is forgotten gets a name: %v", err)
	}
}

// An address that somebody wants for an account is forgotten by itself, and the account stays.
func TestEraseWantedEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jane := b.jane(t)
	jane.change(t, "email", url.Values{"email": {"grace@example.org"}, "password": {password}})
	if m := b.mail(t); m.GetAddress() != "grace@example.org" { // It brings a link.
		t.Fatalf("%v is mailed", m)
	}
	operator := personv1cleave.NewPersonServiceClient(b.Caller("operator", personv1cleave.PersonService.Of("identity")).At("identity"))
	_, err := operator.EraseEmail(moduletest.As(t, ""), &personv1.EraseEmailRequest{Email: "Grace@example.org", ErasureId: "ers_" + strings.Repeat("0", 32)})
	must(t, err)
	if n := moduletest.Value[int64](t, b.House, "SELECT (SELECT count(*) FROM identity.link AS r WHERE r::text LIKE '%grace%') + (SELECT count(*) FROM identity.mail AS r WHERE r::text LIKE '%grace%')"); n != 0 {
		t.Errorf("%d rows have the address", n)
	}
	b.id(t) // Jane is there.
}

// What she allows an app while she is being erased is gone with her, whichever comes first.
func TestErasePersonWhoAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, holds string // A table that holds up whichever comes first, when it has done most.
		erasedFirst bool
	}{{"before", "code", false}, {"meanwhile", "mail", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Trusted = false })
			at := b.jane(t)
			id := b.id(t)
			asked := at.get(t, b.party(t).url())
			held, err := b.Hosts["identity"].DB.Pool().Begin(t.Context())
			must(t, err)
			defer func() { _ = held.Rollback(t.Context()) }()
			_, err = held.Exec(t.Context(), "LOCK TABLE "+c.holds+" IN SHARE MODE")
			must(t, err)
			steps := []func(){
				func() { at.submit(t, asked, authorizePath, url.Values{"decision": {"allow"}}) },
				func() {
					if _, err := b.desk.ErasePerson(moduletest.As(t, ""), &identityv1.ErasePersonRequest{Subject: id}); err != nil {
						t.Error(err)
					}
				},
			}
			if c.erasedFirst {
				slices.Reverse(steps)
			}
			var both sync.WaitGroup
			for i, step := range steps {
				both.Go(step)
				moduletest.Eventually(t, "each waits", func() bool {
					return moduletest.Value[int](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > i
				})
			}
			must(t, held.Commit(t.Context()))
			both.Wait()
			for _, table := range []string{"session", "family", "consent"} {
				if n := moduletest.Value[int](t, b.House, "SELECT count(*) FROM identity."+table); n != 0 {
					t.Errorf("%s has %d rows of hers", table, n)
				}
			}
		})
	}
}

// What is somebody's is found by an index, however much there is of others.
func TestHoldingsHaveAnIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx, err := b.Hosts["identity"].DB.Pool().Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "SET LOCAL enable_seqscan = off") // What is planned all the same has no other way.
	must(t, err)
	for _, h := range holdings {
		rows, _ := tx.Query(t.Context(), "EXPLAIN SELECT FROM "+h.Table+" WHERE "+strings.ReplaceAll(h.Of, "$1", "'usr_1'"))
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		if all := strings.Join(plan, "\n"); strings.Contains(all, "Seq Scan") {
			t.Errorf("%s is read as a whole:\n%s", h.Table, all)
		}
	}
}
