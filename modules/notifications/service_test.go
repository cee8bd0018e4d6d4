package notifications

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/notifications/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/moduletest"
)

const (
	isSent   = notificationsv1.MessageState_MESSAGE_STATE_SENT
	isFailed = notificationsv1.MessageState_MESSAGE_STATE_FAILED
)

func TestEveryEventLeadsToOneMail(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publish(t,
		&ordersv1.OrderPlaced{OrderId: "ord_1", UserId: "usr_1"}, // Nobody is told of it.
		&ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"},
		&ordersv1.OrderRejected{OrderId: "ord_2", UserId: "usr_1", Reason: "OUT_OF_STOCK"},
		&ordersv1.OrderCancelled{OrderId: "ord_3", UserId: "usr_1"},
		&ordersv1.OrderExpired{OrderId: "ord_4", UserId: "usr_1"})
	messages := b.settled(t, "usr_1", 4, isSent)
	var templates, ids []string
	for _, m := range messages {
		templates, ids = append(templates, m.GetTemplate()), append(ids, m.GetId())
	}
	if want := []string{"order_expired", "order_cancelled", "order_rejected", "order_confirmed"}; !slices.Equal(templates, want) {
		t.Errorf("messages %q, want the newest first: %q", templates, want)
	}
	mails := b.mails(t)
	slices.Sort(mails)
	slices.Sort(ids)
	if !slices.Equal(mails, ids) {
		t.Errorf("mails %q, want one for each of %q", mails, ids)
	}
	var pgErr *pgconn.PgError
	if _, err := b.Hosts["notifications"].DB.Pool().Exec(t.Context(), "UPDATE mail SET body = ''"); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
		t.Errorf("a mail is changed: %v, want insufficient privilege", err)
	}
}

// The inbox keeps a repetition away; where it is told to let it through, the key of the message does.
func TestRepeatedEventLeadsToNoOtherMail(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"})
	first := b.settled(t, "usr_1", 1, isSent)[0]
	for _, force := range []bool{false, true} {
		if n := b.replay(t, force); n != 1 {
			t.Fatalf("%d events were delivered again, want 1", n)
		}
	}
	b.publish(t, &ordersv1.OrderExpired{OrderId: "ord_2", UserId: "usr_1"}) // Whatever was owed before this is sent by now.
	last := b.settled(t, "usr_1", 2, isSent)
	if last[1].GetId() != first.GetId() {
		t.Errorf("the message is %s, want still %s", last[1].GetId(), first.GetId())
	}
	want := []string{first.GetId(), last[0].GetId()}
	if mails := b.mails(t); !slices.Equal(mails, want) {
		t.Errorf("mails %q, want %q", mails, want)
	}
}

