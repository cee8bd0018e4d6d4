// Package kill has processes of the shop die, or stand still for longer than their leases, at places in the code that have a name (see
// platform/fault), while a customer orders something. The process is started again, and the order has to end as if nothing had been. In the
// end cleave verify looks at everything that the modules and the payment provider have written down.
//
// Where the process dies and what that proves:
//
//	orders/place/committed      the order is there and nobody was told: the same request is answered with it
//	orders/cancel/committed     the same of a cancellation
//	checkout/<step>/begin       nobody does anything for the order any more: its saga is found when the lease has run out
//	checkout/<step>/done        the step is done and the saga does not know: it is done again, under the same key, to no effect
//	checkout/<step>/persisted   the saga knows: the step is not done again, the next one is done
//	checkout/<step>/undo-…      the same on the way back, of a declined card or a cancellation
//	payments/<kind>/written     the provider was not asked: it is asked, once
//	payments/<kind>/answered    money was moved and nobody knows: the provider is asked again, under the same key
//	payments/<kind>/stored      the outcome is known and nobody was told: who asks again is told the same
//	inventory/<what>/committed  stock has changed and nobody was told: the same request changes nothing
//	inventory/audit/batch       the pass over the stock goes on behind the last batch
//	catalog/import/batch        the import goes on behind the last batch
//	event/deliver/applied       the event was applied and the publisher does not know: it comes again, and no second message is written
//	event/inbox/committed       the same, when the subscriber dies before it answers
//	notifications/send/answered the message was sent and nobody knows: it is sent again, under the same id, when it is due
//
// A process that stands still goes on when another one has seen the order through: its late write is refused. And the mistakes that all
// this would find are made on purpose, so that it is known to find them. One of them is found by less than what it does: an event that is
// applied twice leaves no trace in the shop, because notifications writes one message of an event, however often it is applied. What
// verify finds of a module that keeps no inbox is that nothing says what it has applied. That nothing is applied twice, the tests of
// platform/event hold.
package kill

import (
	"flag"
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A house waits for leases to run out more than it computes, so more of them are open at once than there are processors.
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	postgrestest.Main(m)
}
