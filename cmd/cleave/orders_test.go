package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// counter is a shop that answers what a test expects, and remembers what it was asked.
type counter struct {
	ordersv1connect.UnimplementedOrderServiceHandler
	ordersv1connect.UnimplementedFulfillmentServiceHandler
	ordersv1connect.UnimplementedCouponServiceHandler
	asked proto.Message
}

func euros(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }

func soldOrder() *ordersv1.Order {
	return &ordersv1.Order{
		Id: "ord_1", UserId: "usr_1", State: ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED, Total: euros(3490), Discount: euros(500), CouponCode: "SORRY",
		Lines: []*ordersv1.OrderLine{{Sku: "mug=big", Title: "Mug, big", Quantity: 2, UnitPrice: euros(1995), Total: euros(3990)}},
	}
}

func (s *counter) ListOrders(_ context.Context, r *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	s.asked = proto.CloneOf(r)
	if r.GetUserId() == "usr_2" {
		return nil, rpc.Errorf(connect.CodePermissionDenied, "NOT_YOURS", "user_id must be your own")
	}
	answer := &ordersv1.ListOrdersResponse{Orders: []*ordersv1.Order{soldOrder()}}
	if r.GetPageToken() == "" {
		answer.NextPageToken = "2"
	}
	return answer, nil
}

func (s *counter) GetOrder(context.Context, *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	return &ordersv1.GetOrderResponse{Order: soldOrder()}, nil
}

func (s *counter) ListOrderEvents(_ context.Context, r *ordersv1.ListOrderEventsRequest) (*ordersv1.ListOrderEventsResponse, error) {
	if r.GetAfterSequence() == 5 {
		return &ordersv1.ListOrderEventsResponse{}, nil
	}
	return &ordersv1.ListOrderEventsResponse{Events: []*ordersv1.OrderEvent{{Sequence: 5, Note: "shipped as ful_1", Time: timestamppb.Now()}}}, nil
}

func (s *counter) CancelOrder(_ context.Context, r *ordersv1.CancelOrderRequest) (*ordersv1.CancelOrderResponse, error) {
	s.asked = proto.CloneOf(r)
	return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ORDER_STATE", "order ord_1 is fulfilled and cannot be cancelled any more")
}

func (s *counter) CreateFulfillment(_ context.Context, r *ordersv1.CreateFulfillmentRequest) (*ordersv1.CreateFulfillmentResponse, error) {
	s.asked = proto.CloneOf(r)
	return &ordersv1.CreateFulfillmentResponse{Fulfillment: &ordersv1.Fulfillment{Id: "ful_1", Lines: r.GetLines()}, Order: soldOrder()}, nil
}

func (s *counter) ListFulfillments(context.Context, *ordersv1.ListFulfillmentsRequest) (*ordersv1.ListFulfillmentsResponse, error) {
	return &ordersv1.ListFulfillmentsResponse{Fulfillments: []*ordersv1.Fulfillment{{Id: "ful_1", TrackingCode: "JD0146"}}}, nil
}

func (s *counter) ReturnLines(_ context.Context, r *ordersv1.ReturnLinesRequest) (*ordersv1.ReturnLinesResponse, error) {
	s.asked = proto.CloneOf(r)
	return &ordersv1.ReturnLinesResponse{Order: soldOrder(), Reversal: &ordersv1.Reversal{
		Id: "rev_1", Kind: ordersv1.ReversalKind_REVERSAL_KIND_RETURN, Lines: r.GetLines(), Refund: euros(1745),
	}}, nil
}

func (s *counter) CancelRest(_ context.Context, r *ordersv1.CancelRestRequest) (*ordersv1.CancelRestResponse, error) {
	s.asked = proto.CloneOf(r)
	return &ordersv1.CancelRestResponse{Order: soldOrder(), Reversal: &ordersv1.Reversal{Id: "rev_2", Kind: ordersv1.ReversalKind_REVERSAL_KIND_CANCELLATION, Refund: euros(1)}}, nil
}

func (s *counter) ListReversals(context.Context, *ordersv1.ListReversalsRequest) (*ordersv1.ListReversalsResponse, error) {
	return &ordersv1.ListReversalsResponse{Reversals: []*ordersv1.Reversal{{Id: "rev_1", State: ordersv1.ReversalState_REVERSAL_STATE_NEEDS_REVIEW, Refund: euros(1745)}}}, nil
}

func (s *counter) CreateCoupon(_ context.Context, r *ordersv1.CreateCouponRequest) (*ordersv1.CreateCouponResponse, error) {
	s.asked = proto.CloneOf(r)
	return &ordersv1.CreateCouponResponse{Coupon: &ordersv1.Coupon{Id: "cpn_1", Code: r.GetCode(), Percent: r.GetPercent(), Amount: r.GetAmount()}}, nil
}

func (s *counter) ListCoupons(_ context.Context, r *ordersv1.ListCouponsRequest) (*ordersv1.ListCouponsResponse, error) {
	return &ordersv1.ListCouponsResponse{Coupons: []*ordersv1.Coupon{{Id: "cpn_1", Code: "SORRY", Amount: euros(500), Uses: 3, MaxUses: 10}, {Code: "WELCOME10", Percent: 10}}}, nil
}

func (s *counter) DisableCoupon(_ context.Context, r *ordersv1.DisableCouponRequest) (*ordersv1.DisableCouponResponse, error) {
	s.asked = proto.CloneOf(r)
	return &ordersv1.DisableCouponResponse{Coupon: &ordersv1.Coupon{Code: r.GetId(), Disabled: true}}, nil
}