// What is older than customers look back is removed with its mails, but for what somebody still has to see to. An event that is delivered
// again is applied no more than before; by force it is.
func TestOldMessagesAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publish(t,
		&ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"},
		&ordersv1.OrderConfirmed{OrderId: "ord_2", UserId: "usr_1"},
		&ordersv1.OrderConfirmed{OrderId: "ord_3", UserId: "usr_1"})
	messages := b.settled(t, "usr_1", 3, isSent)
	young, stuck, old := messages[0].GetId(), messages[1].GetId(), messages[2].GetId()
	b.Exec(t, "UPDATE notifications.message SET create_time = now() - $1::interval WHERE id = $2", retention-time.Hour, young)
	b.Exec(t, "UPDATE notifications.message SET create_time = now() - $1::interval, state = 'queued', next_time = now() + interval '1 hour' WHERE id = $2", retention+time.Hour, stuck)
	b.Exec(t, "UPDATE notifications.message SET create_time = now() - $1::interval WHERE id = $2", retention+time.Hour, old)
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body, create_time)
		SELECT 'msg_' || n, 'evt_' || n, 'order_expired', 'mailbox', 'usr_2', 'failed', '', '', now() - $1::interval FROM generate_series(1, $2) AS n`,
		retention+time.Hour, 2*purgeBatch+1)
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body, create_time, next_time)
		SELECT 'msg_' || n, 'evt_' || n, 'order_expired', 'mailbox', 'usr_9', 'sending', '', '', now() - $1::interval, now() + interval '1 hour' FROM generate_series(-$2::int, -1) AS n`,
		retention+time.Hour, purgeBatch)
	s := &service{store: db.NewStore(b.Hosts["notifications"].DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) })}
	must(t, s.purge(t.Context()))
	left := moduletest.Query[string](t, b.House, "SELECT id FROM notifications.message WHERE recipient <> 'usr_9' ORDER BY id DESC")
	mails := b.mails(t)
	slices.Sort(mails)
	if want := []string{young, stuck}; !slices.Equal(left, want) || !slices.Equal(mails, []string{stuck, young}) {
		t.Fatalf("%d messages are left, %.10q, with the mails %q, want %q", len(left), left, mails, want)
	}
	b.replay(t, false)
	b.publish(t, &ordersv1.OrderExpired{OrderId: "ord_4", UserId: "usr_3"}) // Whatever was owed before this is there by now.
	b.settled(t, "usr_3", 1, isSent)
	if got := b.list(t, "usr_1"); len(got) != 2 {
		t.Errorf("after a replay the customer has %v, want what was left", got)
	}
	b.replay(t, true)
	moduletest.Eventually(t, "what was removed is sent again by force", func() bool { return len(b.list(t, "usr_1")) == 3 })
}

func TestFailedSendIsRepeatedUnderTheSameID(t *testing.T) {
	t.Parallel()
	down := errors.New("the channel is down")
	channel := &moody{errors: []error{down, down}}
	b := setup(t, through(channel))
	b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"})
	id := b.hurried(t, isSent).GetId()
	got, _ := channel.attempts()
	if want := []string{id, id, id}; !slices.Equal(got, want) {
		t.Errorf("it was sent as %q, want %q", got, want)
	}
}

// What a process was sending when it was killed, and what it had yet to send, is sent by whoever is there.
func TestMessagesOfAKilledProcessAreSent(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body)
		SELECT 'msg_' || state, 'evt_' || state, 'order_expired', 'mailbox', 'usr_1', state, '', '' FROM unnest($1::text[]) AS state`,
		[]string{string(queued), string(sending), string(failed)})
	moduletest.Eventually(t, "they are sent", func() bool {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM notifications.message WHERE state = 'sent'") == 2
	})
	mails := b.mails(t)
	slices.Sort(mails)
	if want := []string{"msg_queued", "msg_sending"}; !slices.Equal(mails, want) { // What was given up stays so.
		t.Errorf("mails %q, want %q", mails, want)
	}
}

// Many messages are sent a hundred at a time, and one that the channel does not take keeps no other.
func TestMessagesAreSentTogether(t *testing.T) {
	t.Parallel()
	channel := &moody{errors: []error{nil, errRefused, errors.New("the mailbox is full")}}
	b := setup(t, through(channel))
	const many = 2*maxTaken + 1
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body)
		SELECT 'msg_' || n, 'evt_' || n, 'order_expired', 'mailbox', 'usr_1', 'queued', '', '' FROM generate_series(1, $1) AS n`, many)
	states := func() map[string]int64 {
		counts := map[string]int64{}
		for _, is := range moduletest.Query[string](t, b.House, "SELECT state FROM notifications.message") {
			counts[is]++
		}
		return counts
	}
	want := map[string]int64{string(sent): many - 2, string(failed): 1, string(sending): 1}
	moduletest.Eventually(t, "all are sent that can be", func() bool { return maps.Equal(states(), want) })
	if ids, calls := channel.attempts(); len(ids) != many || calls != 3 {
		t.Errorf("%d were sent by %d calls of the channel, want %d by 3", len(ids), calls, many)
	}
}

// tried returns how often the channel was given a mail.
func tried(channel *moody) int {
	ids, _ := channel.attempts()
	return len(ids)
}

