package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// shelf is a stock that answers what a test expects, and remembers what it was asked.
type shelf struct {
	inventoryv1connect.UnimplementedInventoryServiceHandler
	inventoryv1connect.UnimplementedStockServiceHandler
	asked proto.Message
}

func mugs() *inventoryv1.Stock {
	return &inventoryv1.Stock{Sku: "mug=big", OnHand: 12, Reserved: 9, Available: 4, LowAt: proto.Int64(5), Low: true}
}

func (s *shelf) ListStock(_ context.Context, r *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	s.asked = proto.CloneOf(r)
	answer := &inventoryv1.ListStockResponse{Stock: []*inventoryv1.Stock{mugs()}}
	if r.GetPageToken() == "" {
		answer.NextPageToken = "2"
	}
	return answer, nil
}

func (s *shelf) GetStock(_ context.Context, r *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	if r.GetSku() != "mug=big" {
		return nil, rpc.NotFound("stock", r.GetSku())
	}
	return &inventoryv1.GetStockResponse{Stock: mugs()}, nil
}

func (s *shelf) ListStockMovements(_ context.Context, r *inventoryv1.ListStockMovementsRequest) (*inventoryv1.ListStockMovementsResponse, error) {
	s.asked = proto.CloneOf(r)
	return &inventoryv1.ListStockMovementsResponse{Movements: []*inventoryv1.StockMovement{
		{Sku: "mug=big", Delta: 20, Reason: "delivery\nof today", UserId: "usr_staff", CreateTime: timestamppb.Now()}, {Sku: "mug=big", Delta: -8, Reason: "shipped", ReservationId: "rsv_1"},
	}}, nil
}

func (s *shelf) AdjustStock(_ context.Context, r *inventoryv1.AdjustStockRequest) (*inventoryv1.AdjustStockResponse, error) {
	s.asked = proto.CloneOf(r)
	if r.GetAdjustments()[0].GetDelta() < -4 {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "STOCK_BELOW_RESERVED", "mug=big: 4 pieces can be taken away, not 5")
	}
	return &inventoryv1.AdjustStockResponse{Availabilities: []*inventoryv1.Availability{{Sku: "mug=big", Available: 104}}}, nil
}

func (s *shelf) SetStockThresholds(_ context.Context, r *inventoryv1.SetStockThresholdsRequest) (*inventoryv1.SetStockThresholdsResponse, error) {
	s.asked = proto.CloneOf(r)
	return &inventoryv1.SetStockThresholdsResponse{Stock: []*inventoryv1.Stock{mugs()}}, nil
}

func (s *shelf) ListStockDrifts(context.Context, *inventoryv1.ListStockDriftsRequest) (*inventoryv1.ListStockDriftsResponse, error) {
	return &inventoryv1.ListStockDriftsResponse{Drifts: []*inventoryv1.StockDrift{{Sku: "mug=big", OnHand: 12, Moved: 13, Reserved: 9, Held: 8}}}, nil
}

func (s *shelf) RepairStock(_ context.Context, r *inventoryv1.RepairStockRequest) (*inventoryv1.RepairStockResponse, error) {
	s.asked = proto.CloneOf(r)
	if r.GetSkus()[0] != "mug=big" {
		return &inventoryv1.RepairStockResponse{}, nil
	}
	return &inventoryv1.RepairStockResponse{Repaired: []*inventoryv1.StockDrift{{Sku: "mug=big", OnHand: 12, Moved: 13, Reserved: 9, Held: 8}}}, nil
}

// TestStock is the daily work with the stock from a terminal.
func TestStock(t *testing.T) {
	t.Parallel()
	shop := &shelf{}
	mux := http.NewServeMux()
	mux.Handle(inventoryv1connect.NewInventoryServiceHandler(shop))
	mux.Handle(inventoryv1connect.NewStockServiceHandler(shop))
	port := httptest.NewServer(mux)
	t.Cleanup(port.Close)
	for _, c := range []struct {
		name  string
		args  []string
		want  []string
		asked proto.Message
		fails bool
	}{
		{"list", []string{"list", "--limit", "2"}, []string{"ON HAND", "mug=big  12       9         4          5       low"}, &inventoryv1.ListStockRequest{PageSize: 1, PageToken: "2"}, false},
		{"list what is low", []string{"list", "--low", "--limit", "1"}, []string{"There is more: raise --limit"}, &inventoryv1.ListStockRequest{PageSize: 1, Low: true}, false},
		{"list nothing", []string{"list", "--limit", "0"}, []string{"--limit 0 lists nothing"}, nil, true},
		{"low as JSON", []string{"low", "--json", "--limit", "1"}, []string{`"sku":"mug=big"`, `"low_at":"5"`}, &inventoryv1.ListStockRequest{PageSize: 1, Low: true}, false},
		{"show", []string{"show", "mug=big"}, []string{"AVAILABLE", "+20", "-8", "delivery of today", "rsv_1", "usr_staff"}, &inventoryv1.ListStockMovementsRequest{Sku: "mug=big", PageSize: 10}, false},
		{"show what is not there", []string{"show", "mug"}, []string{`stock "mug" not found`}, nil, true},
		{"movements", []string{"movements", "mug=big"}, []string{"shipped"}, &inventoryv1.ListStockMovementsRequest{Sku: "mug=big", PageSize: 50}, false},
		{"movements of all", []string{"movements", "--json"}, []string{`"delta":"-8"`}, &inventoryv1.ListStockMovementsRequest{PageSize: 50}, false},
		{"adjust", []string{"adjust", "mug=big=+100", "cup=-1", "--reason", "delivery", "--request-id", "1"}, []string{"104"}, &inventoryv1.AdjustStockRequest{
			RequestId: "1", Adjustments: []*inventoryv1.StockAdjustment{{Sku: "mug=big", Delta: 100, Reason: "delivery"}, {Sku: "cup", Delta: -1, Reason: "delivery"}}}, false},
		{"adjust by too much", []string{"adjust", "mug=big=-5"}, []string{"4 pieces can be taken away, not 5"}, nil, true},
		{"adjust by what is no number", []string{"adjust", "mug=many"}, []string{`"mug=many" is no change of stock like MUG-OAK-SMALL=+100`}, nil, true},
		{"threshold", []string{"threshold", "mug=big=5", "cup=none", "--request-id", "2"}, []string{"low"}, &inventoryv1.SetStockThresholdsRequest{
			RequestId: "2", Thresholds: []*inventoryv1.StockThreshold{{Sku: "mug=big", LowAt: proto.Int64(5)}, {Sku: "cup"}}}, false},
		{"threshold that is none", []string{"threshold", "mug"}, []string{`"mug" is no threshold like`}, nil, true},
		{"drift", []string{"drift"}, []string{"mug=big  12       13     9         8"}, nil, false},
		{"repair", []string{"repair", "mug=big", "--reason", "a bug", "--request-id", "3"}, []string{"RESERVED WAS"}, &inventoryv1.RepairStockRequest{RequestId: "3", Skus: []string{"mug=big"}, Reason: "a bug"}, false},
		{"repair what is right", []string{"repair", "cup", "--reason", "a bug"}, []string{"Nothing was wrong"}, nil, false},
		{"repair without a word", []string{"repair", "mug=big"}, []string{"say why with --reason"}, nil, true},
		{"complete a SKU", []string{"__complete", "show", "mug"}, []string{"mug=big"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"stock"}, c.args...)
			if c.args[0] == "__complete" { // The flags come before what is completed.
				args = append([]string{"__complete", "stock", "--url", port.URL}, c.args[1:]...)
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
}
