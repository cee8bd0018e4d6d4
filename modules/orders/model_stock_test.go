package orders

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/sagatest"
)

// Stock is what inventory promises, in memory: pieces of SKUs, reservations, and request ids under which something happens once or, once
// they are revoked, never. TestModelOfTheStockIsInventory compares it with the module.
type Stock struct {
	inventoryv1connect.InventoryServiceClient

	OnHand       map[string]int64
	Reservations []Reservation
	kept         map[string]reply // by method and request id

	// Forgets says that what was revoked is not refused, which a test breaks.
	Forgets bool
}

// Reservation is what there is of one. Its lines do not change.
type Reservation struct {
	ID, Reference string
	State         inventoryv1.ReservationState
	Extended      bool
	Lines         []*inventoryv1.Line
}

// reply is what a request has come to: a reservation as it was then, none, or that it is revoked.
type reply struct {
	request     string
	reservation string
	state       inventoryv1.ReservationState
	revoked     bool
}

const (
	held      = inventoryv1.ReservationState_RESERVATION_STATE_HELD
	committed = inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	released  = inventoryv1.ReservationState_RESERVATION_STATE_RELEASED
	overdue   = inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED
)

// What platform/idempotency refuses with.
var (
	errRevoked = rpc.Errorf(connect.CodeFailedPrecondition, "REVOKED", "revoked before it came")
	errReused  = rpc.Errorf(connect.CodeAlreadyExists, "REQUEST_ID_REUSED", "used for another request")
)

// NewStock returns a stock with so many pieces of each SKU.
func NewStock(onHand map[string]int64) Stock {
	return Stock{OnHand: onHand, kept: map[string]reply{}}
}

func (s *Stock) clone() Stock {
	c := *s
	c.Reservations, c.kept = slices.Clone(s.Reservations), maps.Clone(s.kept)
	return c
}

func (s *Stock) fingerprint() string {
	b := fmt.Append(nil, s.kept)
	for _, r := range s.Reservations {
		b = fmt.Append(b, r.Reference, int(r.State), r.Extended)
	}
	return string(b)
}

// Reserved returns how many pieces of a SKU are set aside.
func (s *Stock) Reserved(sku string) (sum int64) {
	for _, r := range s.Reservations {
		for _, l := range r.Lines {
			if l.GetSku() == sku && (r.State == held || r.State == committed) {
				sum += l.GetQuantity()
			}
		}
	}
	return sum
}

// Expire ends a hold whose time is up.
func (s *Stock) Expire(i int) { s.Reservations[i].State = overdue }

// once does what is asked for under a request id, or returns what came of it. The request is told in words.
func (s *Stock) once(method, requestID, request string, do func() (reply, error)) (*inventoryv1.Reservation, error) {
	key := method + " " + requestID
	got, again := s.kept[key]
	switch {
	case got.revoked:
		return nil, errRevoked
	case again && got.request != request:
		return nil, errReused
	case !again:
		var err error
		if got, err = do(); err != nil {
			return nil, err
		}
		got.request = request
		s.kept[key] = got
	}
	if got.reservation == "" {
		return nil, nil
	}
	return &inventoryv1.Reservation{Id: got.reservation, State: got.state}, nil
}

// move moves a reservation to a state, from others from which that is possible or as which it counts.
func (s *Stock) move(id string, to inventoryv1.ReservationState, from, as []inventoryv1.ReservationState) (reply, error) {
	i := slices.IndexFunc(s.Reservations, func(r Reservation) bool { return r.ID == id })
	if i < 0 {
		return reply{}, rpc.NotFound("reservation", id)
	}
	r := &s.Reservations[i]
	switch {
	case slices.Contains(from, r.State):
		r.State = to
	case !slices.Contains(as, r.State):
		return reply{}, rpc.Errorf(connect.CodeFailedPrecondition, r.State.String(), "it is %s", r.State)
	}
	return reply{reservation: r.ID, state: r.State}, nil
}

