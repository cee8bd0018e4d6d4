package notifications

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// forgotten is the module at work with one that says who is forgotten.
func forgotten(t *testing.T) *bundle {
	t.Helper()
	w := &writer{}
	h := moduletest.Start(t, Module, orders(&guests{addresses: map[string]string{"ord_9": "grace@example.org"}}), w.module())
	for _, publisher := range []string{"identity", "orders"} {
		moduletest.Eventually(t, "it listens to "+publisher, func() bool {
			return moduletest.Value[int64](t, h, "SELECT count(*) FROM "+publisher+".cleave_subscriber WHERE name = 'notifications'") == 1
		})
	}
	return &bundle{House: h}
}

// say has identity publish something about somebody, and waits until it is applied.
func (b *bundle) say(t *testing.T, subject string, message proto.Message) {
	t.Helper()
	host := b.Hosts["identity"]
	must(t, host.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return host.Events.Publish(ctx, tx, subject, 1, message)
	}))
	moduletest.Eventually(t, "what identity says is applied", func() bool {
		return moduletest.Value[bool](t, b.House, "SELECT (SELECT count(*) FROM identity.cleave_event) = (SELECT count(*) FROM notifications.cleave_inbox WHERE publisher = 'identity')")
	})
}

func (b *bundle) states(t *testing.T) []string {
	t.Helper()
	return moduletest.Query[string](t, b.House, "SELECT concat_ws(' ', recipient, template, state) FROM notifications.message ORDER BY id")
}

// Whoever is forgotten has no messages and no mails any more, another has; and what comes later, or again, is for nobody. There is a message because of each
// event all the same.
func TestForgottenRecipient(t *testing.T) {
	t.Parallel()
	b := forgotten(t)
	for _, user := range []string{"usr_1", "usr_2"} {
		b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: user})
	}
	b.say(t, "mai_1", &identityv1.MailOwed{MailId: "mai_1", UserId: "usr_1"})
	moduletest.Eventually(t, "three mails are sent", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM notifications.message WHERE state = 'sent'") == 3
	})
	b.say(t, "usr_1", &identityv1.UserErased{UserId: "usr_1"})
	want := []string{" account suppressed", " order_confirmed suppressed", "usr_2 order_confirmed sent"}
	if got := slices.Sorted(slices.Values(b.states(t))); !slices.Equal(got, want) {
		t.Errorf("the messages are %q, want %q", got, want)
	}
	if got := b.recipients(t); !slices.Equal(got, []string{"usr_2"}) {
		t.Errorf("the mailbox holds mails to %q", got)
	}
	b.publish(t, &ordersv1.OrderExpired{OrderId: "ord_1", UserId: "usr_1"}, &ordersv1.OrderExpired{OrderId: "ord_1", UserId: "usr_2"})
	b.replay(t, true)
	moduletest.Eventually(t, "the other hears of the next one", func() bool { return slices.Contains(b.states(t), "usr_2 order_expired sent") })
	want = []string{" account suppressed", " order_confirmed suppressed", " order_expired suppressed", "usr_2 order_confirmed sent", "usr_2 order_expired sent"}
	if got := slices.Sorted(slices.Values(b.states(t))); !slices.Equal(got, want) {
		t.Errorf("later the messages are %q, want %q", got, want)
	}
}

