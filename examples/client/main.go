// Command client is another company's app that orders from a Cleave shop. It imports the messages and Connect clients of the
// contracts and nothing else of Cleave, so it links no platform, no database, no module.
//
//	go run . --url http://127.0.0.1:8080 --sku MUG-OAK-SMALL
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

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8080", "public port of the shop")
	sku := flag.String("sku", "MUG-OAK-SMALL", "what to order")
	quantity := flag.Int64("quantity", 1, "how many pieces")
	paymentMethod := flag.String("payment-method", "pm_card_visa", "token of the payment provider")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := order(ctx, *url, *sku, *quantity, *paymentMethod); err != nil {
		fmt.Fprintln(os.Stderr, "client:", explain(err))
		os.Exit(1)
	}
}

// order fills a cart, asks what it costs, orders it, and waits for what becomes of the order.
func order(ctx context.Context, url, sku string, quantity int64, paymentMethod string) error {
	carts := ordersv1connect.NewCartServiceClient(http.DefaultClient, url)
	orders := ordersv1connect.NewOrderServiceClient(http.DefaultClient, url)

	// Every call that changes something carries an id of the client's choice. When an answer does not arrive, repeat the call with
	// the same id: it happens once, and the first answer comes again.
	cart, err := carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: rand.Text()})
	if err != nil {
		return err
	}
	cartID := cart.GetCart().GetId()
	if _, err := carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: rand.Text(), CartId: cartID, Sku: sku, Quantity: quantity}); err != nil {
		return err
	}
	quote, err := carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: rand.Text(), CartId: cartID})
	if err != nil {
		return err
	}
	total := quote.GetQuote().GetTotal()
	fmt.Printf("%d × %s for %d %s (minor units)\n", quantity, sku, total.GetAmount(), total.GetCurrency())

	// The answer means that the order is durable. What becomes of it is told by WatchOrder, also if this app is restarted meanwhile.
	placed, err := orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{
		RequestId: rand.Text(), QuoteId: quote.GetQuote().GetId(), PaymentMethod: paymentMethod,
	})
	if err != nil {
		return err
	}
	stream, err := orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: placed.GetOrder().GetId()})
	if err != nil {
		return err
	}
	defer stream.Close()
	state := placed.GetOrder().GetState()
	for stream.Receive() {
		state = stream.Msg().GetTransition().GetState()
		fmt.Println(placed.GetOrder().GetId(), state, stream.Msg().GetTransition().GetNote())
	}
	if err := stream.Err(); err != nil {
		return err
	}
	if state != ordersv1.OrderState_ORDER_STATE_CONFIRMED {
		return fmt.Errorf("the order ended as %s", state)
	}
	return nil
}

// explain says what to do about an error, by its code; the message is for people.
func explain(err error) error {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable:
		return fmt.Errorf("the shop cannot be reached, try again later: %w", err)
	case connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeFailedPrecondition:
		var refused *connect.Error
		if errors.As(err, &refused) {
			return errors.New(refused.Message())
		}
	}
	return err
}