// A message that cannot be sent, or could not for too long, is given up, and says so.
func TestMessageIsGivenUp(t *testing.T) {
	t.Parallel()
	down := errors.New("the channel is down")
	for name, answers := range map[string][]error{
		"refused": {fmt.Errorf("no such mailbox: %w", errRefused)},
		"late":    {down, down},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := &moody{errors: answers}
			b := setup(t, through(channel))
			b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"})
			moduletest.Eventually(t, "it was tried once", func() bool { return tried(channel) > 0 })
			b.Exec(t, "UPDATE notifications.message SET create_time = now() - interval '21 hours'")
			b.hurried(t, isFailed)
			if got := tried(channel); got != len(answers) {
				t.Errorf("it was tried %d times, want %d", got, len(answers))
			}
		})
	}
}

func TestListMessagesPagesThroughOwnMessages(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	var events []proto.Message
	for _, user := range []string{"usr_1", "usr_2", "usr_1", "usr_1"} {
		events = append(events, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: user})
	}
	b.publish(t, events...)
	all := b.settled(t, "usr_1", 3, isSent)
	other := b.settled(t, "usr_2", 1, isSent)[0]
	if got := b.list(t, "usr_3"); len(got) > 0 {
		t.Errorf("somebody without messages sees %v", got)
	}
	var got []string
	request := &notificationsv1.ListMessagesRequest{PageSize: 2}
	for {
		page, err := b.client.ListMessages(moduletest.As(t, "usr_1"), request)
		must(t, err)
		for _, m := range page.GetMessages() {
			got = append(got, m.GetId())
		}
		if page.GetNextPageToken() == "" {
			break
		}
		if _, err := b.client.ListMessages(moduletest.As(t, "usr_2"), &notificationsv1.ListMessagesRequest{PageToken: page.GetNextPageToken()}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("another's page token: %v, want invalid argument", err)
		}
		request.PageToken = page.GetNextPageToken()
	}
	if want := []string{all[0].GetId(), all[1].GetId(), all[2].GetId()}; !slices.Equal(got, want) || slices.Contains(got, other.GetId()) {
		t.Errorf("pages hold %q, want %q", got, want)
	}
	if _, err := b.client.ListMessages(moduletest.As(t, ""), &notificationsv1.ListMessagesRequest{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("nobody: %v, want unauthenticated", err)
	}
}

func TestMessageFacts(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"})
	m := b.settled(t, "usr_1", 1, isSent)[0]
	b.Exec(t, "UPDATE notifications.message SET create_time = now() - interval '3 days'")
	b.Exec(t, "INSERT INTO notifications.mail (message_id, recipient, subject, body) SELECT id, recipient, subject, body FROM notifications.message")
	b.Exec(t, `INSERT INTO notifications.message (id, event_id, template, channel, recipient, state, subject, body)
		SELECT 'msg_' || n, 'evt_' || n, 'order_expired', 'mailbox', 'usr_1', 'queued', '', '' FROM generate_series(1, $1) AS n`, 2*factPage)
	facts := map[string]*notificationsv1.MessageFact{}
	stream, err := b.facts.StreamMessageFacts(moduletest.As(t, ""), &notificationsv1.StreamMessageFactsRequest{})
	must(t, err)
	defer stream.Close()
	count := 0
	for stream.Receive() {
		for _, fact := range stream.Msg().GetFacts() {
			count++
			facts[fact.GetId()] = fact
		}
	}
	must(t, stream.Err())
	if count != 2*factPage+1 || len(facts) != count {
		t.Errorf("%d facts of %d messages, want %d", count, len(facts), 2*factPage+1)
	}
	eventID := moduletest.Value[string](t, b.House, "SELECT id FROM orders.cleave_event")
	got := facts[m.GetId()]
	if got.GetEventId() != eventID || got.GetTemplate() != "order_confirmed" || got.GetChannel() != "mailbox" || got.GetState() != isSent || got.GetMails() != 2 {
		t.Errorf("%v, want the confirmation of %s, sent, twice in the mailbox", got, eventID)
	}
	if age := got.GetAge().AsDuration().Hours(); age < 71 || age > 73 {
		t.Errorf("it is %f hours old, want 72", age)
	}
}
