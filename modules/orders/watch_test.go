package orders_test

import (
	"context"
	"fmt"
	"testing"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

// states returns the states of transitions, by their short names.
func states(transitions []*ordersv1.OrderTransition) (list string) {
	for _, transition := range transitions {
		list += fmt.Sprint(transition.GetSequence(), " ", transition.GetState().String()[len("ORDER_STATE_"):], ", ")
	}
	return list
}

func TestWatchSeesEveryTransitionOnce(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	held := hold(false)
	c.faults.on(c.user, "AuthorizePayment", held)
	id := c.order(good)
	<-held.reached
	// Many watch from the beginning, while it happens.
	const watchers = 5
	seen := make(chan string, watchers)
	first := make(chan struct{}, watchers)
	for range watchers {
		go func() {
			var all []*ordersv1.OrderTransition
			stream, err := c.orders.WatchOrder(c.ctx, &ordersv1.WatchOrderRequest{Id: id})
			if err == nil {
				for stream.Receive() {
					if all = append(all, stream.Msg().GetTransition()); len(all) == 2 {
						first <- struct{}{}
					}
				}
				err = stream.Err()
				stream.Close()
			}
			seen <- fmt.Sprint(states(all), err)
		}()
	}
	for range watchers {
		<-first // The past came at once.
	}
	close(held.release)
	const want = "1 PENDING, 2 RESERVED, 3 PAYING, 4 CONFIRMED, "
	for range watchers {
		if got := <-seen; got != want+"<nil>" {
			t.Errorf("seen %s, want %s", got, want)
		}
	}
	// Who comes later, or again, sees what they have not seen.
	for after, want := range map[int64]string{0: want, 2: "3 PAYING, 4 CONFIRMED, ", 4: "", 100: ""} {
		if got := states(c.watch(id, after)); got != want {
			t.Errorf("after %d: %s, want %s", after, got, want)
		}
	}
	if err := c.cancel(id); err != nil {
		t.Fatal(err)
	}
	if got, want := states(c.watch(id, 4)), "5 CANCEL_PENDING, 6 CANCELLED, "; got != want {
		t.Errorf("after the cancellation: %s, want %s", got, want)
	}
}

func TestWatchEndsWithItsClient(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	held := hold(false)
	c.faults.on(c.user, "AuthorizePayment", held)
	id := c.order(good)
	<-held.reached
	ctx, leave := context.WithCancel(c.ctx)
	stream, err := c.orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
	}
	leave()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeCanceled {
		t.Errorf("%v, %v, want that it was cancelled", stream.Msg(), stream.Err())
	}
	stream.Close()
	close(held.release)
	c.ends(id, confirmed, "") // The order goes on.
}

// Another replica tells nobody here what it did.
func TestWatchSeesWhatOtherReplicasDo(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.Hosts["orders"].Tasks.Stop(c.ctx)
	id := c.order(good)
	stream, err := c.orders.WatchOrder(c.ctx, &ordersv1.WatchOrderRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	c.Exec(t, `WITH moved AS (UPDATE orders."order" SET state = 'rejected', sequence = 2 WHERE id = $1)
		INSERT INTO orders.transition (order_id, sequence, state, note) VALUES ($1, 2, 'rejected', 'elsewhere')`, id)
	if !stream.Receive() || stream.Msg().GetTransition().GetNote() != "elsewhere" || stream.Msg().GetOrder().GetState() != rejected {
		t.Errorf("%v, %v", stream.Msg(), stream.Err())
	}
	if stream.Receive() || stream.Err() != nil {
		t.Errorf("%v, %v, want the end", stream.Msg(), stream.Err())
	}
}
