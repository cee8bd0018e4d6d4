package orders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/saga/sagatest"
)

// yard is what follows when an order is confirmed: the pieces of its reservation, and the money that went back.
type yard struct {
	inventoryv1connect.InventoryServiceClient
	paymentsv1connect.PaymentServiceClient

	shipped, returned, withdrawn, given int64
	kept                                map[string]bool // by request
	refused                             map[string]bool // refunds, by request
}

// sold is how many pieces the order is of.
const sold = 4

func newYard() *yard { return &yard{kept: map[string]bool{}, refused: map[string]bool{}} }

func (y *yard) Clone() *yard {
	c := *y
	c.kept, c.refused = maps.Clone(y.kept), maps.Clone(y.refused)
	return &c
}

func (y *yard) Fingerprint() string {
	return fmt.Sprint(y.shipped, y.returned, y.withdrawn, y.given, y.kept, y.refused)
}

// move moves pieces once under a request id, as long as there are so many.
func (y *yard) move(requestID string, lines []*inventoryv1.Line, there int64, count *int64) error {
	if y.kept[requestID] {
		return nil
	}
	if n := lines[0].GetQuantity(); n > there {
		return rpc.Errorf(connect.CodeFailedPrecondition, "TOO_MANY", "%d pieces are there", there)
	}
	y.kept[requestID] = true
	*count += lines[0].GetQuantity()
	return nil
}

func (y *yard) ShipReservation(ctx context.Context, r *inventoryv1.ShipReservationRequest) (*inventoryv1.ShipReservationResponse, error) {
	return sagatest.Call(ctx, "ShipReservation "+r.GetRequestId(), func() (*inventoryv1.ShipReservationResponse, error) {
		return &inventoryv1.ShipReservationResponse{}, y.move(r.GetRequestId(), r.GetLines(), sold-y.shipped-y.withdrawn, &y.shipped)
	})
}

func (y *yard) ReturnReservation(ctx context.Context, r *inventoryv1.ReturnReservationRequest) (*inventoryv1.ReturnReservationResponse, error) {
	return sagatest.Call(ctx, "ReturnReservation "+r.GetRequestId(), func() (*inventoryv1.ReturnReservationResponse, error) {
		return &inventoryv1.ReturnReservationResponse{}, y.move(r.GetRequestId(), r.GetLines(), y.shipped-y.returned, &y.returned)
	})
}

func (y *yard) ReleaseReservation(ctx context.Context, r *inventoryv1.ReleaseReservationRequest) (*inventoryv1.ReleaseReservationResponse, error) {
	return sagatest.Call(ctx, "ReleaseReservation "+r.GetRequestId(), func() (*inventoryv1.ReleaseReservationResponse, error) {
		return &inventoryv1.ReleaseReservationResponse{}, y.move(r.GetRequestId(), r.GetLines(), sold-y.shipped-y.withdrawn, &y.withdrawn)
	})
}

func (y *yard) RefundPayment(ctx context.Context, r *paymentsv1.RefundPaymentRequest) (*paymentsv1.RefundPaymentResponse, error) {
	return sagatest.Call(ctx, "RefundPayment "+r.GetRequestId(), func() (*paymentsv1.RefundPaymentResponse, error) {
		refund := &paymentsv1.Refund{State: paymentsv1.RefundState_REFUND_STATE_SETTLED}
		switch id := r.GetRequestId(); {
		case y.kept[id]:
		case y.refused[id] || sagatest.May(ctx, "the provider refuses to give money back"):
			y.refused[id] = true
			refund.State = paymentsv1.RefundState_REFUND_STATE_FAILED
		case sagatest.May(ctx, "the provider has yet to give money back"):
			refund.State = paymentsv1.RefundState_REFUND_STATE_PENDING
		default:
			y.kept[id] = true
			y.given += r.GetAmount().GetAmount()
		}
		return &paymentsv1.RefundPaymentResponse{Refund: refund}, nil
	})
}

func piecesOfMug(n int64) []schema.Pieces { return []schema.Pieces{{SKU: "mug", Quantity: n}} }

