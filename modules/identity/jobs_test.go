package identity

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// An address that nobody confirms is forgotten, but not while somebody can: who has asked again has a mail or a link.
func TestPurge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &service{store: storeOf(b)}
	accounts := func() int64 { return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.account") }
	b.browser(t).ask(t, registrationPath, email)
	if _, err := b.desk.UnlockAccount(moduletest.As(t, ""), &identityv1.UnlockAccountRequest{Id: b.id(t)}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("an account that nobody has confirmed is unlocked: %v", err)
	}
	b.Exec(t, "UPDATE identity.account SET create_time = now() - interval '8 days'")
	must(t, s.purge(t.Context()))
	if accounts() != 1 {
		t.Fatal("an account is gone to which a mail is owed")
	}
	b.link(t)
	b.Exec(t, "UPDATE identity.mail SET expire_time = now()")
	must(t, s.purge(t.Context()))
	if accounts() != 1 {
		t.Fatal("an account is gone to which there is a link")
	}
	b.Exec(t, "UPDATE identity.link SET expire_time = now()")

	// She confirms it while it is being removed.
	tx, err := b.Hosts["identity"].DB.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE account SET state = 'active'")
	must(t, err)
	purged := make(chan error, 1)
	go func() { purged <- s.purge(t.Context()) }()
	for moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM account%'") == 0 {
		time.Sleep(time.Millisecond)
	}
	must(t, tx.Commit(t.Context()))
	must(t, <-purged)
	if accounts() != 1 {
		t.Fatal("an account is gone that was just confirmed")
	}

	b.Exec(t, "UPDATE identity.account SET state = 'invited'")
	b.Exec(t, "INSERT INTO identity.attempt (key, count, since) SELECT convert_to(i::text, 'UTF8'), 1, now() - interval '1 hour' FROM generate_series(0, $1) AS i", purgeBatch)
	must(t, s.purge(t.Context()))
	if accounts() != 0 {
		t.Error("an account that nobody can confirm is kept")
	}
	if rows := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.attempt WHERE since < now() - interval '30 minutes'"); rows != 0 {
		t.Errorf("%d old attempts are left", rows)
	}
}
