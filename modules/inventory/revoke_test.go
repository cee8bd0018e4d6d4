package inventory

import (
	"sync"
	"testing"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
)

// Who does not know whether a Reserve was carried out undoes it by its request id.
func TestUndoFindsTheReservation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	for _, c := range []struct {
		name   string
		become func(id string) error
		want   inventoryv1.ReservationState
	}{
		{"held", func(string) error { return nil }, inventoryv1.ReservationState_RESERVATION_STATE_RELEASED},
		{"committed", b.commit, inventoryv1.ReservationState_RESERVATION_STATE_RELEASED},
		{"released", b.release, inventoryv1.ReservationState_RESERVATION_STATE_RELEASED},
	} {
		made, err := b.reserveAs("reserve "+c.name, line{"a", 5})
		must(t, err)
		must(t, c.become(made.GetId()))
		for range 2 { // It does not matter how often.
			undone, err := b.undo("reserve " + c.name)
			if err != nil || undone.GetId() != made.GetId() || undone.GetState() != c.want {
				t.Errorf("%s: %v, %v, want %s %s", c.name, undone, err, made.GetId(), c.want)
			}
		}
		b.available(t, "a", 5)
	}
	b.consistent(t)
}

func TestReserveAfterItsUndoIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	for range 2 {
		if undone, err := b.undo("late"); err != nil || undone != nil {
			t.Errorf("undo what was not done: %v, %v", undone, err)
		}
	}
	for range 2 {
		_, err := b.reserveAs("late", line{"a", 1})
		refused(t, err, "REVOKED")
	}
	b.available(t, "a", 5)
	must(t, b.release(b.hold(t, line{"a", 5}))) // Other requests are not concerned.
	b.consistent(t)
}

// A Reserve that was refused leaves nothing to undo, and does not come back either.
func TestUndoOfARefusedReserve(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.reserveAs("refused", line{"a", 1})
	refused(t, err, "OUT_OF_STOCK")
	if undone, err := b.undo("refused"); err != nil || undone != nil {
		t.Errorf("undo what was refused: %v, %v", undone, err)
	}
	b.receive(t, line{"a", 1})
	_, err = b.reserveAs("refused", line{"a", 1})
	refused(t, err, "REVOKED")
}

// A Reserve and its undo that meet leave nothing behind, whoever is first.
func TestReserveAndUndoMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 30})
	var waiting sync.WaitGroup
	for range 30 {
		requestID := b.requestID()
		waiting.Go(func() {
			if _, err := b.reserveAs(requestID, line{"a", 1}); err != nil {
				refused(t, err, "REVOKED")
			}
		})
		waiting.Go(func() {
			if _, err := b.undo(requestID); err != nil {
				t.Errorf("undo: %v", err)
			}
		})
	}
	waiting.Wait()
	b.available(t, "a", 30)
	b.consistent(t)
}

func TestReleaseNamesOneThing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, r := range map[string]*inventoryv1.ReleaseReservationRequest{
		"nothing": {RequestId: "1"},
		"both":    {RequestId: "2", Id: "rsv_1", ReserveRequestId: "reserve"},
	} {
		if _, err := b.client.ReleaseReservation(b.ctx, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want an invalid argument", name, err)
		}
	}
}
