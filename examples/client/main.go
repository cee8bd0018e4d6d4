// Command client is another app: it buys something in a running Cleave shop.
//
//	go run . --url http://127.0.0.1:8080
//
// It has a go.mod of its own and imports from Cleave only the contracts: the messages in gen/cleave/…/v1 and the Connect clients
// beside them. It links nothing of Cleave's platform.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8080", "public port of the shop")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := buy(ctx, *url); err != nil {
		fmt.Fprintln(os.Stderr, "client:", explain(err))
		os.Exit(1)
	}
}

// buy orders one piece of the first product in the shop and waits until the order has settled.
func buy(ctx context.Context, url string) error {
	// A Connect client needs an HTTP client and a URL. connect.WithGRPC() as a further argument would make it speak gRPC.
	catalog := catalogv1connect.NewCatalogServiceClient(http.DefaultClient, url)
	carts := ordersv1connect.NewCartServiceClient(http.DefaultClient, url)
	orders := ordersv1connect.NewOrderServiceClient(http.DefaultClient, url)

	page, err := catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 1})
	if err != nil {
		return fmt.Errorf("list products: %w", err)
	}
	if len(page.GetProducts()) == 0 {
		return errors.New("the shop is empty: fill it with go run ./cmd/cleave seed")
	}
	product := page.GetProducts()[0]

	// Every call that changes something carries a request id of your choice. After a timeout, make the same call again with the
	// same id: it happens once, and you get the first answer.
	cart, err := carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: rand.Text()})
	if err != nil {
		return fmt.Errorf("create a cart: %w", err)
	}
	if _, err := carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{
		RequestId: rand.Text(), CartId: cart.GetCart().GetId(), Sku: product.GetVariants()[0].GetSku(), Quantity: 1,
	}); err != nil {
		return fmt.Errorf("fill the cart: %w", err)
	}

	// A quote freezes the prices. If one has changed until the order is placed, PlaceOrder says PRICE_CHANGED: ask for a new quote.
	quote, err := carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: rand.Text(), CartId: cart.GetCart().GetId()})
	if err != nil {
		return fmt.Errorf("ask for a quote: %w", err)
	}
	total := quote.GetQuote().GetTotal() // In minor units: cents.
	fmt.Printf("%s for %d.%02d %s\n", product.GetTitle(), total.GetAmount()/100, total.GetAmount()%100, total.GetCurrency())

	// The answer comes when the order is durable. It is seen through from then on, whether you stay or not.
	placed, err := orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{
		RequestId: rand.Text(), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_card_visa",
	})
	if err != nil {
		return fmt.Errorf("place the order: %w", err)
	}
	return watch(ctx, orders, placed.GetOrder().GetId())
}

// watch prints what happens to an order until it has settled. Unavailable means that the shop is being restarted: whoever watches for
// longer begins again with the last sequence that it knows.
func watch(ctx context.Context, orders ordersv1connect.OrderServiceClient, orderID string) error {
	stream, err := orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID})
	if err != nil {
		return fmt.Errorf("watch the order: %w", err)
	}
	for stream.Receive() {
		t := stream.Msg().GetTransition()
		fmt.Printf("%s %s: %s\n", orderID, t.GetState(), t.GetNote())
	}
	return errors.Join(stream.Err(), stream.Close())
}

// explain adds to an error the reason that programs read: code and reason are stable, the sentence is not.
func explain(err error) string {
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		for _, detail := range connectErr.Details() {
			if value, detailErr := detail.Value(); detailErr == nil {
				if info, ok := value.(*errdetails.ErrorInfo); ok {
					return fmt.Sprintf("%v (%s)", err, info.GetReason())
				}
			}
		}
	}
	return err.Error()
}
