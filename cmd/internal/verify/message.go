package verify

import (
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
)

// message checks a message.
func (b *book) message(m *notificationsv1.MessageFact) {
	k := [3]string{m.GetEventId(), m.GetTemplate(), m.GetChannel()}
	first, twice := b.messages[k]
	if !twice {
		b.messages[k] = m.GetId()
	}
	b.check(messageKey, m.GetId(), !twice, "messages %s and %s both tell of event %s by %s in %s", first, m.GetId(), k[0], k[1], k[2])
	b.check(messageSent, m.GetId(), m.GetState() != notificationsv1.MessageState_MESSAGE_STATE_SENT || m.GetMails() > 0,
		"message %s (%s of event %s) counts as sent, but %s has never seen it", m.GetId(), m.GetTemplate(), m.GetEventId(), m.GetChannel())
	open := m.GetState() == notificationsv1.MessageState_MESSAGE_STATE_QUEUED || m.GetState() == notificationsv1.MessageState_MESSAGE_STATE_SENDING
	b.check(messageOpen, m.GetId(), !open || m.GetAge().AsDuration() < b.deadline,
		"message %s (%s of event %s) is %s since %s", m.GetId(), m.GetTemplate(), m.GetEventId(), word(m.GetState(), "MESSAGE_STATE_"), ago(m.GetAge().AsDuration()))
}
