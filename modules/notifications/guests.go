package notifications

import (
	"context"
	"fmt"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// deliver hands mails to the channel, and returns an error or nil for each of them, as [sender] does. Those to guests go to the addresses
// that they have left with their orders. Only orders knows these: they are asked for each time, and no message has one.
func (s *service) deliver(ctx context.Context, mails []mail) []error {
	errs := make([]error, len(mails))
	addresses, err := s.addresses(ctx, mails)
	var ready []mail
	var places []int // of those in mails
	for i, m := range mails {
		if rpc.IsGuest(m.recipient) {
			if m.recipient = addresses[m.about]; m.recipient == "" {
				errs[i] = err
				if err == nil {
					errs[i] = fmt.Errorf("%w: nobody knows where to write to about %s", errRefused, m.about)
				}
				continue
			}
			m.address = m.recipient
		}
		ready, places = append(ready, m), append(places, i)
	}
	if len(ready) > 0 {
		for i, err := range s.sender.send(ctx, ready) {
			errs[places[i]] = err
		}
	}
	return errs
}

// addresses returns where guests are written to, by what the mails to them are about. It asks nobody if no mail is to a guest.
func (s *service) addresses(ctx context.Context, mails []mail) (map[string]string, error) {
	r := &ordersv1.BatchGetContactsRequest{}
	for _, m := range mails {
		if rpc.IsGuest(m.recipient) && m.about != "" { // An earlier release did not say what its messages are about.
			r.OrderIds = append(r.OrderIds, m.about)
		}
	}
	if len(r.GetOrderIds()) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	answer, err := s.guests.BatchGetContacts(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("ask where to write to: %w", err)
	}
	found := map[string]string{}
	for _, c := range answer.GetContacts() {
		found[c.GetOrderId()] = c.GetEmail()
	}
	return found, nil
}
