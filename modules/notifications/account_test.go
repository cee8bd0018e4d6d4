package notifications

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1cleave"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// writer stands in for the module identity: it writes every mail but those to nobody, when it is there.
type writer struct{ away atomic.Int32 } // How many more calls it does not answer.

func (w *writer) WriteMails(_ context.Context, r *identityv1.WriteMailsRequest) (*identityv1.WriteMailsResponse, error) {
	if w.away.Add(-1) >= 0 {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("identity is away"))
	}
	answer := &identityv1.WriteMailsResponse{}
	for _, mailID := range r.GetMailIds() {
		if mailID != "mai_nobody" {
			answer.Mails = append(answer.Mails, &identityv1.Mail{MailId: mailID, Address: "jane@example.com", Subject: "A new password", Text: "the secret link of " + mailID})
		}
	}
	return answer, nil
}

// module returns the module that w stands in for.
func (w *writer) module() module.Module {
	return module.Module{
		Name:   "identity",
		Serves: []*rpc.Service{identityv1cleave.MailService},
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte(
			"-- +goose Up\nCREATE TABLE account (id text);\n-- +goose Down\nDROP TABLE account;\n")}},
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{identityv1cleave.NewMailServiceHandler(w)}, nil
		},
	}
}

// What is mailed about an account is written when it is sent, and is nowhere but in the mail. A mail to nobody is suppressed, and while
// identity is away the mails wait.
func TestMailsAboutAccounts(t *testing.T) {
	t.Parallel()
	w := &writer{}
	w.away.Store(1)
	h := moduletest.Start(t, Module, orders(&guests{}), w.module())
	host := h.Hosts["identity"]
	must(t, host.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if err := host.Events.Publish(ctx, tx, "mai_nobody", 1, &identityv1.MailOwed{MailId: "mai_nobody"}); err != nil {
			return err
		}
		return host.Events.Publish(ctx, tx, "mai_1", 1, &identityv1.MailOwed{MailId: "mai_1", UserId: "usr_1"})
	}))
	moduletest.Eventually(t, "one is sent, and one suppressed", func() bool {
		h.Exec(t, "UPDATE notifications.message SET next_time = now() WHERE state = 'sending'")
		return moduletest.Value[int64](t, h, "SELECT count(*) FROM notifications.message WHERE (about, state) IN (('mai_1', 'sent'), ('mai_nobody', 'suppressed'))") == 2
	})
	box := notificationsv1cleave.NewMailboxServiceClient(h.Caller("operator", notificationsv1cleave.MailboxService))
	hers, err := box.ListMails(moduletest.As(t, ""), &notificationsv1.ListMailsRequest{Recipient: "usr_1"})
	must(t, err)
	all, err := box.ListMails(moduletest.As(t, ""), &notificationsv1.ListMailsRequest{})
	must(t, err)
	if len(hers.GetMails()) == 0 || len(all.GetMails()) != len(hers.GetMails()) || hers.GetMails()[0].GetBody() != "the secret link of mai_1" {
		t.Errorf("the mails are %v of %v", hers, all)
	}
	if told := moduletest.Value[int64](t, h, "SELECT count(*) FROM notifications.message WHERE message::text ~ 'secret|jane'"); told > 0 {
		t.Error("what is mailed, or where to, is in the messages, too")
	}
}

// channelOf remembers where mails go.
type channelOf map[string]string

func (c channelOf) send(_ context.Context, mails []mail) []error {
	for _, m := range mails {
		c[m.messageID] = m.address
	}
	return make([]error, len(mails))
}

// A channel learns the address of whoever is mailed about his account, or about what he ordered as a guest.
func TestChannelLearnsWhereMailsGo(t *testing.T) {
	t.Parallel()
	went := channelOf{}
	s := &service{mails: &writer{}, guests: &guests{addresses: map[string]string{"ord_1": "grace@example.org"}}, sender: went, log: slog.New(slog.DiscardHandler)}
	ready, _, err := s.write(t.Context(), []due{
		{mail: mail{messageID: "msg_1", recipient: "usr_1", about: "mai_1"}, template: accountTemplate},
		{mail: mail{messageID: "msg_2", recipient: "gst_1", about: "ord_1"}},
	})
	must(t, err)
	var mails []mail
	for _, m := range ready {
		mails = append(mails, m.mail)
	}
	must(t, errors.Join(s.deliver(t.Context(), mails)...))
	if went["msg_1"] != "jane@example.com" || went["msg_2"] != "grace@example.org" {
		t.Errorf("they went to %v", went)
	}
}
