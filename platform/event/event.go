package event

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
)

// Event is what is known of an event besides its message.
type Event struct {
	// ID is unique, for instance "evt_…".
	ID string
	// Source is the module that published it.
	Source string
	// Type is the full name of the message without the house: "orders.v1.OrderConfirmed".
	Type string
	// Subject is what it is about, for instance the id of an order, and Sequence its number among the events of that subject.
	Subject  string
	Sequence int64
	// Time is when the transaction began that published it, by the clock of the publisher's database.
	Time time.Time
	// CorrelationID and Trace are those of the call that published it. The context of the handler carries them too, and on whose behalf
	// that call was made.
	CorrelationID string
	Trace         string
}

// TypeOf returns the type of the events whose message is m.
func TypeOf(m proto.Message) string {
	return strings.TrimPrefix(string(m.ProtoReflect().Descriptor().FullName()), house)
}

// house begins the name of every message.
const house = "cleave."

// From says where a new subscription begins.
type From string

const (
	// Now begins with what happens from now on.
	Now From = "now"
	// Beginning begins with the first event of the log.
	Beginning From = "beginning"
)

func (f From) wire() eventv1.From {
	switch f {
	case Now:
		return eventv1.From_FROM_NOW
	case Beginning:
		return eventv1.From_FROM_BEGINNING
	}
	return eventv1.From_FROM_UNSPECIFIED
}

// Subscription says that a module listens to events of another.
type Subscription struct {
	// Publisher is the name of the other module.
	Publisher string
	// Events are the messages to listen to; nil pointers will do: (*ordersv1.OrderConfirmed)(nil).
	Events []proto.Message
	// From is where to begin when the subscription is new. An event that is added later begins where the subscription then is.
	From From
}

// Types returns the types of the events.
func (s Subscription) Types() []string {
	types := make([]string, 0, len(s.Events))
	for _, m := range s.Events {
		types = append(types, TypeOf(m))
	}
	return types
}
