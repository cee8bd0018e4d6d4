package verify

import (
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
)

// letter is a message that was written about an event.
type letter struct{ id, template, channel string }

// message checks a message.
func (b *book) message(m *notificationsv1.MessageFact) {
	k := letter{m.GetId(), m.GetTemplate(), m.GetChannel()}
	b.rows[messageKey]++
	for _, other := range b.letters[m.GetEventId()] {
		if other.template == k.template && other.channel == k.channel {
			b.add(messageKey, k.id, "messages %s and %s both tell of event %s by %s in %s", other.id, k.id, m.GetEventId(), k.template, k.channel)
		}
	}
	b.letters[m.GetEventId()] = append(b.letters[m.GetEventId()], k)
	b.check(messageSent, m.GetId(), m.GetState() != notificationsv1.MessageState_MESSAGE_STATE_SENT || m.GetMails() > 0,
		"message %s (%s of event %s) counts as sent, but %s has never seen it", m.GetId(), m.GetTemplate(), m.GetEventId(), m.GetChannel())
	open := m.GetState() == notificationsv1.MessageState_MESSAGE_STATE_QUEUED || m.GetState() == notificationsv1.MessageState_MESSAGE_STATE_SENDING
	b.check(messageOpen, m.GetId(), !open || m.GetAge().AsDuration() < b.deadline,
		"message %s (%s of event %s) is %s since %s", m.GetId(), m.GetTemplate(), m.GetEventId(), word(m.GetState(), "MESSAGE_STATE_"), ago(m.GetAge().AsDuration()))
}
