package test

import (
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/test/house"
)

// protocol is a way to speak to the public port.
type protocol struct {
	name    string
	http2   bool // And HTTP/1.1 otherwise.
	options []connect.ClientOption
}

var (
	// connectJSON is what curl and browsers speak; what has no side effect is asked for with GET.
	connectJSON = protocol{name: "Connect JSON", options: []connect.ClientOption{connect.WithProtoJSON(), connect.WithHTTPGet()}}
	connectRPC  = protocol{name: "Connect", http2: true}
	// asOrders is what the module orders speaks to others.
	asOrders = protocol{name: "Connect", http2: true, options: []connect.ClientOption{house.AsOrders}}
	grpc     = protocol{name: "gRPC", http2: true, options: []connect.ClientOption{connect.WithGRPC()}}
	grpcWeb  = protocol{name: "gRPC-Web", options: []connect.ClientOption{connect.WithGRPCWeb()}}

	protocols = []protocol{connectJSON, connectRPC, grpc, grpcWeb}
)

// client returns an HTTP client for the protocol, whose connections are closed at the end of the test.
func (p protocol) client(t testing.TB, s *shop) *http.Client {
	versions := new(http.Protocols)
	versions.SetHTTP1(!p.http2)
	versions.SetHTTP2(p.http2)
	versions.SetUnencryptedHTTP2(p.http2)
	transport := &http.Transport{Protocols: versions, TLSClientConfig: s.AsOrders()}
	if p.http2 { // For a thousand streams at once it would open about as many connections, and the edge closes what one address has beyond 1,024.
		transport.MaxConnsPerHost = 100
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// clients are those of every service that a test calls.
type clients struct {
	catalog       catalogv1connect.CatalogServiceClient
	inventory     inventoryv1connect.InventoryServiceClient
	carts         ordersv1connect.CartServiceClient
	orders        ordersv1connect.OrderServiceClient
	parcels       ordersv1connect.FulfillmentServiceClient
	coupons       ordersv1connect.CouponServiceClient
	payments      paymentsv1connect.PaymentServiceClient
	notifications notificationsv1connect.NotificationServiceClient
}

// clients returns clients that speak the protocol and find each module at the URL that where names.
func (p protocol) clients(t testing.TB, s *shop, where func(module string) string) clients {
	client := p.client(t, s)
	options := append([]connect.ClientOption{connect.WithInterceptors(discretion{t})}, p.options...)
	return clients{
		catalog:       catalogv1connect.NewCatalogServiceClient(client, where("catalog"), options...),
		inventory:     inventoryv1connect.NewInventoryServiceClient(client, where("inventory"), options...),
		carts:         ordersv1connect.NewCartServiceClient(client, where("orders"), options...),
		orders:        ordersv1connect.NewOrderServiceClient(client, where("orders"), options...),
		parcels:       ordersv1connect.NewFulfillmentServiceClient(client, where("orders"), options...),
		coupons:       ordersv1connect.NewCouponServiceClient(client, where("orders"), options...),
		payments:      paymentsv1connect.NewPaymentServiceClient(client, where("payments"), options...),
		notifications: notificationsv1connect.NewNotificationServiceClient(client, where("notifications"), options...),
	}
}