// TestOrdersAndCoupons is the daily work from a terminal.
func TestOrdersAndCoupons(t *testing.T) {
	t.Parallel()
	shop := &counter{}
	mux := http.NewServeMux()
	mux.Handle(ordersv1connect.NewOrderServiceHandler(shop))
	mux.Handle(ordersv1connect.NewFulfillmentServiceHandler(shop))
	mux.Handle(ordersv1connect.NewCouponServiceHandler(shop))
	port := httptest.NewServer(mux)
	t.Cleanup(port.Close)
	to := timestamppb.New(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
	mug := []*ordersv1.LineQuantity{{Sku: "mug=big", Quantity: 1}}
	for _, c := range []struct {
		name  string
		args  []string
		want  []string
		asked proto.Message
		fails bool
	}{
		{"list", []string{"orders", "list", "--user", "-", "--limit", "2"}, []string{"ORDER", "ord_1", "partially fulfilled", "3490 EUR"},
			&ordersv1.ListOrdersRequest{UserId: "-", PageSize: 1, PageToken: "2"}, false},
		{"list as JSON", []string{"orders", "list", "--json"}, []string{`"state":"ORDER_STATE_PARTIALLY_FULFILLED"`}, nil, false},
		{"list more", []string{"orders", "list", "--limit", "1"}, []string{"There is more: raise --limit"}, nil, false},
		{"list somebody else's", []string{"orders", "list", "--user", "usr_2"}, []string{"user_id must be your own"}, nil, true},
		{"get", []string{"orders", "get", "ord_1"}, []string{"ord_1 of usr_1 is partially fulfilled", "Mug, big", "coupon SORRY", "-500 EUR", "JD0146", "needs review"}, nil, false},
		{"events", []string{"orders", "events", "ord_1"}, []string{"shipped as ful_1"}, nil, false},
		{"cancel", []string{"orders", "cancel", "ord_1", "--request-id", "1"}, []string{"cannot be cancelled any more"}, &ordersv1.CancelOrderRequest{RequestId: "1", Id: "ord_1"}, true},
		{"cancel the rest", []string{"orders", "cancel", "ord_1", "--rest", "--request-id", "2"}, []string{"1 EUR go back by rev_2"}, &ordersv1.CancelRestRequest{RequestId: "2", OrderId: "ord_1"}, false},
		{"ship", []string{"orders", "ship", "ord_1", "mug=big=1", "--tracking", "JD0146", "--request-id", "3"}, []string{"Shipped mug=big=1 as ful_1"},
			&ordersv1.CreateFulfillmentRequest{RequestId: "3", OrderId: "ord_1", Lines: mug, TrackingCode: "JD0146"}, false},
		{"ship what is no number", []string{"orders", "ship", "ord_1", "mug"}, []string{`"mug" is no number of pieces like MUG-OAK-SMALL=2`}, nil, true},
		{"return", []string{"orders", "return", "ord_1", "mug=big=1", "--discard", "--reason", "too small", "--request-id", "4"}, []string{"1745 EUR go back by rev_1"},
			&ordersv1.ReturnLinesRequest{RequestId: "4", OrderId: "ord_1", Lines: mug, Discard: true, Reason: "too small"}, false},
		{"return nothing", []string{"orders", "return", "ord_1"}, nil, nil, true},
		{"complete an order", []string{"__complete", "orders", "ship", "ord"}, []string{"ord_1"}, nil, false},

		{"coupons", []string{"coupons", "list"}, []string{"SORRY", "500 EUR", "3", "10 %"}, nil, false},
		{"create", []string{"coupons", "create", "SORRY", "--amount", "500 EUR", "--max-uses", "9", "--to", "2026-12-24T00:00:00Z", "--request-id", "5"}, []string{"SORRY"},
			&ordersv1.CreateCouponRequest{RequestId: "5", Code: "SORRY", Amount: euros(500), MaxUses: 9, EndTime: to}, false},
		{"create with nothing", []string{"coupons", "create", "SORRY"}, []string{"[percent amount]"}, nil, true},
		{"create with a bad amount", []string{"coupons", "create", "SORRY", "--amount", "5.00"}, []string{"is no amount in minor units"}, nil, true},
		{"create with a bad time", []string{"coupons", "create", "SORRY", "--percent", "5", "--from", "today"}, []string{`--from "today" is no time`}, nil, true},
		{"disable", []string{"coupons", "disable", "SORRY", "--request-id", "6", "--json"}, []string{`"disabled":true`}, &ordersv1.DisableCouponRequest{RequestId: "6", Id: "SORRY"}, false},
		{"complete a coupon", []string{"__complete", "coupons", "disable", "W"}, []string{"WELCOME10"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{}, c.args...)
			if args[0] == "__complete" { // The flags come before what is completed.
				args = append([]string{args[0], args[1], "--url", port.URL}, args[2:]...)
			} else {
				args = append(args, "--url", port.URL)
			}
			out, err := run(t, args...)
			if (err != nil) != c.fails {
				t.Fatalf("%v\n%s", err, out)
			}
			if err != nil {
				out += err.Error()
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in what it says:\n%s", want, out)
				}
			}
			if c.asked != nil && !proto.Equal(shop.asked, c.asked) {
				t.Errorf("it asked for %v, want %v", shop.asked, c.asked)
			}
		})
	}
	out, err := run(t, "orders", "list", "--url", nobody(t))
	if err == nil || !strings.Contains(err.Error(), "nobody answers at") {
		t.Errorf("where nobody answers: %v\n%s", err, out)
	}
}
