package orders

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/transition"
	"github.com/cleave-go/cleave/platform/db"
)

// lookAgain is how often a watched order is looked at without having been told of a change: another replica may have made it.
const lookAgain = time.Second

// WatchOrder sends what has happened to an order and what happens to it, until it settles.
func (s *service) WatchOrder(ctx context.Context, r *ordersv1.WatchOrderRequest, stream *connect.ServerStream[ordersv1.WatchOrderResponse]) error {
	// Listen before looking, so that no change in between is missed.
	changed, leave := s.changes.listen(r.GetId())
	defer leave()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	seen := r.GetAfterSequence()
	for {
		row, err := s.ownOrder(ctx, r.GetId())
		if err != nil {
			return err
		}
		rows, err := s.store.Ent.Transition.Query().
			Where(transition.OrderID(row.ID), transition.StateNEQ(""), transition.SequenceGT(seen), transition.SequenceLTE(row.Sequence)).Order(transition.BySequence()).All(ctx)
		if err != nil {
			return db.Unavailable(err)
		}
		for _, t := range rows {
			if err := stream.Send(&ordersv1.WatchOrderResponse{
				Transition: &ordersv1.OrderTransition{
					Sequence: t.Sequence, State: messageStates[state(t.State)], Note: t.Note, Time: timestamppb.New(t.CreateTime),
				},
				Order: orderMessage(row),
			}); err != nil {
				return err
			}
			seen = t.Sequence
		}
		if state(row.State).settled() {
			return nil
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changes tells those who watch an order in this process that it has changed.
type changes struct {
	mu        sync.Mutex
	listeners map[string]map[chan struct{}]bool // by order
}

func newChanges() *changes { return &changes{listeners: map[string]map[chan struct{}]bool{}} }

// listen returns a channel that receives when the order changes, and a function to stop that.
func (c *changes) listen(orderID string) (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	channel := make(chan struct{}, 1)
	if c.listeners[orderID] == nil {
		c.listeners[orderID] = map[chan struct{}]bool{}
	}
	c.listeners[orderID][channel] = true
	return channel, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners[orderID], channel)
		if len(c.listeners[orderID]) == 0 {
			delete(c.listeners, orderID)
		}
	}
}

// tell says that an order has changed. It does not wait for anybody.
func (c *changes) tell(orderID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel := range c.listeners[orderID] {
		select {
		case channel <- struct{}{}:
		default: // It has a change to look at already.
		}
	}
}
