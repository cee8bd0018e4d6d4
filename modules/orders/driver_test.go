package orders_test

import (
	"slices"
	"testing"
	"time"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// A driver that lost its lease and the one that has it may be at the same order, one of them with what it knew some time ago.
func TestTwoDrivers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	type meeting struct {
		*attempt
		held fault
	}
	meet := func(cancel bool) (meetings []meeting) {
		for _, step := range steps {
			for name, after := range moments {
				held := hold(after)
				m := meeting{s.try(t, name, step, held), held}
				<-held.reached
				if cancel {
					if err := m.cancel(m.id); err != nil {
						t.Fatal(err)
					}
				}
				m.resume(m.id)
				meetings = append(meetings, m)
			}
		}
		for _, m := range meetings {
			m.watch(m.id, 0) // Others see the orders through while the first drivers are held.
		}
		return meetings
	}
	kept, given := meet(false), meet(true)
	for _, m := range slices.Concat(kept, given) {
		close(m.held.release)
	}
	s.Hosts["orders"].Tasks.Stop(moduletest.As(t, "")) // Waits for the tasks.
	for _, m := range kept {
		check(t, []*attempt{m.attempt}, confirmed, "")
	}
	for _, m := range given {
		check(t, []*attempt{m.attempt}, cancelled, byCustomer)
	}
}

// overtake places an order whose first driver meets a fault at a step. When it does, another driver takes the order over, which calls in
// nobody's name, and meets a fault of its own. What the first one comes back with is late then: the other one goes on only when it is known
// what has become of that.
func (c *customer) overtake(step string, task fault, laterStep string, job fault) (id string) {
	c.t.Helper()
	c.faults.on(c.user, step, task)
	c.faults.on("", laterStep, job)
	id = c.order(good)
	<-task.reached
	c.resume(id)
	<-job.reached
	if n := c.Hosts["orders"].Tasks.Running(); n != 2 {
		c.t.Fatalf("%d drivers are at the order, want the late one and the other one", n)
	}
	close(task.release)
	moduletest.Eventually(c.t, "the late driver has gone", func() bool { return c.Hosts["orders"].Tasks.Running() == 1 })
	close(job.release)
	return id
}

// While one driver waits for the stock to be refused, it comes back and another one gets it: the refusal is of no importance then.
func TestLateRefusalDoesNotEndOrderThatGotItsStock(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	task := hold(false)
	task.before = errRefused
	c.ends(c.overtake("Reserve", task, "AuthorizePayment", hold(false)), confirmed, "")
}

// While one driver waits for the payment to be authorized, another one takes the money: that is no reason to turn back.
func TestLateAuthorizationDoesNotTurnPaidOrderBack(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.ends(c.overtake("AuthorizePayment", hold(false), "CapturePayment", hold(true)), confirmed, "")
}

// While one driver takes the money, another one learns that the order goes back: it does not come to life again.
func TestLateSuccessDoesNotConfirmOrderThatGoesBack(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.faults.on("", "CapturePayment", fault{before: errRefused})
	c.ends(c.overtake("CapturePayment", hold(true), "CancelPayment", hold(false)), rejected, "AS_THE_TEST_WANTS_IT")
}

// What a process leaves behind that hangs or was killed after it had answered is taken over.
func TestAnotherDriverSeesOrderThrough(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	buying, cancelling := hold(false), hold(false)
	c.faults.on(c.user, "Reserve", buying)
	id := c.order(good)
	<-buying.reached
	if got := c.get(id).GetState(); got != ordersv1.OrderState_ORDER_STATE_PENDING {
		t.Fatalf("the order is %s, want it pending", got)
	}
	c.resume(id)
	c.ends(id, confirmed, "")
	close(buying.release)
	c.faults.on("", "CancelPayment", cancelling) // Since it was resumed the order is nobody's.
	if err := c.cancel(id); err != nil {
		t.Fatal(err)
	}
	<-cancelling.reached
	c.resume(id)
	c.ends(id, cancelled, byCustomer)
	close(cancelling.release)
}

// A module that is down for longer than a checkout tries leaves the order to whoever finds it due.
func TestOrderWaitsForModuleThatIsDown(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.faults.forever(c.user, "CapturePayment", fault{before: errDown})
	id := c.order(good)
	moduletest.Eventually(t, "the order waits for its payment", func() bool { return c.get(id).GetState() == ordersv1.OrderState_ORDER_STATE_PAYING })
	c.resume(id) // In nobody's name, so that no fault happens to it.
	c.ends(id, confirmed, "")
}

// However long a module was down, an order is tried again soon after it is back: the pauses stop growing. What the module has not found out
// by itself it finds out because it is asked.
func TestOrderThatHasWaitedLongWaitsNotLonger(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.faults.forever("", "CapturePayment", fault{before: errDown})
	c.faults.forever(c.user, "CapturePayment", fault{before: errDown})
	id := c.order(good)
	const longest = 15 * time.Second
	for attempt := 10; attempt < 10_000_000; attempt *= 100 {
		failed := "SELECT extract(epoch FROM due - update_time)::float8 FROM orders.cleave_saga WHERE id = $1 AND NOT leased AND attempt > $2"
		moduletest.Eventually(t, "the order waits", func() bool { return len(moduletest.Query[float64](t, c.House, failed, id, 0)) == 1 })
		c.Exec(t, "UPDATE orders.cleave_saga SET attempt = $2, create_time = now() - interval '3 days', due = now() WHERE id = $1", id, attempt)
		moduletest.Eventually(t, "the order was tried again", func() bool { return len(moduletest.Query[float64](t, c.House, failed, id, attempt)) == 1 })
		if pause := moduletest.Value[float64](t, c.House, failed, id, attempt); pause <= 0 || pause > longest.Seconds() {
			t.Errorf("after %d attempts the order is tried again after %v seconds, want at most %s", attempt, pause, longest)
		}
	}
	c.faults.forever("", "CapturePayment", fault{})
	c.resume(id)
	c.ends(id, confirmed, "")
}