func (s *Stock) Reserve(ctx context.Context, r *inventoryv1.ReserveRequest) (*inventoryv1.ReserveResponse, error) {
	return sagatest.Call(ctx, "Reserve "+r.GetRequestId()+linesOf(r), func() (*inventoryv1.ReserveResponse, error) {
		reservation, err := s.once("Reserve", r.GetRequestId(), r.GetReference()+linesOf(r), func() (reply, error) {
			wanted := map[string]int64{}
			for _, l := range r.GetLines() {
				wanted[l.GetSku()] += l.GetQuantity()
			}
			for sku, quantity := range wanted {
				if s.Reserved(sku)+quantity > s.OnHand[sku] {
					return reply{}, rpc.Errorf(connect.CodeFailedPrecondition, "OUT_OF_STOCK", "%s is short", sku)
				}
			}
			id := fmt.Sprint("rsv_", len(s.Reservations)+1)
			s.Reservations = append(s.Reservations, Reservation{ID: id, Reference: r.GetReference(), State: held, Lines: r.GetLines()})
			return reply{reservation: id, state: held}, nil
		})
		return &inventoryv1.ReserveResponse{Reservation: reservation}, err
	})
}

func linesOf(r *inventoryv1.ReserveRequest) (text string) {
	for _, l := range r.GetLines() {
		text += fmt.Sprint(" ", l.GetSku(), " ", l.GetQuantity())
	}
	return text
}

func (s *Stock) CommitReservation(ctx context.Context, r *inventoryv1.CommitReservationRequest) (*inventoryv1.CommitReservationResponse, error) {
	return sagatest.Call(ctx, "CommitReservation "+r.GetRequestId()+" "+r.GetId(), func() (*inventoryv1.CommitReservationResponse, error) {
		reservation, err := s.once("CommitReservation", r.GetRequestId(), r.GetId(), func() (reply, error) {
			return s.move(r.GetId(), committed, []inventoryv1.ReservationState{held}, []inventoryv1.ReservationState{committed})
		})
		return &inventoryv1.CommitReservationResponse{Reservation: reservation}, err
	})
}

func (s *Stock) ReleaseReservation(ctx context.Context, r *inventoryv1.ReleaseReservationRequest) (*inventoryv1.ReleaseReservationResponse, error) {
	named := r.GetId() + r.GetReserveRequestId()
	return sagatest.Call(ctx, "ReleaseReservation "+r.GetRequestId()+" "+named, func() (*inventoryv1.ReleaseReservationResponse, error) {
		reservation, err := s.once("ReleaseReservation", r.GetRequestId(), named, func() (reply, error) {
			id := r.GetId()
			if request := "Reserve " + r.GetReserveRequestId(); r.GetReserveRequestId() != "" {
				made, done := s.kept[request]
				if !done && !s.Forgets {
					s.kept[request] = reply{revoked: true}
				}
				if !done || made.revoked {
					return reply{}, nil
				}
				id = made.reservation
			}
			return s.move(id, released, []inventoryv1.ReservationState{held, committed}, []inventoryv1.ReservationState{released, overdue})
		})
		return &inventoryv1.ReleaseReservationResponse{Reservation: reservation}, err
	})
}

func (s *Stock) ExtendReservation(ctx context.Context, r *inventoryv1.ExtendReservationRequest) (*inventoryv1.ExtendReservationResponse, error) {
	return sagatest.Call(ctx, "ExtendReservation "+r.GetRequestId()+" "+r.GetId(), func() (*inventoryv1.ExtendReservationResponse, error) {
		reservation, err := s.once("ExtendReservation", r.GetRequestId(), r.GetId(), func() (reply, error) {
			got, err := s.move(r.GetId(), held, nil, []inventoryv1.ReservationState{held})
			if err != nil {
				return got, err
			}
			i := slices.IndexFunc(s.Reservations, func(own Reservation) bool { return own.ID == r.GetId() })
			if s.Reservations[i].Extended {
				return got, rpc.Errorf(connect.CodeFailedPrecondition, "ALREADY_EXTENDED", "possible once")
			}
			s.Reservations[i].Extended = true
			return got, nil
		})
		return &inventoryv1.ExtendReservationResponse{Reservation: reservation}, err
	})
}
