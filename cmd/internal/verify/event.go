package verify

import (
	"slices"
	"time"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
)

// subscriber checks that a subscriber gets on.
func (b *book) subscriber(publisher string, s *eventv1.Subscriber) {
	lag := time.Duration(s.GetLagSeconds() * float64(time.Second))
	why := ""
	if s.GetError() != "" {
		why = ": " + s.GetError()
	}
	b.check(eventBehind, s.GetName()+" "+publisher, s.GetLagEvents() == 0 || lag < b.deadline,
		"%s is %d events behind %s, the oldest of them since %s%s", s.GetName(), s.GetLagEvents(), publisher, ago(lag), why)
}

// subscribed checks that a module which declares to listen to some types does.
func (b *book) subscribed(publisher, subscriber string, declared []string, list []*eventv1.Subscriber) {
	var types []string
	for _, s := range list {
		if s.GetName() == subscriber {
			types = s.GetTypes()
		}
	}
	for _, kind := range declared {
		b.check(eventSubscribed, subscriber+" "+kind, slices.Contains(types, kind),
			"%s declares to listen to %s of %s, and is not subscribed to it: start it again, and see cleave events subscribers %s", subscriber, kind, publisher, publisher)
	}
}

// merge checks a publisher's log against a subscriber's inbox. Both functions return what comes next, in the order of the ids, and false
// when there is nothing more.
func (b *book) merge(publisher, subscriber string, published func() (*eventv1.DeliveryFact, bool), applied func() (string, bool)) {
	b.logged = b.logged || publisher == "orders"
	fact, more := published()
	id, moreApplied := applied()
	for more || moreApplied {
		switch {
		case !more || moreApplied && id < fact.GetEventId():
			b.check(eventUnknown, id, false, "%s has applied event %s of %s, which is not in the log of %s", subscriber, id, publisher, publisher)
			id, moreApplied = applied()
		case moreApplied && id == fact.GetEventId():
			b.rows[eventUnknown]++
			b.delivery(publisher, subscriber, fact, true)
			fact, more = published()
			id, moreApplied = applied()
		default:
			b.delivery(publisher, subscriber, fact, false)
			fact, more = published()
		}
	}
}

// messagesKept is for how long notifications keeps messages, see its facts.
const messagesKept = 90 * 24 * time.Hour

// silent are the events that notifications writes to nobody about.
var silent = map[string]bool{"identity.v1.UserErased": true, "orders.v1.ContactsErased": true}

// delivery checks that an event was applied if it should have been by now. It takes note of what orders has told of how its orders ended.
func (b *book) delivery(publisher, subscriber string, d *eventv1.DeliveryFact, applied bool) {
	if o := b.orders[d.GetSubject()]; publisher == "orders" && o != nil && d.GetType() == o.ending() {
		o.told = true // To whom does not matter: each subscriber is told of the whole log, with what is not owed.
	}
	if d.GetState() == eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED {
		return
	}
	b.rows[eventApplied]++
	b.rows[eventKept]++
	if applied {
		if subscriber == notifications && !silent[d.GetType()] && d.GetAge().AsDuration() < messagesKept {
			b.check(messageWritten, d.GetEventId(), len(b.letters[d.GetEventId()]) > 0,
				"notifications has applied event %s (%s of %s) and written no message about it", d.GetEventId(), d.GetType(), d.GetSubject())
		}
		return
	}
	age := d.GetAge().AsDuration()
	subject := subscriber + " " + d.GetEventId()
	switch d.GetState() {
	case eventv1.DeliveryState_DELIVERY_STATE_KEPT:
		b.add(eventKept, subject, "%s has refused event %s (%s of %s) so often that it is kept: cleave events subscribers %s says why, cleave events retry %s %s %s tries it again",
			subscriber, d.GetEventId(), d.GetType(), d.GetSubject(), publisher, publisher, subscriber, d.GetEventId())
	case eventv1.DeliveryState_DELIVERY_STATE_DELIVERED:
		b.add(eventApplied, subject, "event %s (%s of %s) counts as delivered to %s, which has not applied it: cleave events replay %s %s --subject %s delivers it again",
			d.GetEventId(), d.GetType(), d.GetSubject(), subscriber, publisher, subscriber, d.GetSubject())
	default:
		if age >= b.deadline {
			b.add(eventApplied, subject, "event %s (%s of %s) was published %s ago and %s has not applied it: it is %s",
				d.GetEventId(), d.GetType(), d.GetSubject(), ago(age), subscriber, word(d.GetState(), "DELIVERY_STATE_"))
		}
	}
}