// A mail that is on its way to the mailbox when its recipient is forgotten does not come to stay there, and what was being sent stays for nobody.
func TestForgottenWhileAMailIsOnItsWay(t *testing.T) {
	t.Parallel()
	b := forgotten(t)
	host := b.Hosts["notifications"]
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body, next_time)
		SELECT 'msg_' || n, 'evt_' || n, 'order_expired', 'mailbox', 'usr_' || n, 'sending', 'Hello', 'Jane', now() + interval '1 hour' FROM generate_series(1, 2) AS n`)
	b.say(t, "usr_1", &identityv1.UserErased{UserId: "usr_1"})
	mails := []mail{{messageID: "msg_1", recipient: "usr_1", body: "Jane"}, {messageID: "msg_2", recipient: "usr_2", body: "John"}}
	for _, err := range (mailbox{host.DB.Pool()}).send(t.Context(), mails) {
		must(t, err)
	}
	if got := b.recipients(t); !slices.Equal(got, []string{"usr_2"}) {
		t.Errorf("the mailbox holds mails to %q", got)
	}
	// One that was queued by a transaction that had not seen the erasure is not sent, and keeps nothing.
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body, next_time)
		VALUES ('msg_3', 'evt_3', 'order_expired', 'mailbox', 'usr_1', 'queued', 'Hello', 'Jane', now())`)
	moduletest.Eventually(t, "it is made one to nobody", func() bool {
		return moduletest.Value[string](t, b.House, "SELECT concat_ws(' ', state, recipient || subject || body) FROM notifications.message WHERE id = 'msg_3'") == "suppressed "
	})
	// The other way round: the mail is there, but not committed yet.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tx, err := host.DB.Pool().Begin(ctx)
	must(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	_, err = tx.Exec(ctx, "INSERT INTO mail (message_id, recipient, subject, body) SELECT id, recipient, subject, body FROM message WHERE id = 'msg_2' FOR SHARE")
	must(t, err)
	erased := make(chan error, 1)
	go func() { // Not by an event: none is delivered while somebody is still writing.
		erased <- host.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return host.People.Erase(ctx, tx, "usr_2") })
	}()
	moduletest.Eventually(t, "the erasure waits", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
	must(t, tx.Commit(ctx))
	must(t, <-erased)
	if got := b.recipients(t); len(got) != 0 {
		t.Errorf("the mailbox holds mails to %q", got)
	}
}

// What a guest was written is erased by his address, and counts as not sent.
func TestForgottenGuest(t *testing.T) {
	t.Parallel()
	b := forgotten(t)
	b.publishOf(t, "ord_9", &ordersv1.OrderConfirmed{OrderId: "ord_9", UserId: "gst_1"})
	moduletest.Eventually(t, "the guest is written to", func() bool { return len(b.recipients(t)) == 1 && b.states(t)[0] == "gst_1 order_confirmed sent" })
	operator := personv1cleave.NewPersonServiceClient(b.Caller("operator", personv1cleave.PersonService.Of("notifications")).At("notifications"))
	_, err := operator.EraseEmail(moduletest.As(t, ""), &personv1.EraseEmailRequest{Email: "Grace@example.org", ErasureId: "ers_00000000000000000000000000000000"})
	must(t, err)
	b.replay(t, true)
	if got := b.states(t); !slices.Equal(got, []string{" order_confirmed suppressed"}) || len(b.recipients(t)) != 0 {
		t.Errorf("the messages are %q, the mails %q", got, b.recipients(t))
	}
}

// What was written to a guest whose order an account has claimed is forgotten with the account.
func TestForgottenGuestWithAnAccount(t *testing.T) {
	t.Parallel()
	b := forgotten(t)
	b.publishOf(t, "ord_9", &ordersv1.OrderConfirmed{OrderId: "ord_9", UserId: "gst_1"})
	b.publishOf(t, "ord_8", &ordersv1.OrderConfirmed{OrderId: "ord_8", UserId: "usr_2"})
	moduletest.Eventually(t, "both are written to", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM notifications.message WHERE state = 'sent'") == 2
	})
	b.publishOf(t, "usr_1", &ordersv1.ContactsErased{UserId: "usr_1"}, &ordersv1.ContactsErased{UserId: "usr_1", OrderIds: []string{"ord_8", "ord_9"}})
	moduletest.Eventually(t, "it is forgotten", func() bool { return slices.Equal(b.recipients(t), []string{"usr_2"}) })
	if got := slices.Sorted(slices.Values(b.states(t))); !slices.Equal(got, []string{" order_confirmed suppressed", "usr_2 order_confirmed sent"}) {
		t.Errorf("the messages are %q", got)
	}
}