// parcelModel is two parcels of an order.
func parcelModel() sagatest.Model[*yard, parcel] {
	return sagatest.Model[*yard, parcel]{
		World: newYard(), Faults: 2, Sagas: map[string]parcel{"ful_1": {Lines: piecesOfMug(1)}, "ful_2": {Lines: piecesOfMug(3)}},
		Definition: func(y *yard) saga.Definition[parcel] { return (&aftermath{inventory: y, payments: y}).fulfillment() },
		Check: func(y *yard, sagas []sagatest.Ended[parcel]) error {
			for _, s := range sagas {
				if !s.Done {
					return fmt.Errorf("%s has not followed", s.ID)
				}
			}
			if y.shipped != sold {
				return fmt.Errorf("%d pieces are shipped", y.shipped)
			}
			return nil
		},
	}
}

// reversalModel is a return and the cancellation of the rest of an order, of which inventory hears of the parcel only at some time.
func reversalModel() sagatest.Model[*yard, reversing] {
	return sagatest.Model[*yard, reversing]{
		World: newYard(), Faults: 1, Sagas: map[string]reversing{
			"rev_1": {Kind: byReturn, Lines: piecesOfMug(1), Refund: 500, Currency: "EUR"}, "rev_2": {Kind: byCancellation, Lines: piecesOfMug(2), Refund: 1000, Currency: "EUR"},
		},
		Definition: func(y *yard) saga.Definition[reversing] { return (&aftermath{inventory: y, payments: y}).reversal() },
		Moves: func(y *yard) (moves []sagatest.Move) {
			if y.shipped == 0 {
				moves = append(moves, sagatest.Move{Name: "inventory hears of the parcel", Do: func(context.Context) { y.shipped = 2 }})
			}
			return moves
		},
		Check: func(y *yard, sagas []sagatest.Ended[reversing]) error {
			var owed int64
			for _, s := range sagas {
				if s.Done {
					owed += s.State.Refund
				} else if s.Undone || len(y.refused) == 0 {
					return fmt.Errorf("%s has not followed", s.ID)
				}
			}
			if y.returned != 1 || y.withdrawn != 2 || y.given != owed {
				return fmt.Errorf("%d pieces came back, %d are not sent, and %d of %d went back", y.returned, y.withdrawn, y.given, owed)
			}
			return nil
		},
	}
}

// Whatever is killed, lost or late, pieces go and come back once, and so does money.
func TestModelOfWhatFollows(t *testing.T) {
	t.Parallel()
	t.Run("parcels", func(t *testing.T) {
		t.Parallel()
		result, err := sagatest.Explore(parcelModel())
		if err != nil {
			t.Fatal(err)
		}
		t.Log(result)
	})
	t.Run("reversals", func(t *testing.T) {
		t.Parallel()
		result, err := sagatest.Explore(reversalModel())
		if err != nil {
			t.Fatal(err)
		}
		t.Log(result)
	})
	t.Run("with a fresh request id at every attempt", func(t *testing.T) {
		t.Parallel()
		m := reversalModel()
		m.Faults, m.FreshKeys = 1, true
		if _, err := sagatest.Explore(m); !errors.As(err, new(*sagatest.Violation)) {
			t.Errorf("%v, want that something happens twice", err)
		}
	})
	t.Run("without waiting for the parcel", func(t *testing.T) {
		t.Parallel()
		m := reversalModel()
		m.Faults = 0
		m.Definition = func(y *yard) saga.Definition[reversing] {
			a := &aftermath{inventory: y, payments: y}
			d := a.reversal()
			d.Steps[0].Do = func(ctx context.Context, r *saga.Run[reversing]) error {
				if r.State.Kind == byCancellation {
					return a.goods(ctx, r)
				}
				_, err := y.ReturnReservation(ctx, &inventoryv1.ReturnReservationRequest{RequestId: r.Key, Lines: stockLines(r.State.Lines)})
				return onward("return stock", err)
			}
			return d
		}
		if _, err := sagatest.Explore(m); err == nil || !strings.Contains(err.Error(), "rev_1 has not followed") {
			t.Errorf("%v, want that the return is stuck", err)
		}
	})
}
