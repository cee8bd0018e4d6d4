package orders

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/rpc"
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
	w := &watcher{stream: stream, seen: r.GetAfterSequence()}
	look := true
	for {
		if look {
			if err := s.look(ctx, r.GetId(), w); err != nil {
				return err
			}
		}
		if state(w.row.State).settled() {
			return nil
		}
		look = true
		select {
		case h := <-changed:
			var err error
			if look, err = w.follow(h); err != nil {
				return err
			}
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watcher is somebody who watches an order.
type watcher struct {
	stream *connect.ServerStream[ordersv1.WatchOrderResponse]
	row    *ent.Order // as it was when it was looked at, and what has happened since
	seen   int64      // the sequence of what was sent last
}

// look reads the order, and sends what the watcher has not seen.
func (s *service) look(ctx context.Context, orderID string, w *watcher) (err error) {
	userID, everybodys := rpc.Owner(ctx)
	if w.row, err = s.loadOrder(ctx, orderID, userID, everybodys, w.seen); err != nil {
		return err
	}
	for _, t := range w.row.Edges.Transitions {
		if err := w.send(t.Sequence, state(t.State), t.Note, t.CreateTime); err != nil {
			return err
		}
	}
	return nil
}

// follow sends what has happened to the order. It reports whether the order has to be looked at instead, because that does not come
// next.
func (w *watcher) follow(h happened) (look bool, err error) {
	before := progressOf(w.row)
	if h.sequence != 0 && h.sequence <= before.sequence {
		return false, nil
	}
	if h.sequence != before.sequence+1 {
		return true, nil
	}
	w.row.UpdateTime = h.time
	setProgress(w.row, before.after(h.change))
	if h.sequence <= w.seen {
		return false, nil
	}
	return false, w.send(h.sequence, h.state, h.note, h.time)
}

func (w *watcher) send(sequence int64, is state, note string, at time.Time) error {
	w.seen = sequence
	return w.stream.Send(&ordersv1.WatchOrderResponse{
		Transition: &ordersv1.OrderTransition{Sequence: sequence, State: messageStates[is], Note: note, Time: timestamppb.New(at)},
		Order:      orderMessage(w.row),
	})
}

// changes tells those who watch an order in this process what has happened to it.
type changes struct {
	mu        sync.Mutex
	listeners map[string]map[chan happened]bool // by order
}

func newChanges() *changes { return &changes{listeners: map[string]map[chan happened]bool{}} }

// maxUntold is how many changes wait for somebody who watches. It is more than a checkout has.
const maxUntold = 8

// listen returns a channel that receives when the order changes, and a function to stop that.
func (c *changes) listen(orderID string) (<-chan happened, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	channel := make(chan happened, maxUntold)
	if c.listeners[orderID] == nil {
		c.listeners[orderID] = map[chan happened]bool{}
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

// tell says what has happened to an order; without a sequence, that somebody shall look. It does not wait for anybody.
func (c *changes) tell(orderID string, h happened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel := range c.listeners[orderID] {
		select {
		case channel <- h:
		default: // Who is that slow looks again by himself.
		}
	}
}
